"""Entries that rest while a tape is played: filled, expired and called back in its own time."""

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from levitrio.errors import UsageError
from levitrio.replay.data.open_tape import open_tape
from levitrio.replay.report.report import document
from levitrio.replay.run import Replay
from tests.replay.files import START_MS, quote_line, trade_line, write_fleet, write_lines
from tests.replay.test_run import own, play, side_prices, told

RESTING = '[broker]\nslippage = 0\nfee = 0\nentry = "limit"\nentry_timeout = 10\n'

QUIET = quote_line(99, 101, at=0)


def statuses(replay: Replay) -> list[str]:
    return [order.status for order in replay.replay_journal.orders.values()]


def played(folder: Path, strategy: str, lines: list[str], extra: str = RESTING) -> Replay:
    config = write_fleet(folder, own(strategy), extra=extra)
    return play(config, write_lines(folder / "r.jsonl", [QUIET, *lines]))


def test_it_fills_when_the_tape_trades_through_it(tmp_path: Path) -> None:
    """A sale below the bid it rests at; at that moment, at its own price."""
    lines = [
        trade_line(100, at=10, number=2),
        trade_line("99.5", at=20, number=4),
        trade_line("98.9", at=30, number=6, quantity=50, is_sale=True),
    ]
    replay = played(tmp_path, "Flip", lines)
    assert side_prices(replay) == [("BUY", Decimal(99))]
    assert [fill.time_ms - START_MS for fill in replay.replay_journal.fills] == [30]
    assert statuses(replay) == ["FILLED"]


def test_at_its_price_the_queue_goes_first(tmp_path: Path) -> None:
    """One unit stood at 99 (as the quote said): of two units traded there one is ours."""
    lines = [
        trade_line(100, at=10, number=2),
        trade_line(99, at=20, number=4, quantity=1, is_sale=True),
        trade_line(99, at=30, number=6, quantity=1, is_sale=True),
    ]
    replay = played(tmp_path, "Flip", lines)
    assert [(fill.quantity, fill.time_ms - START_MS) for fill in replay.replay_journal.fills] == [
        (Decimal(1), 30)
    ]


def test_a_quote_that_comes_to_it_fills_it(tmp_path: Path) -> None:
    """Quotes are looked at one by one while something rests, though no strategy gets them."""
    lines = [
        trade_line(100, at=10, number=2),
        quote_line(98, 99, at=20),
        quote_line(99, 101, at=30),
        trade_line(100, at=40, number=4),
    ]
    replay = played(tmp_path, "Flip", lines)
    assert side_prices(replay) == [("BUY", Decimal(99))]


def test_it_expires_on_the_tapes_clock(tmp_path: Path) -> None:
    """Ten seconds after it was sent it is gone: a sale below it a moment later fills nothing."""
    lines = [trade_line(100, at=10, number=2)]
    lines += [trade_line("98.9", at=10_011, number=4, quantity=50, is_sale=True)]
    replay = played(tmp_path, "Keeper", lines)
    assert side_prices(replay) == []
    assert statuses(replay) == ["CANCELED"]
    lines[-1] = trade_line("98.9", at=10_009, number=4, quantity=50, is_sale=True)
    assert side_prices(played(tmp_path, "Keeper", lines)) == [("BUY", Decimal(99))]


def test_what_rests_at_the_end_expires(tmp_path: Path) -> None:
    """A tape that ends leaves no order open."""
    replay = played(tmp_path, "Flip", [trade_line(100, at=10, number=2)])
    assert statuses(replay) == ["CANCELED"]
    assert replay.assembly.symbol_states["BTCUSDT"].in_flight is None


def test_another_target_calls_it_back(tmp_path: Path) -> None:
    """Flat at the next trade: cancelled before the one after it, which would have filled it."""
    lines = [
        trade_line(100, at=10, number=2),
        trade_line(100, at=20, number=3),
        trade_line("98.9", at=30, number=5, quantity=50, is_sale=True),
    ]
    replay = played(tmp_path, "Flip", lines)
    assert side_prices(replay) == []
    assert statuses(replay) == ["CANCELED"]


def test_a_crash_calls_it_back(tmp_path: Path) -> None:
    """The engine that wanted it is gone: nothing is bought for it any more."""
    lines = [
        trade_line(100, at=10, number=2),
        trade_line(100, at=20, number=3),
        trade_line("98.9", at=30, number=5, quantity=50, is_sale=True),
    ]
    replay = played(tmp_path, "BuysAndCrashes", lines)
    assert side_prices(replay) == []
    assert "CANCELED" in statuses(replay)


def test_a_fill_may_be_answered(tmp_path: Path) -> None:
    """Bought at rest, sold at the market by `on_fill`, before the next event."""
    lines = [
        trade_line(100, at=10, number=2),
        trade_line("98.9", at=20, number=4, quantity=50, is_sale=True),
    ]
    replay = played(tmp_path, "Holder", lines)
    assert side_prices(replay) == [("BUY", Decimal(99)), ("SELL", Decimal(99))]


