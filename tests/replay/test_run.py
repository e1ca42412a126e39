"""Replay as a whole: what strategies are told, when, and what comes of their signals."""

import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from levitrio.errors import UsageError
from levitrio.replay.data.open_tape import open_tape
from levitrio.replay.report.report import document
from levitrio.replay.run import Options, Replay
from levitrio.strategies.base import Signal
from tests.replay.files import (
    DATA,
    START_MS,
    head_of,
    quote_line,
    trade_line,
    write_fleet,
    write_lines,
)

QUIET = quote_line(99, 101, at=0)


def play(config: Any, *paths: Path, signals: list[Any] | None = None) -> Replay:
    """Replay files and return what is left of it."""

    def note(symbol: str, time_ms: int, signal: Signal) -> None:
        if signals is not None:
            signals.append((symbol, time_ms, signal.side))

    replay = Replay(config, open_tape(config, [str(p) for p in paths]), Options(on_signal=note))
    replay.run()
    return replay


def own(name: str, params: str = "") -> str:
    """An engine of a strategy of the conftest's."""
    return f'[engines.BTCUSDT]\nstrategy = "replayed:{name}"\n{params}\n'


def told() -> list[Any]:
    """What the noting strategy was told."""
    noted: list[Any] = sys.modules["replayed"].Log.told or sys.modules["replayed"].Quotes.told
    return noted


def side_prices(replay: Replay) -> list[tuple[str, Decimal]]:
    return [(fill.side.value, fill.price) for fill in replay.replay_journal.fills]


def test_events_come_in_file_order(tmp_path: Path) -> None:
    """Two trades of one ms, and one whose time runs backwards, stay where the file has them."""
    lines = [QUIET]
    lines += [trade_line(100, at=at, number=n) for n, at in enumerate((5, 5, 900, 700, 901))]
    path = write_lines(tmp_path / "r.jsonl", lines)
    replay = play(write_fleet(tmp_path, own("Log")), path)
    assert [event[1] for event in told() if event[0] == "trade"] == [0, 1, 2, 3, 4]
    assert replay.end_ms == START_MS + 901


def test_cycles_come_between_the_events_they_are_due_between(tmp_path: Path) -> None:
    """A cycle is told the time it was due, before the first event at or after it, once a gap."""
    lines = [trade_line(100, at=at, number=n) for n, at in enumerate((100, 900, 1100, 5200))]
    path = write_lines(tmp_path / "r.jsonl", [QUIET, *lines])
    play(write_fleet(tmp_path, own("Log")), path)
    start = START_MS / 1000
    assert told() == [
        ("trade", 0),
        ("trade", 1),
        ("cycle", start + 1),
        ("trade", 2),
        ("cycle", start + 5),
        ("trade", 3),
    ]


def test_bars_are_made_of_trades(tmp_path: Path) -> None:
    """A minute closes before the first trade after it; the last one, still open, is not told."""
    to_minute = 60_000 - START_MS % 60_000
    prices = ((100, -3_000), (103, -2_000), (101, -1), (105, 0))
    lines = [trade_line(price, at=to_minute + at, number=n) for n, (price, at) in enumerate(prices)]
    path = write_lines(tmp_path / "r.jsonl", [QUIET, *lines])
    play(write_fleet(tmp_path, own("Log")), path)
    opened = START_MS - START_MS % 60_000
    seen = [event for event in told() if event[0] != "cycle"]
    assert seen[2:] == [
        ("trade", 2),
        ("bar", opened, "101.00000000", 3),
        ("trade", 3),
    ]


def test_every_quote_is_told_to_who_wants_it(tmp_path: Path) -> None:
    """A strategy with `on_quote` gets each, in its place; nothing is conflated here."""
    lines = [QUIET, quote_line(98, 101, at=1), trade_line(100, at=2, number=1)]
    lines.append(quote_line(97, 101, at=3))
    path = write_lines(tmp_path / "r.jsonl", lines)
    play(write_fleet(tmp_path, own("Quotes")), path)
    kinds = [event for event in told() if event[0] in ("quote", "trade")]
    assert kinds == [("quote", "99"), ("quote", "98"), ("trade", 1), ("quote", "97")]


def test_orders_fill_at_the_quote_of_the_moment(tmp_path: Path) -> None:
    """The newest quote before the trade counts, not the newest of a batch."""
    lines = [
        QUIET,
        quote_line(109, 110, at=1),
        trade_line(110, at=2, number=2),
        quote_line(119, 120, at=3),
        trade_line(119, at=4, number=3),
        quote_line(1, 2, at=5),
    ]
    replay = play(
        write_fleet(tmp_path, own("Flip"), extra="[broker]\nslippage = 0\nfee = 0\n"),
        write_lines(tmp_path / "r.jsonl", lines),
    )
    assert side_prices(replay) == [("BUY", Decimal(110)), ("SELL", Decimal(119))]
    assert [fill.time_ms - START_MS for fill in replay.replay_journal.fills] == [2, 4]


