"""`levi simulator`: the URL is printed, a signal ends it."""

import signal
from pathlib import Path

import pytest
import trio

from levitrio.cli.simulator import _report, _serve, run_simulator
from levitrio.errors import UsageError
from levitrio.venues.simulator.server.simulator import Simulator


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_after_the_url_was_told(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """The url is on stdout once connections are accepted; the signal is no error."""
    simulator = Simulator(wall_clock=lambda: 1_750_000_000.0)
    output = ""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, simulator)
            while "simulator" not in output:
                await trio.lowlevel.checkpoint()
                output += capsys.readouterr().out
            signal.raise_signal(number)
    assert output == (
        f"simulator: {simulator.url}/ws and {simulator.url}/stream\n"
        f"orders:    {simulator.url}/ws-api/v3 and {simulator.http_url}/api/v3\n"
    )


def test_what_cannot_be_is_refused_before_anything_listens(tmp_path: Path) -> None:
    """A missing recording is a usage error, and so is a key without its secret."""
    with pytest.raises(UsageError):
        run_simulator(port=0, recordings=[tmp_path / "missing"], seed=1, speed=1.0)
    with pytest.raises(UsageError, match="both or neither"):
        run_simulator(port=0, recordings=[], seed=1, speed=1.0, api_key="K")


def test_events_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout stays with the url."""
    _report("tape_ended", "3 trades")
    assert capsys.readouterr() == ("", "tape_ended: 3 trades\n")
