"""`levi train` on ten real pairs: the same bytes for the same seed, and an honest verdict."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.model_files import needs_training
from tests.paths import SHARED

CANDLES = SHARED / "freqtrade" / "10pairs_BTC_5m_2018-01.csv.gz"

pytestmark = [
    needs_training,
    pytest.mark.skipif(not CANDLES.exists(), reason="the candles are not beside this checkout"),
]


def train(folder: Path, *words: str) -> tuple[bytes, bytes]:
    """Model and card."""
    command = [sys.executable, "-m", "levitrio.cli.main", "train", str(CANDLES), *words]
    subprocess.run(
        [*command, "--out", "m/m.onnx"], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    return (folder / "m" / "m.onnx").read_bytes(), (folder / "m" / "m.json").read_bytes()


@pytest.mark.parametrize("kind", ["logistic", "boosted"])
def test_the_same_seed_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """In two processes, model and card."""
    first = train(tmp_path, "--model", kind, "--seed", "3")
    assert train(tmp_path, "--model", kind, "--seed", "3") == first


@pytest.mark.parametrize("fee", ["0.001", "0.02"])
def test_the_verdict_is_what_the_figures_say(fee: str, tmp_path: Path) -> None:
    """After the fees that are given; a model that loses to a baseline is said to."""
    card = json.loads(train(tmp_path, "--fee", fee)[1])
    trading = card["trading"]
    best = max(each["net"] for each in trading["baselines"].values())
    beats = trading["model"]["net"] > best
    text = card["verdict"]["text"]
    assert text.endswith(": it beats it." if beats else ": it does NOT beat it."), text
    assert card["verdict"]["beats_baselines_after_fees"] is beats