def test_a_late_order_meets_a_later_quote(tmp_path: Path) -> None:
    """With latency the order fills at the quote of its arrival, quotes after it do not count."""
    lines = [
        QUIET,
        trade_line(100, at=10, number=2),
        quote_line(109, 110, at=50),
        quote_line(119, 120, at=200),
        trade_line(119, at=300, number=2_000),
    ]
    replay = play(
        write_fleet(tmp_path, own("Flip"), extra="[broker]\nslippage = 0\nlatency = 0.1\n"),
        write_lines(tmp_path / "r.jsonl", lines),
    )
    assert side_prices(replay) == [("BUY", Decimal(110))]


def test_an_order_on_its_way_at_the_end_arrives(tmp_path: Path) -> None:
    """A tape that ends does not lose what was sent."""
    lines = [QUIET, trade_line(100, at=10, number=2)]
    replay = play(
        write_fleet(tmp_path, own("Flip"), extra="[broker]\nlatency = 5\n"),
        write_lines(tmp_path / "r.jsonl", lines),
    )
    assert [side for side, _ in side_prices(replay)] == ["BUY"]
    assert replay.replay_journal.orders["levi-0-1-0"].status == "FILLED"


def test_on_fill_may_answer(tmp_path: Path) -> None:
    """A fill is told before the next event, and a signal it brings is carried out at once."""
    lines = [QUIET, trade_line(100, at=1, number=1), trade_line(100, at=2, number=2)]
    path = write_lines(tmp_path / "r.jsonl", lines)
    replay = play(write_fleet(tmp_path, own("Holder")), path)
    assert [side for side, _ in side_prices(replay)] == ["BUY", "SELL"]


@pytest.mark.parametrize("name", ["Slow", "Threaded"])
def test_async_strategies_decide_the_same(tmp_path: Path, name: str) -> None:
    """While a method waits the tape stands still, whatever it waits for."""
    lines = [QUIET, *(trade_line(100 + n % 2, at=n * 10, number=n) for n in range(2, 8))]
    path = write_lines(tmp_path / "r.jsonl", lines)
    plain = play(write_fleet(tmp_path, own("Flip")), path)
    waiting = play(write_fleet(tmp_path, own(name)), path)
    assert side_prices(waiting) == side_prices(plain)
    assert len(plain.replay_journal.fills) == 6


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit"])
def test_a_crash_restarts_by_the_policy(tmp_path: Path, error: str) -> None:
    """At once, then after the backoff of market time, then given up; the report says where."""
    params = f'params = {{ nth = 1, error = "{error}" }}'
    lines = [QUIET, *(trade_line(100, at=n * 100, number=n) for n in range(200))]
    path = write_lines(tmp_path / "r.jsonl", lines)
    config = write_fleet(
        tmp_path, own("Poison", params), extra="[recovery]\nmax_restarts = 3\njitter = 0\n"
    )
    engine_run = play(config, path).engine_runs["BTCUSDT"]
    assert [crash.restarts_in for crash in engine_run.crashes] == [0.0, 1.0, 2.0, None]
    assert [crash.time_ms - START_MS for crash in engine_run.crashes] == [0, 100, 1100, 3100]
    assert engine_run.has_failed
    assert engine_run.crashes[0].error == f"{error}: poisoned"
    assert "replayed.py" in engine_run.crashes[0].place


def test_ctrl_c_ends_the_replay(tmp_path: Path) -> None:
    """It is no engine's crash, and comes out as itself."""
    params = 'params = { nth = 1, error = "KeyboardInterrupt" }'
    path = write_lines(tmp_path / "r.jsonl", [QUIET, trade_line(100, at=1, number=1)])
    with pytest.raises(KeyboardInterrupt):
        play(write_fleet(tmp_path, own("Poison", params)), path)


def test_a_tape_that_goes_away_is_told_plainly(tmp_path: Path) -> None:
    """An error of the tape is one of the user's, not a group of them."""
    path = write_lines(tmp_path / "r.jsonl", [QUIET, trade_line(100, at=1, number=1)])
    config = write_fleet(tmp_path)
    replay = Replay(config, open_tape(config, [str(path)]))
    path.unlink()
    with pytest.raises(UsageError, match="expected a readable file"):
        replay.run()


