"""`levi replay` as it is typed."""

import json
import re
from pathlib import Path

import pytest

from levitrio.cli.application import run_command_line
from levitrio.cli.progress import Progress
from levitrio.replay.report.report import SHARPE, SORTINO
from tests.replay.files import quote_line, trade_line, write_fleet, write_lines


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A recording, and a fleet.toml beside it."""
    write_fleet(tmp_path)
    lines = [quote_line(99, 101, at=0)]
    lines += [trade_line(100 + (n // 40) % 2 * 3, at=n * 100, number=n) for n in range(600)]
    return write_lines(tmp_path / "tape.jsonl", lines)


def levi(tape: Path, *words: str) -> int:
    file = str(tape.parent / "fleet.toml")
    return run_command_line(["replay", file, "--recording", str(tape), *words])


def test_the_report_as_text(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person wants to know first, each with its rule."""
    assert levi(tape) == 0
    out = capsys.readouterr().out
    for part in ("equity", "buy and hold", "Sharpe", "mean(R) / stdev(R)", "BTCUSDT", "CLOSED"):
        assert part in out
    assert "N = 31536000 intervals in 365 days" in out
    assert "annualised figures say little" in out


def test_the_report_as_json(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document with everything in it, the overrides too."""
    assert levi(tape, "--json", "--set", "defaults.params.fast=8") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == 1
    assert report["set"] == ["defaults.params.fast=8"]
    assert report["symbols"][0]["params"] == {"fast": 8}
    assert report["orders"] == len(report["order_list"]) > 4
    assert report["fills"] == len(report["fill_list"])
    assert len(report["trade_list"]) == report["trades"]["count"]
    assert len(report["curve"]["equity"]) == len(report["curve"]["time_ms"]) > 50
    assert report["fill_list"][0]["time"].startswith("2026-09-21T")


def test_the_report_as_a_page(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Self-contained, with the charts' script in it, and the same each time."""
    pytest.importorskip("plotly", reason="the extra [charts] is not installed")
    pages = []
    for name in ("a.html", "b.html"):
        assert levi(tape, "--html", str(tape.parent / name)) == 0
        pages.append((tape.parent / name).read_text())
    assert pages[0] == pages[1]
    assert "Plotly.newPlot" in pages[0]
    assert "<script src=" not in pages[0]
    assert "Drawdown" in pages[0]
    for wanted in ('name="viewport"', "prefers-color-scheme: dark", SHARPE, SORTINO):
        assert wanted in pages[0], wanted
    without_script = re.sub(r"<script.*?</script>", "", pages[0], flags=re.DOTALL)
    assert "http" not in without_script  # nothing is fetched, nothing leads away
    capsys.readouterr()
    assert levi(tape, "--html", str(tape.parent / "no" / "a.html")) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "defaults.params.fst=8"], "did you mean 'fast'?"),
        (["--set", "nonsense"], "expected KEY=VALUE"),
        (["--spread", "x"], "--spread: expected a fraction"),
        (["--compare", "no.db"], "expected a journal.db, found none"),
        (["--sweep", "broker.fee=0,0.1", "--html", "x"], "expected no --html"),
        (["--recording", "no.jsonl"], "found none"),
    ],
)
def test_mistakes_are_one_line(
    tape: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """Exit 2, with what was expected, as text and as JSON."""
    assert levi(tape, *words) == 2
    assert says in capsys.readouterr().err
    assert levi(tape, *words, "--json") == 2
    assert says in json.loads(capsys.readouterr().out)["error"]["message"]


def test_every_mistake_of_the_file_has_a_line(
    tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `levi check` prints them, one line for each mistake."""
    assert levi(tape, "--set", "broker.fe=0", "--set", "risk.max_drawdon=1") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "broker.fe" in lines[0]
    assert "risk.max_drawdon" in lines[1]


@pytest.mark.slow
def test_a_sweep_is_a_table(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each combination, and a warning about choosing the best of many."""
    words = ["--sweep", "defaults.params.fast=3,8", "--sweep", "broker.fee=0,0.001"]
    assert levi(tape, *words, "--workers", "2") == 0
    out = capsys.readouterr().out
    assert "defaults.params.fast=3 broker.fee=0.001" in out
    assert "partly luck" in out


def test_comparing_with_a_journal(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fills of a fleet that ran, beside those of the replay; the journal stays as it is."""
    from levitrio.records.journal.journal import Journal

    journal = tape.parent / "journal.db"
    empty = Journal(journal)
    empty.open()
    empty.close()
    before = journal.read_bytes()
    assert levi(tape, "--compare", str(journal)) == 0
    assert "0 fills in both" in capsys.readouterr().out
    assert journal.read_bytes() == before


def test_no_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A bar in a log file is noise."""
    bar = Progress("replaying")
    bar.show(0.5)
    bar.end()
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn when it changes, and taken away at the end."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = Progress("replaying")
    for fraction in (0.0, 0.501, 0.502, 1.0):
        bar.show(fraction)
    bar.end()
    err = capsys.readouterr().err
    assert err.count("\r") == 4
    assert " 50%" in err
    assert err.endswith("\x1b[K")
