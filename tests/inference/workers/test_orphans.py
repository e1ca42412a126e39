"""The fleet is killed, and its workers do not stay behind, whatever they are doing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.inference.model_files import endless_onnx, needs_training
from tests.paths import ROOT

pytestmark = [needs_training, pytest.mark.slow]

PATIENCE = 1.0
"""Seconds the fleet gives a model."""

FLEET = """
import sys
from pathlib import Path
import trio
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.workers.process import open_process
from levitrio.inference.models.feature_schema import CANDLES
from tests.inference.model_files import model_file

async def main(path, feature):
    file = model_file(Path(path).read_bytes(), name="endless.onnx")
    async with open_process() as worker:
        assert await worker.load(file) == ""
        print(worker.pid, flush=True)
        vector = (float(feature),) + (0.0,) * (len(CANDLES.names) - 1)
        if float(feature):
            await worker.ask([(file.key, vector)], {patience})
        await trio.sleep(60)

trio.run(main, *sys.argv[1:])
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs and is no zombie."""
    try:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    return fields[0] != "Z"


@pytest.mark.parametrize("feature", ["0", "1e15"], ids=["idle", "busy"])
def test_a_worker_ends_with_its_fleet(tmp_path: Path, feature: str) -> None:
    """An idle one at once; one in the middle of a call of C that never ends within seconds."""
    from levitrio.inference.workers.process import SELF_DESTRUCTION

    model = tmp_path / "endless.onnx"
    model.write_bytes(endless_onnx())
    fleet = subprocess.Popen(
        [sys.executable, "-c", FLEET.replace("{patience}", str(PATIENCE)), str(model), feature],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert fleet.stdout is not None
        worker = int(fleet.stdout.readline())
        time.sleep(0.3)
        assert is_alive(worker)
    finally:
        fleet.send_signal(signal.SIGKILL)
        fleet.communicate()
    deadline = time.monotonic() + PATIENCE + SELF_DESTRUCTION + 5.0
    while is_alive(worker):
        assert time.monotonic() < deadline, "it stays behind"
        time.sleep(0.05)
