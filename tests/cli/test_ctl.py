"""`levi ctl` against a real socket: what is printed, where, and with which exit code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from levitrio.cli import exit_codes
from levitrio.cli.formatting import describe_events, describe_incidents, describe_members
from levitrio.cli.main import main
from levitrio.control import error_codes
from levitrio.errors import ControlError
from levitrio.records.logs.event_log import EventLog
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving


@attrs.frozen
class Outcome:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@attrs.define(eq=False)
class Shell:
    """Runs command lines beside a served fleet."""

    path: Path
    fleet: FakeFleet
    capture: pytest.CaptureFixture[str]

    async def run(self, line: str) -> Outcome:
        return await self.run_words(*line.split())

    async def run_words(self, *words: str) -> Outcome:
        async with serving(self.fleet, self.path, Recorder()):
            with trio.fail_after(10):
                code = await trio.to_thread.run_sync(main, words)
        return Outcome(code, *self.capture.readouterr())

    def alone(self, line: str) -> Outcome:
        code = main(line.split())
        return Outcome(code, *self.capture.readouterr())


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    with private_directory() as path:
        monkeypatch.setenv("HOME", str(path))
        monkeypatch.setenv("LEVI_SOCKET", str(path / "demo.sock"))
        fleet = FakeFleet({"BTCUSDT": "running", "ETHUSDT": "running", "SOLUSDT": "running"})
        yield Shell(path / "demo.sock", fleet, capsys)


@pytest.mark.parametrize(
    ("verb", "done"),
    [
        ("start", "started"),
        ("stop", "stopped"),
        ("restart", "restarted"),
        ("pause", "paused"),
        ("resume", "resumed"),
        ("reset", "reset"),
    ],
)
async def test_every_verb_says_what_became_of_each_engine(
    shell: Shell, verb: str, done: str
) -> None:
    """Symbols as people write them, one line each, exit 0."""
    found = await shell.run(f"ctl {verb} sol/usdt BTC*")
    assert (found.code, found.err) == (0, "")
    assert found.out == f"SOLUSDT {done}\nBTCUSDT {done}\n"
    assert shell.fleet.commands[0][:2] == (verb, ("SOLUSDT", "BTCUSDT"))


async def test_json_is_one_document_that_says_all(shell: Shell) -> None:
    """Results per engine; the refused ones keep their reason and next command."""
    shell.fleet.failed = {"SOLUSDT"}
    found = await shell.run("ctl start --all --json")
    assert found.code == 1
    assert found.document["ok"] is False
    assert [r["ok"] for r in found.document["results"]] == [True, True, False]
    found = await shell.run("ctl start SOLUSDT --json")
    assert (found.code, found.err) == (1, "")
    assert found.document["error"]["hint"] == "levi ctl reset SOLUSDT"
    assert found.document["error"]["results"][0]["status"] == "failed"


async def test_refused_says_the_next_command(shell: Shell) -> None:
    """For one engine as an error; among several beside those that obeyed."""
    shell.fleet.failed = {"SOLUSDT"}
    found = await shell.run("ctl restart SOLUSDT")
    assert found.code == 1
    assert found.err == (
        "Error: SOLUSDT is refused: it was given up; type: levi ctl reset SOLUSDT\n"
    )
    found = await shell.run("ctl restart --all")
    assert found.code == 1
    assert found.out == "BTCUSDT restarted\nETHUSDT restarted\n"
    assert "levi ctl reset SOLUSDT" in found.err


async def test_a_typo_is_a_usage_error_with_a_suggestion(shell: Shell) -> None:
    """Exit 2, and nothing was done."""
    found = await shell.run("ctl stop SOLUSTD")
    assert found.code == 2
    assert found.err == "Error: unknown symbol SOLUSTD; did you mean SOLUSDT?\n"
    found = await shell.run("ctl stop SOLUSTD --json")
    assert found.code == 2
    assert found.document["error"]["suggestions"] == ["SOLUSDT"]
    assert shell.fleet.commands == []


@pytest.mark.parametrize(("verb", "code"), [("start", 3), ("stop", 1)])
async def test_waiting_in_vain_is_no_success(shell: Shell, verb: str, code: int) -> None:
    """Not ready in time is 3, a stop that left an engine is 1; the engine is named."""
    shell.fleet.never_ready = {"SOLUSDT"}
    found = await shell.run(f"ctl {verb} --all --wait --timeout 0.02")
    assert found.code == code
    assert "not as wanted in time: SOLUSDT" in found.err


@pytest.mark.parametrize(
    "line",
    [
        "ctl stop",
        "ctl stop --all SOLUSDT",
        "ctl flatten",
        "ctl bogus",
        "ctl stop --bogus",
        "ctl stop SOLUSDT --timeout -1",
        "ctl stop SOLUSDT --timeout nan",
        "ctl shutdown --grace inf",
        "ctl status --timeout nan",
        "ctl stop SOLUSDT --timeout",
        "ctl status --bogus",
        "ctl history",
        "bogus",
        "--bogus",
        "ctl --fleet ../x status",
        f"ctl --socket /{'x' * 120} status",
    ],
)
def test_usage_errors_are_one_line_and_exit_2(
    shell: Shell, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback; with --json the document is on standard output."""
    monkeypatch.delenv("LEVI_SOCKET")
    found = shell.alone(line)
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("Error: ")
    assert found.err.count("\n") == 1
    found = shell.alone(f"{line} --json")
    assert found.code == 2
    assert "error" in found.document