def test_strategies_are_told_the_same_as_without(tmp_path: Path) -> None:
    """What rests takes nothing from the market that engines hear."""
    lines = [trade_line(100 - n % 7, at=100 * n, number=n) for n in range(100)]
    heard = []
    for extra in (RESTING, "[broker]\nslippage = 0\nfee = 0\n"):
        engines = own("Log") + '[engines.ETHUSDT]\nstrategy = "replayed:Flip"\n'
        lines_of_both = [QUIET, quote_line(99, 101, at=0, symbol="ETHUSDT")]
        for n, line in enumerate(lines):
            lines_of_both += [line, trade_line(100, at=100 * n, number=n, symbol="ETHUSDT")]
        config = write_fleet(tmp_path, engines, extra=extra)
        play(config, write_lines(tmp_path / "r.jsonl", lines_of_both))
        heard.append(list(told()))
    assert heard[0] == heard[1]


def test_with_latency_it_rests_from_its_arrival(tmp_path: Path) -> None:
    """What trades through it while it is on its way is no fill; after that it is."""
    lines = [
        trade_line(100, at=10, number=2),
        trade_line("98.9", at=50, number=4, quantity=50, is_sale=True),
        trade_line("98.8", at=200, number=6, quantity=50, is_sale=True),
    ]
    replay = played(tmp_path, "Keeper", lines, extra=RESTING + "latency = 0.1\n")
    assert [fill.time_ms - START_MS for fill in replay.replay_journal.fills] == [200]


def test_a_maker_that_would_take_is_a_denial(tmp_path: Path) -> None:
    """While it was on its way the ask came down to it: missed, and the engine lives."""
    lines = [
        trade_line(100, at=10, number=2),
        quote_line(98, 99, at=50),
        trade_line(100, at=200, number=3),
    ]
    extra = RESTING.replace('"limit"', '"limit_maker"') + "latency = 0.1\n"
    replay = played(tmp_path, "Flip", lines, extra=extra)
    assert side_prices(replay) == []
    assert statuses(replay) == ["REJECTED"]
    assert replay.assembly.symbol_states["BTCUSDT"].denials["entry_missed"] == 1


def test_candles_are_refused(tmp_path: Path) -> None:
    """A candle does not tell what an order that rests got; the error says what to type."""
    path = tmp_path / "BTCUSDT-1m.csv"
    path.write_text("time,open,high,low,close,volume\n1790000000,1,2,0.5,1,10\n")
    config = write_fleet(tmp_path, own("Flip"), extra=RESTING)
    with pytest.raises(UsageError, match=r"--set broker\.entry=market"):
        open_tape(config, [str(path)])


def many_lines(seed: int) -> list[str]:
    """Two symbols, each a random walk, with quotes before trades."""
    dice, lines, at = random.Random(seed), [], 0
    middle = {"BTCUSDT": 10_000, "ETHUSDT": 10_000}
    for number in range(2_000):
        at += dice.randrange(1, 200)
        symbol = dice.choice(sorted(middle))
        middle[symbol] += dice.randrange(-3, 4)
        bid = Decimal(middle[symbol]) / 100
        ask = bid + Decimal("0.02")
        lines.append(quote_line(bid, ask, at=at, symbol=symbol))
        is_sale = dice.random() < 0.5
        lines.append(
            trade_line(
                bid if is_sale else ask,
                at=at,
                number=number,
                symbol=symbol,
                quantity=dice.randrange(1, 9),
                is_sale=is_sale,
            )
        )
    return lines


@pytest.mark.parametrize("latency", [0, 0.05])
def test_the_same_to_the_byte(latency: float, tmp_path: Path) -> None:
    """Whatever order trio wakes its tasks in: fills, expiries and cancels are those of the tape."""
    engines = (
        '[defaults]\nstrategy = "ema_cross"\nparams = { fast = 4, slow = 12 }\n'
        "[engines.BTCUSDT]\n[engines.ETHUSDT]\n"
    )
    extra = f'[broker]\nentry = "limit"\nentry_timeout = 3\nlatency = {latency}\n'
    config = write_fleet(tmp_path, engines, extra=extra)
    path = write_lines(tmp_path / "r.jsonl", many_lines(1))
    reports: list[Any] = []
    for _ in range(3):
        replay = play(config, path)
        report = document(replay, recording=["r"], overrides=[])
        report.pop("elapsed_seconds", None)
        reports.append(json.dumps(report, sort_keys=True))
        assert len(set(statuses(replay))) >= 2
        assert len(replay.replay_journal.fills) > 10
        for state in replay.assembly.symbol_states.values():
            mine = [f for f in replay.replay_journal.fills if f.symbol == state.symbol]
            held = sum((f.quantity * f.side.sign for f in mine), Decimal(0))
            assert state.position.quantity == held
    assert len(set(reports)) == 1
