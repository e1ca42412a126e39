"""Candle files as a tape: the layouts there are, their order, and what is refused."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from levitrio.config.loader import load
from levitrio.errors import UsageError
from levitrio.replay.data.open_tape import open_tape
from levitrio.replay.report.report import document
from levitrio.replay.run import Replay
from levitrio.trading.market import Bar
from levitrio.trading.market_view import MarketView
from tests.replay.files import DATA, write_fleet, write_lines

pytestmark = pytest.mark.long


real_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data is not here")

HEADER = "time,open,high,low,close,volume"


def bars_of(folder: Path, *recordings: str, engines: str = "[engines.BTCUSDT]\n") -> list[Bar]:
    config = write_fleet(folder, engines)
    return [event for event in open_tape(config, recordings) if isinstance(event, Bar)]


@pytest.mark.parametrize(
    "times",
    [
        ("1700000000", "1700000060"),
        ("1700000000000", "1700000060000"),
        ("1700000000000000", "1700000060000000"),
        ("2023-11-14T22:13:20Z", "2023-11-14T22:14:20+00:00"),
        ("2023-11-14 22:13:20", "2023-11-14 22:14:20"),
    ],
)
def test_times_in_any_unit(tmp_path: Path, times: tuple[str, str]) -> None:
    """Seconds, ms, us and ISO 8601 are the same moment; the interval is found from them."""
    path = write_lines(tmp_path / "c.csv", [HEADER, *(f"{t},1,2,0.5,1.5,10" for t in times)])
    first, second = bars_of(tmp_path, str(path))
    assert (first.open_time_ms, first.interval) == (1_700_000_000_000, "1m")
    assert (first.close_time_ms, second.open_time_ms) == (1_700_000_059_999, 1_700_000_060_000)
    assert (first.open, first.high, first.low, first.close) == (
        Decimal(1),
        Decimal(2),
        Decimal("0.5"),
        Decimal("1.5"),
    )


def test_symbols_one_after_the_other_are_told_by_time(tmp_path: Path) -> None:
    """A file that goes symbol by symbol is played as it happened; others are passed over."""
    rows = ["symbol,timeframe,open_time,open,high,low,close,volume"]
    for symbol in ("BTC/USDT", "ETH/USDT", "DOGE/USDT"):
        rows += [f"{symbol},5m,{t},1,1,1,1,1" for t in (1_700_000_100, 1_700_000_400)]
    path = write_lines(tmp_path / "c.csv", rows)
    bars = bars_of(tmp_path, str(path), engines="[engines.BTCUSDT]\n[engines.ETHUSDT]\n")
    assert [bar.symbol for bar in bars] == ["BTCUSDT", "ETHUSDT", "BTCUSDT", "ETHUSDT"]


def test_bad_rows_are_refused(tmp_path: Path) -> None:
    """A high below the low, a word, a short row and a candle that comes twice."""
    rows = [HEADER, *(f"{1_700_000_000 + 60 * n},1,1,1,1,1" for n in range(3))]
    rows += ["1700000180,1,1,2,1,1", "1700000240,1,x,1,1,1", "1700000300,1"]
    rows += ["1700000120,1,1,1,1,1", "", "1700000360,1,1,1,1,1e-1"]
    refused: list[str] = []
    config = write_fleet(tmp_path)
    path = write_lines(tmp_path / "c.csv", rows)
    tape = open_tape(config, [str(path)], on_refused=refused.append)
    bars = [event for event in tape if isinstance(event, Bar)]
    assert len(bars) == 4
    assert bars[-1].raw_volume == "0.1"
    assert len(refused) == 4
    assert "4 rows were refused" in tape.notes()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b,c\n1,2,3\n", "expected a recording, or a CSV"),
        ("", "expected a recording, or a CSV"),
        (f"{HEADER}\n1700000000,1,1,1,1,1\n1700000007,1,1,1,1,1\n", "times that are 7 s apart"),
        (
            f"symbol,{HEADER}\nDOGEUSDT,1700000000,1,1,1,1,1\nDOGEUSDT,1700000060,1,1,1,1,1\n",
            "expected candles of BTCUSDT, found those of DOGEUSDT",
        ),
        (
            f"timeframe,{HEADER}\n5m,1700000100,1,1,1,1,1\n1h,1700000000,1,1,1,1,1\n",
            r"candles of 5m, 1h: say which, for example with --set 'feed.streams=\[\"kline_1h\"\]'",
        ),
    ],
)
def test_what_is_no_candle_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Before anything is played, in one line that says what was expected."""
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        bars_of(tmp_path, str(path))