def test_without_a_fleet_it_says_what_to_type(shell: Shell) -> None:
    """Exit 4, one line; with --json a document."""
    for line in ("ctl stop SOLUSDT", "ctl status", "ctl risk", "ctl --fleet other halt"):
        found = shell.alone(line)
        assert (found.code, found.out) == (4, "")
        assert found.err.endswith("; type: levi run fleet.toml\n")
        assert found.err.count("\n") == 1
    found = shell.alone("ctl stop SOLUSDT --json")
    assert (found.code, found.err) == (4, "")
    assert found.document["ok"] is False


async def test_the_fleet_is_found_by_option_before_or_after_the_command(shell: Shell) -> None:
    """`ctl --socket P stop` is `ctl stop --socket P`, and beats LEVI_SOCKET."""
    path = shell.path
    shell.path = path.parent / "other.sock"
    assert (await shell.run("ctl stop BTCUSDT")).code == 4
    for line in (
        f"ctl --socket {shell.path} stop BTCUSDT",
        f"ctl stop BTCUSDT --socket={shell.path}",
    ):
        assert (await shell.run(line)).code == 0


async def test_history_has_tracebacks_and_no_escapes(shell: Shell) -> None:
    """What an engine's error says is shown, never executed by the terminal."""
    found = await shell.run("ctl history sol-usdt")
    assert found.code == 0
    assert "crash: ValueError: \\x1b[2Jbad (given up)\n    Traceback:\n      a.py:1\n" in found.out
    assert "\x1b" not in found.out
    found = await shell.run("ctl history SOLUSDT --json")
    assert found.document["incidents"][0]["cause"] == "crash"


async def test_events_so_far_and_as_they_happen(shell: Shell) -> None:
    """Without --follow a list; with it until the fleet ends, one event a line."""
    shell.fleet.emit("crash", "one")
    shell.fleet.emit("crash", "two\x07")
    shell.fleet.forget_events(1)
    found = await shell.run("ctl events --since 0")
    assert found.out == "(1 events are no longer kept)\n2 t crash two\\x07\n"
    found = await shell.run("ctl events --json")
    assert found.document["next_since"] == 2
    code: list[int] = []

    async def follow() -> None:
        code.append(await trio.to_thread.run_sync(main, ["ctl", "events", "--follow", "--json"]))

    async with trio.open_nursery() as nursery:  # noqa: SIM117  the server ends before it
        async with serving(shell.fleet, shell.path, Recorder()):
            nursery.start_soon(follow)
            with trio.fail_after(10):
                await shell.fleet.followed.wait()
            shell.fleet.emit("halt", "three")
            await trio.testing.wait_all_tasks_blocked(0.05)
    lines = shell.capture.readouterr().out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [2, 3]
    assert code == [4]


async def test_risk_halt_unhalt_flatten_metrics_shutdown(shell: Shell) -> None:
    """The rest of the operator's words, for people and as JSON."""
    found = await shell.run("ctl risk")
    assert found.out == ("trading_state: active\nlimits:\n  max_daily_loss: 0.03\ndenials: -\n")
    found = await shell.run("ctl halt --reason news --json")
    assert found.document["reason"] == "news"
    assert (await shell.run("ctl unhalt")).out == "ok: yes\ntrading_state: active\n"
    assert (await shell.run("ctl flatten --all")).out.startswith("BTCUSDT flattening\n")
    assert (await shell.run("ctl metrics")).out == "levitrio_engines 2\n"
    assert (await shell.run("ctl shutdown --grace 3")).code == 0
    assert [name for name, _, _ in shell.fleet.commands] == ["halt", "unhalt", "shutdown"]
    found = await shell.run("ctl reload --json")
    assert found.code == 1
    assert found.document["error"]["message"] == "nothing to reload"


