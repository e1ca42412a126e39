"""`levi ctl top` in a real terminal (tmux), beside a real fleet; screens go to artifacts/."""

import itertools
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.acceptance.pages import EXAMPLE, OWN, thousand
from tests.e2e.process import LEVI, FleetProcess, all_running, row_of
from tests.paths import ROOT

TMUX = shutil.which("tmux")

pytestmark = [pytest.mark.skipif(TMUX is None, reason="needs tmux")]

ARTIFACTS = ROOT / "artifacts"
PATIENCE = 20.0
SHOWN_WITHIN = 1.0 + 0.5
"""Seconds from a crash to the screen: a second of the poll, half a one of the terminal."""

_NUMBERS = itertools.count(1)


@attrs.define(eq=False)
class Terminal:
    """One tmux server with one window; a `with` block ends it."""

    fleet: FleetProcess
    width: int = 80
    height: int = 24
    environment: str = ""
    """An assignment, for the next start."""
    name: str = "none"
    """Of the tmux server; none is running yet."""

    def tmux(self, *words: str) -> str:
        found = subprocess.run(
            [TMUX or "", "-L", self.name, *words], capture_output=True, text=True, check=False
        )
        return found.stdout

    def start(self, *words: str) -> None:
        """Run a command of `levi ctl` in the window; its exit code is shown after it."""
        self.end()
        # A server of its own each time: one that is dying still takes a window, and takes it along.
        self.name = f"levi-judge-{os.getpid()}-{next(_NUMBERS)}"
        line = shlex.join([*LEVI, "ctl", *words])
        environment = f"-u LEVI_SOCKET -u COLUMNS -u LINES {self.environment}"
        home = shlex.quote(str(self.fleet.home))
        self.tmux(
            *("-f", "/dev/null", "new-session", "-d", "-x", str(self.width), "-y"),
            *(
                str(self.height),
                f"env {environment} HOME={home} {line}; echo rc=$?; sleep 60",
            ),
        )

    def end(self) -> None:
        self.tmux("kill-server")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def search(self, text: str) -> None:
        """Type a filter once the field is there."""
        self.press("/")
        self.until(lambda: "symbol, glob or state" in self.text)
        self.press(text)
        self.until(lambda: f"filter {text}" in self.text)
        self.press("Enter")

    @property
    def lines(self) -> list[str]:
        return self.tmux("capture-pane", "-p").splitlines()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, condition: Callable[[], bool], patience: float = PATIENCE) -> float:
        """Seconds until the condition held."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < patience, self.text
            time.sleep(0.02)
        return time.monotonic() - begun

    def symbols(self) -> list[str]:
        """Of the lines of the table, from top to bottom."""
        words = [line.split() for line in self.lines[3:-3]]
        return [each[0] for each in words if each and each[0].endswith("USDT")]

    def keep(self, name: str) -> None:
        """Keep what is to be seen, colours included."""
        ARTIFACTS.mkdir(exist_ok=True)
        (ARTIFACTS / f"top-{name}.ansi").write_text(self.tmux("capture-pane", "-p", "-e"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetProcess]:
    """The fifteen engines of the example, one of which crashes on call."""
    folder = tmp_path_factory.mktemp("top")
    (folder / "own_pages.py").write_text(OWN)
    text = EXAMPLE.replace(
        "\n[engines.XRPUSDT]\n", '\n[engines.XRPUSDT]\nstrategy = "own_pages:OnCall"\n'
    )
    with running(folder, text.replace('data_dir = "../data"', 'data_dir = "data"')) as process:
        yield process


@contextmanager
def running(folder: Path, text: str) -> Iterator[FleetProcess]:
    """A fleet whose engines run; its HOME is short, because a socket's path is."""
    file = folder / "fleet.toml"
    file.write_text(text)
    with (
        tempfile.TemporaryDirectory(prefix="levi-", dir="/tmp") as home,
        FleetProcess(Path(home), file) as process,
    ):
        process.until(all_running)
        yield process


@pytest.fixture
def terminal(fleet: FleetProcess) -> Iterator[Terminal]:
    found = Terminal(fleet)
    yield found
    found.end()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50), (250, 70)])
def test_fifteen_engines_at_every_size(terminal: Terminal, width: int, height: int) -> None:
    """All of them, the keys in the last lines, nothing wider than the terminal."""
    terminal.width, terminal.height = width, height
    terminal.start("top")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    terminal.until(lambda: "trading active" in terminal.lines[0])
    terminal.until(lambda: "q quit" in terminal.lines[-2])
    terminal.press("Enter")
    terminal.until(lambda: "incidents, newest first" in terminal.text)
    terminal.keep(f"{width}x{height}")
    terminal.press("q")
    terminal.until(lambda: "rc=0" in terminal.text)


