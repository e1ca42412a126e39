"""`levi train` as its users meet it."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from levitrio.inference.models.model_file import ModelReference, read_model
from tests.inference.model_files import needs_training
from tests.training.markets import reverting_bars

pytestmark = needs_training

BEGIN = 1_600_000_020
"""Seconds since 1970, the start of a minute."""


def write_candles(path: Path, count: int) -> Path:
    """A candle file of minutes."""
    with gzip.open(path, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["symbol", "timeframe", "open_time_s", *["open", "high", "low", "close", "volume"]]
        )
        for bar in reverting_bars(count, seed=1):
            row = [bar.open, bar.high, bar.low, bar.close, bar.volume]
            writer.writerow(["BTC/USDT", "1m", BEGIN + bar.open_ms // 1000, *map(repr, row)])
    return path


def levi(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "levitrio.cli.main", "train", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_writes_model_and_card(tmp_path: Path) -> None:
    """And says what to put into fleet.toml; with --json the card alone."""
    candles = write_candles(tmp_path / "c.csv.gz", 1_500)
    found = levi(candles.name, "--out", "m.onnx", "--folds", "3", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    card = json.loads((tmp_path / "m.json").read_text())
    assert f'sha256 = "{card["sha256"]}"' in found.stdout
    assert card["verdict"]["text"] in found.stdout
    assert "mean per symbol, not compounded" in found.stdout
    read_model(ModelReference(model="m.onnx", sha256=card["sha256"]), tmp_path)
    again = levi(candles.name, "--out", "n.onnx", "--folds", "3", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["sha256"] == card["sha256"]
    assert (tmp_path / "n.json").read_bytes() == (tmp_path / "m.json").read_bytes()


def test_a_folder_that_is_missing_is_made_first(tmp_path: Path) -> None:
    """As docs/models.md types it; a place that cannot be written is found before the training."""
    candles = write_candles(tmp_path / "c.csv.gz", 1_500)
    found = levi(candles.name, "--out", "models/m.onnx", "--folds", "3", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert '{ model = "models/m.onnx", sha256 = ' in found.stdout
    (tmp_path / "file").write_text("")
    found = levi("none.csv", "--out", "file/m.onnx", cwd=tmp_path)
    assert found.returncode == 2
    assert "--out file/m.onnx: cannot be written" in found.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "m.pkl", "--simulate", "1"], "expected a name that ends in .onnx"),
        (["--out", "m.txt", "--simulate", "1"], "add --model boosted"),
        (["--out", "m.onnx"], "expected candle files"),
        (["--out", "m.onnx", "none.csv"], "none.csv"),
        (
            ["--out", "m.onnx", "--simulate", "1", "--long-above", "0.4"],
            "--short-below: expected less",
        ),
    ],
)
def test_the_command_refuses_in_one_line(words: list[str], said: str, tmp_path: Path) -> None:
    """Exit code 2, nothing written."""
    found = levi(*words, cwd=tmp_path)
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(tmp_path.iterdir())