@pytest.mark.parametrize("line", ["", "ctl", "--help", "ctl status --help", "ctl stop --help"])
def test_help_is_help(shell: Shell, line: str) -> None:
    """Also for the command alone; exit 0."""
    found = shell.alone(line)
    assert found.code == 0
    assert found.out.startswith("Usage: levi")
    assert found.err == ""


def test_the_version_is_told(shell: Shell) -> None:
    """One line."""
    assert shell.alone("--version").out.startswith("levitrio ")


async def test_symbols_that_look_like_options_go_behind_two_dashes(shell: Shell) -> None:
    """And what no terminal should see is echoed harmlessly."""
    found = await shell.run("ctl stop -- -rf")
    assert (found.code, found.err) == (2, "Error: unknown symbol RF\n")
    found = await shell.run("ctl stop \udcff\x1b[2J")
    assert found.code == 2
    assert found.err.isascii()
    assert "\x1b" not in found.err
    found = await shell.run(f"ctl stop {'X' * 70_000}")
    assert found.code == 2


@pytest.mark.parametrize(
    "word", ["BTC,SOL", "BTC\nSOL", "SOL*\n", "SOL{USDT}", "*USDT,*", "[", "SOL["]
)
async def test_names_with_signs_of_lists_and_globs_stop_nobody(shell: Shell, word: str) -> None:
    """A comma, a line break, half a glob: exit 2, one line, every engine as it was."""
    found = await shell.run_words("ctl", "stop", word)
    assert found.code == 2
    assert found.err.count("\n") == 1
    assert shell.fleet.commands == []


@pytest.mark.parametrize("word", ["", " ", "\udcff\udcfe"])
@pytest.mark.parametrize("command", ["stop", "status", "flatten", "history"])
async def test_what_cannot_be_a_symbol_is_said_in_our_words(
    shell: Shell, command: str, word: str
) -> None:
    """An empty variable of a script, bytes that are no text: exit 2 and one line."""
    code = await trio.to_thread.run_sync(main, ["ctl", command, word])
    err = shell.capture.readouterr().err
    assert code == 2
    assert err.startswith("Error: expected a symbol such as BTCUSDT, or a glob, got '")
    assert err.count("\n") == 1
    assert err.isascii()


async def test_a_halt_is_not_refused_for_its_reason(shell: Shell) -> None:
    """Bytes that are no text, escapes: written out, and trading is halted."""
    found = await shell.run_words("ctl", "halt", "--reason", "why \udcff\x1b[2J")
    assert found.code == 0
    assert shell.fleet.commands[0][:2] == ("halt", ("why \\udcff\\x1b[2J",))


def test_every_mistake_of_a_file_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """As `levi check` has it, also when the fleet says it; the next command is at the end."""
    text = "refused as a whole:\nfleet.toml:1: a\nfleet.toml:2: b\x1b[2J"
    error = ControlError(error_codes.INVALID_PARAMS, text, "levi check fleet.toml")
    assert exit_codes.report(error, as_json=False) == 2
    assert capsys.readouterr().err.splitlines() == [
        "Error: refused as a whole:",
        "Error: fleet.toml:1: a",
        "Error: fleet.toml:2: b\\x1b[2J; type: levi check fleet.toml",
    ]


def test_an_incident_says_what_came_before() -> None:
    """The traceback, then the engine's last events under words of their own."""
    incident = {"error": "E", "traceback": "Traceback", "last_lines": "t running"}
    _, *rest = describe_incidents({"symbol": "A", "incidents": [incident]})
    assert rest == ["    Traceback", "    events before it:", "    t running"]


def test_nothing_is_a_dash() -> None:
    """An empty reason, no denials: no dangling colon, no braces."""
    found = describe_members({"reason": "", "denials": {}, "last": None, "ok": True, "n": 0})
    assert list(found) == ["reason: -", "denials: -", "last: -", "ok: yes", "n: 0"]


def test_an_event_says_when_it_was() -> None:
    """In the words of the fleet's own event log."""
    log = EventLog(wall_clock_ms=lambda: 1_795_342_500_000)
    batch = {"events": [log.emit("fill", "sold", "SOLUSDT").as_dict()]}
    assert describe_events(batch) == ["1 2026-11-22T10:15:00.000Z SOLUSDT fill sold"]