def test_filter_and_sort(terminal: Terminal) -> None:
    """Typing keeps what matches; the keys sort, and turn it round."""
    terminal.start("top")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    terminal.search("sol")
    terminal.until(lambda: terminal.symbols() == ["SOLUSDT"])
    terminal.press("Escape")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    terminal.press("<")
    terminal.until(lambda: terminal.symbols() == sorted(terminal.symbols()))
    terminal.press("o")
    terminal.until(lambda: terminal.symbols() == sorted(terminal.symbols(), reverse=True))


def test_a_crash_appears_within_a_second(terminal: Terminal) -> None:
    """Its error and its restart, on top of the others' or where it stood."""
    terminal.start("top")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    (terminal.fleet.file.parent / "crash-XRPUSDT").touch()
    terminal.fleet.until(lambda status: row_of(status, "XRPUSDT")["restarts"] > 0)
    took = terminal.until(lambda: "RuntimeError" in terminal.text)
    assert took < SHOWN_WITHIN
    terminal.keep("crash")


def test_restart_is_asked_about_and_read_only_refuses(terminal: Terminal) -> None:
    """`n` sends nothing, `y` makes a new incarnation; read-only knows no such key."""

    def incarnation() -> int:
        return int(terminal.fleet.rows()["SOLUSDT"]["incarnation"])

    before = incarnation()
    terminal.start("top", "--read-only")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    terminal.search("SOL")
    terminal.until(lambda: terminal.symbols() == ["SOLUSDT"])
    terminal.press("r", "y")
    terminal.until(lambda: "read-only" in terminal.text)
    assert incarnation() == before
    terminal.start("top")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    terminal.search("SOL")
    terminal.until(lambda: terminal.symbols() == ["SOLUSDT"])
    terminal.press("r")
    terminal.until(lambda: f"Ends incarnation {before} of SOLUSDT" in terminal.text)
    terminal.keep("question")
    terminal.press("n")
    terminal.until(lambda: "Ends incarnation" not in terminal.text)
    assert incarnation() == before
    terminal.press("r")
    terminal.until(lambda: "Ends incarnation" in terminal.text)
    terminal.press("y")
    terminal.until(lambda: "SOLUSDT: restarted" in terminal.text)
    assert incarnation() == before + 1


def test_no_colour_where_none_is_wanted(terminal: Terminal) -> None:
    """NO_COLOR: not one colour in what the terminal holds; without it there are some."""
    terminal.start("top")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    assert "\x1b[32m" in terminal.tmux("capture-pane", "-p", "-e")
    terminal.environment = "NO_COLOR=1"
    terminal.start("top")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    screen = terminal.tmux("capture-pane", "-p", "-e")
    assert not re.search(r"\x1b\[[0-9;]*\b(3[0-7]|4[0-7]|9[0-7]|38|48)\b", screen)


def test_the_fleet_goes_away_and_comes_back(terminal: Terminal) -> None:
    """The last table stays; another run of the fleet at the same place is taken up by itself."""
    terminal.start("top")
    terminal.until(lambda: len(terminal.symbols()) == 15)
    terminal.fleet.kill()
    terminal.until(lambda: "NO FLEET, RETRYING" in terminal.text)
    assert len(terminal.symbols()) == 15
    terminal.keep("lost")
    terminal.fleet.start()
    terminal.until(lambda: "the fleet is back" in terminal.text)
    terminal.press("q")
    terminal.until(lambda: "rc=0" in terminal.text)
    assert "Traceback" not in terminal.text


def test_a_thousand_engines_under_a_tenth_of_a_core(tmp_path: Path) -> None:
    """CPU time of the process that watches, at 160x50, over twenty seconds."""
    with running(tmp_path, thousand()) as process:
        terminal = Terminal(process, 160, 50)
        try:
            terminal.start("top")
            terminal.until(lambda: len(terminal.symbols()) > 40, 60.0)
            time.sleep(3.0)
            (pid,) = pids_of(terminal)
            before, begun = cpu_seconds(pid), time.monotonic()
            time.sleep(20.0)
            share = (cpu_seconds(pid) - before) / (time.monotonic() - begun)
            print(f"levi ctl top, 1,000 engines: {share:.1%} of a core")
            assert share < 0.10
            for width, height in ((80, 24), (200, 50)):
                terminal.width, terminal.height = width, height
                terminal.start("top")
                terminal.until(lambda: len(terminal.symbols()) > 10, 60.0)
                terminal.until(lambda: "drawdown 0." in terminal.lines[0])
                assert "q quit" in terminal.lines[-2]
                terminal.keep(f"thousand-{width}x{height}")
        finally:
            terminal.end()


def pids_of(terminal: Terminal) -> list[int]:
    """The watching process: the child of the window's shell."""
    shell = terminal.tmux("list-panes", "-F", "#{pane_pid}").strip()
    return [int(pid) for pid in Path(f"/proc/{shell}/task/{shell}/children").read_text().split()]


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
