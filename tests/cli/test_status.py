"""`levi ctl status`: cron's document, a person's table, and how little it imports."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from levitrio.cli import status, terminal
from levitrio.cli.main import main, parse_status
from levitrio.control.status_document import FleetStatus
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving

_RUN = "import sys; from levitrio.cli.main import main; sys.exit(main())"
_HEAVY = (
    "typer,trio,attrs,attr,msgspec,cattrs,argparse,rich,click,inspect,typing,pathlib,"
    "importlib.metadata,dataclasses,socket,selectors,asyncio,logging,subprocess,decimal,datetime"
)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with private_directory() as path:
        monkeypatch.setenv("HOME", str(path))
        monkeypatch.setenv("LEVI_SOCKET", str(path / "demo.sock"))
        yield path / "demo.sock"


def fleet(**options: Any) -> FakeFleet:
    return FakeFleet({"BTCUSDT": "running", "SOLUSDT": "running"}, **options)


async def run(of: FakeFleet, place: Path, *words: str) -> int:
    async with serving(of, place, Recorder()):
        with trio.fail_after(10):
            return await trio.to_thread.run_sync(main, ["ctl", "status", *words])


async def run_process(
    of: FakeFleet, place: Path, *words: str, code: str = _RUN, **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    async with serving(of, place, Recorder()):
        with trio.fail_after(20):
            return await trio.run_process(
                [sys.executable, "-c", code, "ctl", "status", *words],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=os.environ | environment,
            )


async def test_the_document_is_the_fleets(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unchanged, in ASCII, on one line; exit 0 when all is as wanted."""
    assert await run(fleet(last_error="\x1b\u202e\u00e9"), place, "--json") == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    document = json.loads(out)
    assert document["schema"] == 1
    assert document["engines"][0]["last_error"] == "\x1b\u202e\u00e9"