def test_the_symbol_of_a_file_that_does_not_say_it(tmp_path: Path) -> None:
    """From `SYMBOL=FILE`, or its name; else it is asked for."""
    rows = [HEADER, *(f"{1_700_000_000 + 60 * n},1,1,1,1,1" for n in range(3))]
    engines = "[engines.BTCUSDT]\n[engines.ETHUSDT]\n"
    path = write_lines(tmp_path / "c.csv", rows)
    assert bars_of(tmp_path, f"eth/usdt={path}", engines=engines)[0].symbol == "ETHUSDT"
    named = write_lines(tmp_path / "my_eth-usdt_1m.csv", rows)
    assert bars_of(tmp_path, str(named), engines=engines)[0].symbol == "ETHUSDT"
    with pytest.raises(UsageError, match=r"--recording SYMBOL=c\.csv"):
        bars_of(tmp_path, str(path), engines=engines)
    with pytest.raises(UsageError, match="expected a symbol of the fleet"):
        bars_of(tmp_path, f"SOLUSDT={path}", engines=engines)


def test_a_quote_stands_around_the_close(tmp_path: Path) -> None:
    """Half the spread on each side of the newest close."""
    path = write_lines(
        tmp_path / "c.csv", [HEADER, *(f"{1_700_000_000 + 60 * n},1,3,1,{n + 1},1" for n in (0, 1))]
    )
    tape = open_tape(write_fleet(tmp_path), [str(path)], spread=Decimal("0.01"))
    list(tape)
    views = {"BTCUSDT": MarketView(symbol="BTCUSDT")}
    tape.mark(views, ["BTCUSDT"])
    quote = views["BTCUSDT"].quote
    assert quote is not None
    assert (quote.bid, quote.ask) == (Decimal("1.99"), Decimal("2.01"))


@real_data
@pytest.mark.parametrize(
    ("name", "quote", "engines", "count"),
    [
        ("freqtrade/10pairs_BTC_5m_2018-01.csv.gz", "BTC", ("ETHBTC", "XMRBTC", "ADABTC"), 17_238),
        ("octobot/binance_4sym_4h_2024.csv.gz", "USDT", ("BTCUSDT", "SOLUSDT"), 1_000),
        ("basana/binance_btcusdt_day_2020.csv", "USDT", ("BTCUSDT",), 366),
        ("nautilus/ADABTC-1m-2021-11-27.csv", "BTC", ("ADABTC",), None),
    ],
)
def test_real_files_are_traded(
    tmp_path: Path, name: str, quote: str, engines: tuple[str, ...], count: int | None
) -> None:
    """Each layout of the shared data is read whole and traded on, twice the same."""
    path = tmp_path / "fleet.toml"
    tables = "".join(f"[engines.{symbol}]\n" for symbol in engines)
    path.write_text(
        f'[simulator]\n[fleet]\nquote = "{quote}"\n[risk]\nmax_daily_loss = 1\nmax_drawdown = 1\n'
        f'[defaults.params]\nsource = "bar"\nfast = 3\nslow = 8\n{tables}'
    )
    config = load(path)
    texts = []
    for _ in range(2):
        replay = Replay(config, open_tape(config, [str(DATA / name)]))
        replay.run()
        texts.append(json.dumps(document(replay, recording=[name], overrides=[])))
    report = json.loads(texts[0])
    assert texts[0] == texts[1]
    assert count is None or replay.events == count
    assert report["signals"] > 0
    assert report["orders"] == report["fills"]