def test_what_is_no_signal_is_a_crash(tmp_path: Path) -> None:
    """The engine's own check of answers holds here as well."""
    path = write_lines(tmp_path / "r.jsonl", [QUIET, trade_line(100, at=1, number=1)])
    engine_run = play(write_fleet(tmp_path, own("Wrong")), path).engine_runs["BTCUSDT"]
    assert engine_run.crashes[0].error.startswith("TypeError: on_trade: expected a Signal")


def test_the_loss_brake_holds_in_replay(tmp_path: Path) -> None:
    """A fall beyond the limit halts trading and flattens, by the tape's time."""
    lines = [QUIET, trade_line(100, at=1, number=2)]
    for second in range(1, 9):
        price = 100 - 8 * second
        lines.append(quote_line(price - 1, price, at=second * 1000))
        lines.append(trade_line(price, at=second * 1000 + 1, number=second * 2 + 2))
    risk = '[risk]\nmax_daily_loss = 0.02\non_loss = "flatten"\nprice_band = 1\n'
    config = write_fleet(tmp_path, own("Keeper"), risk=risk)
    replay = play(config, write_lines(tmp_path / "r.jsonl", lines))
    assert replay.assembly.account.trading_state == "halted"
    assert [order.reason for order in replay.replay_journal.orders.values()] == [
        "signal",
        "flatten",
    ]
    assert replay.assembly.symbol_states["BTCUSDT"].position.quantity == 0


def test_warm_up_bars_make_no_signals(tmp_path: Path) -> None:
    """The first bars are shown to the strategy, and what it answers is void."""
    lines = [QUIET]
    lines += [trade_line(100, at=n * 30_000, number=n) for n in range(12)]
    path = write_lines(tmp_path / "r.jsonl", lines)
    signals: list[Any] = []
    play(write_fleet(tmp_path, own("Barred")), path, signals=signals)
    all_of_them = len(signals)
    signals.clear()
    play(write_fleet(tmp_path, own("Barred", "warm_up = 3")), path, signals=signals)
    assert len(signals) == all_of_them - 3


def test_a_member_that_is_left_out_is_in_the_report(tmp_path: Path) -> None:
    """A live fleet logs it, a replay notes it: its figures are not those of the whole ensemble."""
    members = '{ rule = "breakout", params = { lookback = 2 } }, { score = "news.json" }'
    engine = f'[engines.BTCUSDT]\nstrategy = "ensemble"\nparams = {{ members = [{members}] }}\n'
    lines = [QUIET, *(trade_line(100 + n, at=n * 30_000, number=n) for n in range(12))]
    replay = play(write_fleet(tmp_path, engine), write_lines(tmp_path / "r.jsonl", lines))
    notes = document(replay, recording=[], overrides=[])["notes"]
    (told,) = (note for note in notes if "news.json" in note)
    assert told.startswith("BTCUSDT: score news.json is left out: ")
    assert "no past to replay" in told


def test_quotes_are_made_where_none_were_recorded(tmp_path: Path) -> None:
    """Orders fill around the last trade then, and the report says so."""
    lines = [trade_line(100, at=n, number=n) for n in range(2, 4)]
    config = write_fleet(tmp_path, own("Flip"), extra="[broker]\nslippage = 0\n")
    replay = play(config, write_lines(tmp_path / "r.jsonl", lines))
    assert side_prices(replay) == [("BUY", Decimal("100.01")), ("SELL", Decimal("99.99"))]
    assert any("no quotes were recorded of BTCUSDT" in note for note in replay.tape.notes())


def as_json(config: Any, paths: Sequence[Path]) -> str:
    replay = play(config, *paths)
    return json.dumps(document(replay, recording=[p.name for p in paths], overrides=[]))


@pytest.mark.skipif(not DATA.exists(), reason="the shared recordings are not beside the checkout")
def test_the_same_recording_twice_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """Orders, fills, trades, curve and figures, of two merged real recordings."""
    paths = [
        head_of("btcusdt_20240808.gz", 12_000, tmp_path),
        head_of("ethusdt_20240808.gz", 12_000, tmp_path),
    ]
    for extra in ("", "[broker]\nlatency = 0.05\n"):
        config = write_fleet(tmp_path, "[engines.BTCUSDT]\n[engines.ETHUSDT]\n", extra=extra)
        first = as_json(config, paths)
        assert json.loads(first)["fills"] > 10
        assert as_json(config, paths) == first


@pytest.mark.skipif(not DATA.exists(), reason="the shared recordings are not beside the checkout")
def test_every_trade_of_a_recording_is_told(tmp_path: Path) -> None:
    """As many as there are in the file, counted by other means."""
    path = DATA / "hftbacktest" / "btcusdt_20240808.gz"
    replay = play(write_fleet(tmp_path), path)
    assert replay.engine_runs["BTCUSDT"].trades == 9_757
