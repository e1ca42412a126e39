"""The model that ships with the package is what `levi train` makes, to the byte."""

import subprocess
import sys
from importlib import resources
from pathlib import Path

from tests.inference.model_files import needs_training
from tests.paths import ROOT

pytestmark = needs_training

COMMAND = (
    "train --simulate 4 --market-seed 11 --symbol BTCUSDT --symbol ETHUSDT --symbol SOLUSDT "
    "--symbol XLMUSDT --horizon 3 --long-above 0.6 --short-below 0.4 --seed 1 --out simulator.onnx"
)
"""As docs/models.md says."""


def test_the_shipped_model_can_be_made_again(tmp_path: Path) -> None:
    """Its numbers can be made again."""
    subprocess.run(
        [sys.executable, "-m", "levitrio.cli.main", *COMMAND.split()],
        cwd=tmp_path,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shipped = resources.files("levitrio.inference") / "shipped"
    for name in ("simulator.onnx", "simulator.json"):
        assert (tmp_path / name).read_bytes() == (shipped / name).read_bytes(), name


def test_the_documentation_has_the_command() -> None:
    """What is written there is what was run."""
    text = (ROOT / "docs" / "models.md").read_text()
    assert " ".join(COMMAND.split()) in " ".join(text.replace("\\\n", " ").split())