async def test_exit_3_when_one_is_not_as_wanted(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only of those that were asked for; stopped on purpose is as wanted."""
    of = fleet(failed={"SOLUSDT"})
    of.wanted["BTCUSDT"] = "stopped"
    assert await run(of, place, "--json") == 3
    assert await run(of, place, "btc/usdt") == 0
    assert await run(of, place, "SOL*", "--json") == 3
    assert "1 failed, 1 stopped of 2" in "\n".join(status.describe(of.document()))


async def test_unknown_symbol_and_no_fleet_are_documents_too(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`reachable` says whether a fleet answered; exit 2 and 4."""
    assert await run(fleet(), place, "SOLUSTD", "--json") == 2
    document = json.loads(capsys.readouterr().out)
    assert document["reachable"] is True
    assert document["hint"] == "did you mean SOLUSDT?"
    assert main(["ctl", "status", "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["reachable"]) == (1, False)
    assert str(place) in document["error"]
    assert main(["ctl", "status", "--json", "--bogus"]) == 2
    assert json.loads(capsys.readouterr().out)["reachable"] is False
    assert main(["ctl", "status", "--json", "--watch"]) == 2
    assert "error" in json.loads(capsys.readouterr().out)


def test_real_orders_are_not_to_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """White on red on a terminal, in capitals anywhere; paper is said plainly."""
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    live = fleet(mode="live", orders_to="Binance production").document()
    assert "\x1b[1;97;41mLIVE\x1b[0m orders to Binance production; " in status.describe(live)[-1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "demo: LIVE orders to Binance production; 2 running" in status.describe(live)[-1]
    assert "demo: paper orders; 2 running" in status.describe(fleet().document())[-1]
    older = {key: value for key, value in live.items() if key not in ("mode", "orders_to")}
    assert "demo: 2 running" in status.describe(cast(FleetStatus, older))[-1]


def test_a_duration_that_is_none_is_a_dash() -> None:
    """JSON as Python reads it has NaN and Infinity: no traceback for them."""
    for value in (float("nan"), float("inf"), float("-inf"), None, "3"):
        assert terminal.duration(value) == "-"
    assert [terminal.duration(s) for s in (3.21, 250, 7500, 273_600)] == [
        "3.2s",
        "4m10s",
        "2h05m",
        "3d04h",
    ]


async def test_the_table_is_readable_and_harmless(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line per engine, a summary, nothing that a terminal acts on, no colour in a pipe."""
    assert await run(fleet(last_error="ValueError: \x1b[2J\x9b\u202e\nx"), place) == 0
    header, first, _, summary = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["SYMBOL", "STATUS", "WANTED"]
    assert first.split()[:3] == ["BTCUSDT", "running", "running"]
    assert first.endswith("ValueError: \\x1b[2J\\x9b\\u202e\\nx")
    assert (
        summary == "demo: paper orders; 2 running of 2; trading active; equity 10012.75; pid 4711"
    )


def test_only_the_state_word_has_a_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal that wants it, and the columns stay where they are."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "90")
    document = fleet(failed={"SOLUSDT"}, last_error="x" * 500).document()
    lines = status.describe(document)
    assert "\x1b[32mrunning\x1b[0m  running" in lines[1]
    assert "\x1b[1;31mfailed\x1b[0m   running" in lines[2]
    assert len(lines[1].replace("\x1b[32m", "").replace("\x1b[0m", "")) == 90
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert "\x1b" not in "".join(status.describe(document))


def test_a_crashed_engine_says_when_it_returns() -> None:
    """The wait stands before its error."""
    engine = {"symbol": "X", "status": "crashed", "next_restart_in": 1.7, "last_error": "E: x"}
    line = status.describe(cast(FleetStatus, {"engines": [engine]}))[1]
    assert line.endswith("restart in 1.7s: E: x")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "no order leaves: foreign_order, missing_balance"),
        ("E: x", "no order leaves: foreign_order, missing_balance; E: x"),
    ],
)
def test_a_symbol_that_sends_nothing_says_why(error: str | None, text: str) -> None:
    """An engine may run and look well while no order of its symbol may leave."""
    blocks = ["foreign_order", "missing_balance"]
    engine = {"symbol": "X", "status": "running", "blocks": blocks, "last_error": error}
    assert status.describe(cast(FleetStatus, {"engines": [engine]}))[1].endswith(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (59.94, "59.9s"),
        (250, "4m10s"),
        (7500, "2h05m"),
        (273_600, "3d04h"),
        (None, "-"),
        (-1, "0.0s"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    """Two units are what a person reads."""
    assert terminal.duration(seconds) == text


@pytest.mark.parametrize("columns", ["0", "garbage", "-3", "99999999", "\u0663"])
def test_a_terminal_without_a_sensible_width(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """Nothing is cut then."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", columns)
    (line,) = terminal.table(["A"], [["x" * 300]])[1:]
    assert line in ("x" * 300, "x" * 80) or len(line) >= 8


def test_standard_streams_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`>&-` in a crontab: no traceback, only the exit code."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setenv("LEVI_SOCKET", "/nowhere/demo.sock")
    assert main(["ctl", "status", "--json"]) == 4
    assert main(["ctl", "status"]) == 4


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("ctl status", ([], {})),
        ("ctl status --json A b/c", (["A", "b/c"], {"as_json": True})),
        ("ctl --fleet demo status --watch", ([], {"fleet": "demo", "watch": True})),
        ("ctl status --socket=/x --json", ([], {"socket_path": "/x", "as_json": True})),
        ("ctl status --help", None),
        ("ctl status --bogus", None),
        ("ctl status --socket", None),
        ("ctl status --socket --json", None),
        ("ctl status -- -A", None),
        ("ctl --json status", None),
        ("ctl stop A", None),
        ("ctl", None),
        ("run x", None),
        ("", None),
    ],
)
def test_only_plain_lines_take_the_short_way(line: str, plain: object) -> None:
    """Whatever is not understood at a glance is Typer's."""
    assert parse_status(line.split()) == plain


async def test_watching_goes_on_while_the_fleet_is_away(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each second a picture; Ctrl-C ends it with exit 0."""
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            place.unlink()
        if len(naps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", nap)
    assert await run(fleet(), place, "--watch") == 0
    out = capsys.readouterr().out
    assert "demo: paper orders; 2 running of 2" in out
    assert out.rstrip().endswith(f"no fleet answers at {place}")
    assert 0.5 < naps[0] <= 1


@pytest.mark.slow
async def test_cron_pays_for_little(place: Path) -> None:
    """What is not in sys.modules was not waited for."""
    code = (
        "import sys\nfrom levitrio.cli.main import main\ncode = main()\n"
        f"heavy = [name for name in {_HEAVY!r}.split(',') if name in sys.modules]\n"
        "print(heavy, file=sys.stderr)\nsys.exit(code)"
    )
    found = await run_process(fleet(), place, "--json", code=code)
    assert (found.returncode, found.stderr) == (0, b"[]\n")


@pytest.mark.slow
async def test_any_terminal_can_print_it(place: Path) -> None:
    """LANG=C, an ASCII encoding: escapes instead of a UnicodeEncodeError."""
    of = fleet(last_error="\u00e9\u4e16")
    found = await run_process(of, place, LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert (found.returncode, found.stderr) == (0, b"")
    assert b"\\xe9\\u4e16" in found.stdout


@pytest.mark.slow
async def test_a_reader_that_left_is_no_error(place: Path) -> None:
    """`| head -1`: no traceback, and no complaint when the interpreter ends."""
    code = (
        "import os, sys\nread, write = os.pipe()\nos.dup2(write, 1)\n"
        "os.close(write)\nos.close(read)\n" + _RUN
    )
    found = await run_process(fleet(), place, code=code)
    assert (found.returncode, found.stderr) == (141, b"")


@pytest.mark.slow
async def test_a_full_disk_is_one_line(place: Path) -> None:
    """Standard output cannot be written: exit 1, said once."""
    code = "import os\nos.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n" + _RUN
    found = await run_process(fleet(), place, "--json", code=code)
    assert found.returncode == 1
    assert found.stderr == b"Error: cannot write to standard output: No space left on device\n"


@pytest.mark.slow
async def test_ctrl_c_while_the_fleet_hangs_is_quiet(place: Path) -> None:
    """A real signal to a real process: exit 130, no traceback."""
    of = fleet()
    asked = trio.Event()

    class Hanging(FakeFleet):
        async def command(self, *_: object) -> Any:
            asked.set()
            await trio.sleep_forever()

    async with serving(Hanging(of.wanted), place, Recorder()):
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", _RUN, "ctl", "stop", "--all"], stderr=subprocess.PIPE
        )
        with trio.fail_after(10):
            await asked.wait()
            process.send_signal(signal.SIGINT)
            await process.wait()
        assert process.stderr is not None
        async with process.stderr:
            assert await process.stderr.receive_some() == b""
    assert process.returncode == 130
