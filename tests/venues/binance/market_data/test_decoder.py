"""Frames of the venue, sound and hostile (catalogue of bad input, section C)."""

import gzip
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.venues.binance.market_data.decoder import MAX_FRAME, FrameDecoder, stream_name
from levitrio.venues.binance.market_data.messages import (
    Decoded,
    InvalidFrame,
    OpenCandle,
    Reply,
    ServerShutdown,
)
from levitrio.venues.binance.market_data.validation import INTERVALS, RejectReason, is_crossed
from tests.paths import SHARED

RECORDINGS = SHARED / "hftbacktest"

TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1723161255343,
    "s": "BTCUSDT",
    "t": 3735683259,
    "p": "61837.63000000",
    "q": "0.02000000",
    "T": 1723161255342,
    "m": True,
    "M": True,
}
QUOTE: dict[str, Any] = {
    "u": 50093239212,
    "s": "BTCUSDT",
    "b": "61837.63000000",
    "B": "3.78826000",
    "a": "61837.64000000",
    "A": "1.54698000",
}
CANDLE: dict[str, Any] = {
    "t": 1672515780000,
    "T": 1672515839999,
    "s": "BTCUSDT",
    "i": "1m",
    "f": 100,
    "L": 200,
    "o": "0.0010",
    "c": "0.0020",
    "h": "0.0025",
    "l": "0.0015",
    "v": "1000",
    "n": 100,
    "x": True,
    "q": "1.0000",
    "V": "500",
    "Q": "0.500",
    "B": "123456",
}
CANDLE["o"] = "0.0016"

BAD_AMOUNTS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "-1",
    "+1",
    "0",
    "0.00000000",
    "-0",
    "",
    ".",
    "1.",
    ".5",
    "1,000.5",
    "1e3",
    "1E+200000",
    "0x10",
    " 1 ",
    "1\n",
    "1_000",
    "\u0663",
    "1.2.3",
    "9" * 400,
    "1e308",
]
WRONG_TYPES: list[Any] = [None, [], {}, 1.5, True, ["1"]]
"""Of a text, and of a whole number."""
BAD_TIMES: list[Any] = [
    0,
    1_723_161_255,
    1_723_161_255_342_000,
    1_723_161_255_342_000_000,
    -1,
    2**63,
    2**70,
    "1723161255342",
]


def compact(stream: str, data: object) -> str:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"), ensure_ascii=False)


def decoder_of(*streams: str) -> FrameDecoder:
    decoder = FrameDecoder()
    for stream in streams or ("trade", "bookTicker", "kline_1m"):
        decoder.add("BTCUSDT", stream)
    return decoder


def trade_with(**fields: object) -> str:
    return compact("btcusdt@trade", TRADE | fields)


def quote_with(**fields: object) -> str:
    return compact("btcusdt@bookTicker", QUOTE | fields)


def candle_with(symbol: str = "BTCUSDT", stream: str = "kline_1m", **fields: object) -> str:
    data = {"e": "kline", "E": 1672515782136, "s": symbol, "k": CANDLE | fields}
    return compact(f"btcusdt@{stream}", data)


def decode(frame: str | bytes) -> Decoded:
    """By itself, and as a part of a read: always the same, and its neighbours suffer nothing."""
    decoded = decoder_of().decode(frame)
    read = [trade_with(), frame, quote_with()]
    assert decoder_of().decode_batch(read) == [decoder_of().decode(one) for one in read]
    assert decoder_of().decode_batch([frame]) == [decoded]
    return decoded


def refused(reason: RejectReason) -> InvalidFrame:
    return InvalidFrame(reason=reason, symbol="BTCUSDT")


def test_trade() -> None:
    """A trade becomes the value a strategy receives, its numbers exact."""
    trade = decode(trade_with())
    assert isinstance(trade, Trade)
    assert (trade.symbol, trade.trade_id, trade.buyer_is_maker) == ("BTCUSDT", 3735683259, True)
    assert (trade.price, trade.quantity) == (Decimal("61837.63"), Decimal("0.02"))
    assert trade.time_ms == 1723161255342


def test_quote() -> None:
    """A bookTicker frame becomes a quote."""
    quote = decode(quote_with())
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.ask) == (Decimal("61837.63"), Decimal("61837.64"))
    assert (quote.bid_quantity, quote.ask_quantity) == (Decimal("3.78826"), Decimal("1.54698"))
    assert quote.update_id == 50093239212


def test_bar_only_when_closed() -> None:
    """An open candle is only a sign of life; closed, it is a bar."""
    alive = OpenCandle(symbol="BTCUSDT", interval="1m", open_time_ms=1672515780000)
    assert decode(candle_with(x=False)) == alive
    bar = decode(candle_with())
    assert isinstance(bar, Bar)
    assert (bar.open, bar.high, bar.low, bar.close) == tuple(
        map(Decimal, ("0.0016", "0.0025", "0.0015", "0.0020"))
    )
    assert (bar.volume, bar.trades, bar.interval) == (Decimal(1000), 100, "1m")


def test_filler_bar_passes() -> None:
    """A quiet interval closes with no volume and no trades, and that is sound."""
    bar = decode(candle_with(v="0.00000000", n=0))
    assert isinstance(bar, Bar)
    assert bar.trades == 0


@pytest.mark.parametrize("frame", [trade_with(), quote_with(), candle_with()])
def test_order_of_keys_and_blanks_do_not_matter(frame: str) -> None:
    """The same frame written another way decodes to the same value."""
    expected = decode(frame)
    loaded = json.loads(frame)
    turned = {"data": dict(reversed(loaded["data"].items())), "stream": loaded["stream"]}
    for text in (json.dumps(turned), json.dumps(loaded, indent=2), f" {frame}\n"):
        assert decode(text) == expected


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
def test_hostile_amounts(amount: str) -> None:
    """No unsound number passes, in any field that holds one."""
    assert decode(trade_with(p=amount)) == refused(RejectReason.PRICE)
    assert decode(trade_with(q=amount)) == refused(RejectReason.QUANTITY)
    assert decode(quote_with(b=amount)) == refused(RejectReason.PRICE)
    assert decode(quote_with(a=amount)) == refused(RejectReason.PRICE)
    assert decode(quote_with(B=amount)) == refused(RejectReason.QUANTITY)
    assert decode(quote_with(A=amount)) == refused(RejectReason.QUANTITY)
    for key in "ohlc":
        assert decode(candle_with(**{key: amount})) == refused(RejectReason.PRICE)
    if not amount.startswith("0"):  # no volume at all is sound
        assert decode(candle_with(v=amount)) == refused(RejectReason.QUANTITY)


@pytest.mark.parametrize("value", WRONG_TYPES)
def test_wrong_types_are_malformed(value: object) -> None:
    """A field of another type is refused with its symbol."""
    for key in "pqstT":
        assert decode(trade_with(**{key: value})) == refused(RejectReason.MALFORMED)
    for key in "bBaAsu":
        assert decode(quote_with(**{key: value})) == refused(RejectReason.MALFORMED)
    assert decode(candle_with(k=None, o=value)) == refused(RejectReason.MALFORMED)


@pytest.mark.parametrize("time", BAD_TIMES)
def test_absurd_times(time: Any) -> None:
    """Seconds, microseconds, 1970 and beyond 63 bits are refused."""
    assert decode(trade_with(T=time)) in (
        refused(RejectReason.TIME),
        refused(RejectReason.MALFORMED),
    )
    assert decode(candle_with(t=time)) in (
        refused(RejectReason.TIME),
        refused(RejectReason.MALFORMED),
    )


def test_time_ahead_of_the_clock() -> None:
    """With a clock behind it, the decoder refuses what lies beyond."""
    decoder = decoder_of()
    decoder.latest_ms = TRADE["T"]
    assert decoder.decode(trade_with()) == refused(RejectReason.TIME)
    decoder.latest_ms = TRADE["T"] + 1
    assert isinstance(decoder.decode(trade_with()), Trade)


@pytest.mark.parametrize("identity", [-1, 2**63, 2**64])
def test_impossible_ids(identity: int) -> None:
    """An id is from 0 to 63 bits."""
    possible = (refused(RejectReason.SEQUENCE), refused(RejectReason.MALFORMED))
    assert decode(trade_with(t=identity)) in possible
    assert decode(quote_with(u=identity)) in possible


@pytest.mark.parametrize(
    ("bid", "ask"), [("2.00", "1.00"), ("1.00", "1.00"), ("1", "1.000"), ("10.0", "9.99")]
)
def test_crossed_quotes(bid: str, ask: str) -> None:
    """Bid at or above ask is refused, however the two are written."""
    assert decode(quote_with(b=bid, a=ask)) == refused(RejectReason.CROSSED)


def test_a_tie_of_floats_is_compared_exactly() -> None:
    """Two prices that one float cannot tell apart are still in order."""
    assert not is_crossed("10000000000.00000001", "10000000000.00000002")
    assert is_crossed("10000000000.00000002", "10000000000.00000001")


@pytest.mark.parametrize("symbol", ["ETHUSDT", "btcusdt", "", "BTCUSDT "])
def test_wrong_symbols(symbol: str) -> None:
    """A payload that names another symbol than its stream is refused."""
    assert decode(trade_with(s=symbol)) == refused(RejectReason.WRONG_SYMBOL)
    assert decode(quote_with(s=symbol)) == refused(RejectReason.WRONG_SYMBOL)
    assert decode(candle_with(symbol=symbol)) == refused(RejectReason.WRONG_SYMBOL)
    assert decode(candle_with(s=symbol)) == refused(RejectReason.WRONG_SYMBOL)


@pytest.mark.parametrize(
    "stream",
    ["ethusdt@trade", "BTCUSDT@trade", "btcusdt@aggTrade", "", "\u0000", "btcusdt@kline_1M"],
)
def test_streams_without_a_subscription(stream: str) -> None:
    """Sound data on an unknown stream goes nowhere."""
    for data in (TRADE, QUOTE, {"k": CANDLE}):
        assert decode(compact(stream, data)) == InvalidFrame(reason=RejectReason.UNKNOWN_STREAM)


def test_discarded_stream() -> None:
    """After a stream was discarded its frames are unknown, those of others are not."""
    decoder = decoder_of()
    for name in ("btcusdt@trade", "btcusdt@kline_1m"):
        decoder.discard(name)
    assert decoder.decode(trade_with()) == InvalidFrame(reason=RejectReason.UNKNOWN_STREAM)
    assert decoder.decode(candle_with()) == InvalidFrame(reason=RejectReason.UNKNOWN_STREAM)
    assert isinstance(decoder.decode(quote_with()), Quote)


def test_kinds_do_not_mix() -> None:
    """A trade on the quotes' stream is no quote, and the other way round."""
    assert decode(compact("btcusdt@bookTicker", TRADE)) == refused(RejectReason.MALFORMED)
    assert decode(compact("btcusdt@trade", QUOTE)) == refused(RejectReason.MALFORMED)
    assert decode(compact("btcusdt@kline_1m", TRADE)) == refused(RejectReason.MALFORMED)


@pytest.mark.parametrize(
    "fields",
    [
        {"h": "0.0017"},
        {"l": "0.0018"},
        {"n": -1},
        {"i": "5m"},
        {"i": "1M"},
        {"t": 1672515780001, "T": 1672515840000},
        {"T": 1672515840000},
        {"T": 0},
    ],
)
def test_candles_that_contradict_themselves(fields: dict[str, Any]) -> None:
    """High, low, times and interval must fit each other and the stream."""
    assert decode(candle_with(**fields)) == refused(RejectReason.CANDLE)


MONDAY = 1_704_067_200_000  # 2024-01-01, also the first of a month
DAY = 86_400_000


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_is_accepted_on_its_grid(interval: str) -> None:
    """A closed candle of each of the venue's intervals passes; off its grid it does not."""
    length = INTERVALS[interval] or 31 * DAY
    decoder = decoder_of(f"kline_{interval}")

    def at(start: int) -> Decoded:
        return decoder.decode(
            candle_with(stream=f"kline_{interval}", i=interval, t=start, T=start + length - 1)
        )

    assert isinstance(at(MONDAY), Bar)
    off_grid = MONDAY + (DAY if interval in ("1w", "1M") else 500)
    assert at(off_grid) == refused(RejectReason.CANDLE)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"{}", RejectReason.BINARY),
        (trade_with().encode(), RejectReason.BINARY),
        ("", RejectReason.MALFORMED),
        ("x", RejectReason.MALFORMED),
        ("<html>", RejectReason.MALFORMED),
        ("[]", RejectReason.MALFORMED),
        ("{}", RejectReason.MALFORMED),
        ("null", RejectReason.MALFORMED),
        ("NaN", RejectReason.MALFORMED),
        ("[" * 100_000, RejectReason.MALFORMED),
        ('{"stream":"btcusdt@trade","data":' + "[" * 100_000, RejectReason.MALFORMED),
        ('{"stream":"btcusdt@trade"}', RejectReason.MALFORMED),
        ('{"stream":1,"data":{}}', RejectReason.MALFORMED),
        ("9" * 5000, RejectReason.MALFORMED),
        ('{"id":' + "9" * 5000 + "}", RejectReason.MALFORMED),
        ("\ud800", RejectReason.MALFORMED),
        (trade_with() + "x", RejectReason.MALFORMED),
        (trade_with() + trade_with(), RejectReason.MALFORMED),
        (" " * MAX_FRAME + trade_with(), RejectReason.OVERSIZED),
        (json.dumps(TRADE), RejectReason.MALFORMED),
        ('{"stream":"btcusdt@depth","data":[1]}', RejectReason.MALFORMED),
    ],
)
def test_garbage(frame: str | bytes, reason: RejectReason) -> None:
    """What is no frame at all is refused with a reason, in microseconds."""
    decoded = decode(frame)
    assert isinstance(decoded, InvalidFrame)
    assert decoded.reason is reason


@pytest.mark.parametrize(
    ("frame", "reply"),
    [
        ('{"result":null,"id":1}', Reply(id=1)),
        ('{"id":"a-b","result":["btcusdt@trade"]}', Reply(id="a-b", result=["btcusdt@trade"])),
        ('{"code":2,"msg":"Invalid request","id":3}', Reply(id=3, error="2: Invalid request")),
        ('{"error":{"code":2},"id":4}', Reply(id=4, error="{'code': 2}")),
        (
            '{"code":0,"msg":"Unknown property","id":null}',
            Reply(id=None, error="0: Unknown property"),
        ),
    ],
)
def test_replies(frame: str, reply: Reply) -> None:
    """Answers to our messages are told from data, and a refusal keeps the venue's words."""
    assert decode(frame) == reply


@pytest.mark.parametrize(
    "frame",
    [
        '{"e":"serverShutdown","E":1723161255343}',
        '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1723161255343}}',
    ],
)
def test_shutdown_is_noticed(frame: str) -> None:
    """The announcement of a shutdown is understood raw and combined."""
    assert decode(frame) == ServerShutdown()


@pytest.mark.parametrize("stream", ["depth20", "aggTrade", "kline_", "kline_7m", "kline_1M ", ""])
def test_streams_we_cannot_decode(stream: str) -> None:
    """Asking for a stream we do not know is the caller's mistake, and says what is possible."""
    with pytest.raises(ValueError, match="expected trade, bookTicker, depth"):
        stream_name("BTCUSDT", stream)


FIELDS = ["p", "q", "t", "T", "s"]
VALUES = ["1.5", "0012.5", "1." + "1" * 21, "1" * 21, "1,2", "", "2e1", " 3", TRADE["T"], -1, 2**63]


@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda key, value: trade_with(**{key: value}),
                st.sampled_from(FIELDS),
                st.sampled_from([*VALUES, *BAD_AMOUNTS]),
            ),
            st.builds(
                lambda bid, ask: quote_with(b=bid, a=ask),
                *[st.sampled_from(["1", "1.0", "1.00000000000000001", "2", "010", "1,1"])] * 2,
            ),
            st.sampled_from([candle_with(), '{"result":null,"id":1}', "x", b"x", ""]),
        ),
        max_size=8,
    )
)
@example([trade_with(q="1,2"), trade_with(q="")])
def test_a_batch_is_its_frames_one_by_one(frames: list[str | bytes]) -> None:
    """What is judged together is judged as each would be alone, in the same order."""
    assert decoder_of().decode_batch(frames) == [decoder_of().decode(frame) for frame in frames]


def is_sound(event: MarketEvent) -> bool:
    """Only what a strategy can live with."""
    if isinstance(event, Trade):
        return 0 < event.price < 10**20 and 0 < event.quantity < 10**20 and event.trade_id >= 0
    if isinstance(event, Quote):
        return 0 < event.bid < event.ask and event.bid_quantity > 0 and event.ask_quantity > 0
    return 0 < event.low <= min(event.open, event.close) and event.high >= event.open


def assert_harmless(decoded: Decoded) -> None:
    if isinstance(decoded, MarketEvent):
        assert is_sound(decoded)
    else:
        assert isinstance(decoded, OpenCandle | Reply | ServerShutdown | InvalidFrame)


@given(st.one_of(st.binary(), st.text(), st.text(st.characters(categories=["Cs", "Nd", "Po"]))))
def test_no_input_raises(frame: str | bytes) -> None:
    """Any bytes and any text are answered with a value."""
    assert_harmless(decode(frame))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(BAD_AMOUNTS), st.decimals().map(str),
)  # fmt: skip


@given(
    base=st.sampled_from([TRADE, QUOTE, CANDLE]),
    stream=st.sampled_from(["btcusdt@trade", "btcusdt@bookTicker", "btcusdt@kline_1m"]),
    changes=st.dictionaries(st.sampled_from(sorted({*TRADE, *QUOTE, *CANDLE})), SCALARS),
    cut=st.integers(0, 400),
)
@example(base=TRADE, stream="btcusdt@trade", changes={}, cut=400)
def test_no_changed_frame_raises_or_is_unsound(
    base: dict[str, Any], stream: str, changes: dict[str, Any], cut: int
) -> None:
    """Sound frames with changed fields, on right and wrong streams, whole and cut short."""
    data: dict[str, Any] = base | changes
    if base is CANDLE:
        data = {"e": "kline", "s": "BTCUSDT", "k": data}
    frame = compact(stream, data)
    assert_harmless(decode(frame))
    assert_harmless(decode(frame[:cut]))


@pytest.mark.parametrize(
    ("name", "trades", "quotes", "others"),
    [("btcusdt", 9757, 28040, 3451), ("ethusdt", 6106, 24077, 3434)],
)
def test_real_recordings_decode_fully(name: str, trades: int, quotes: int, others: int) -> None:
    """Every trade and quote of the recordings is sound, exact, and counted; depth is unknown."""
    path = RECORDINGS / f"{name}_20240808.gz"
    if not path.exists():
        pytest.skip("the shared recordings are not beside this checkout")
    decoder = FrameDecoder()
    for stream in ("trade", "bookTicker"):
        decoder.add(name.upper(), stream)
    kinds: Counter[str] = Counter()
    ids = []
    with gzip.open(path, "rt", encoding="ascii") as lines:
        for line in lines:
            frame = line.split(" ", 1)[1].rstrip("\n")
            if not frame.startswith('{"stream"'):
                continue  # the REST snapshot
            decoded = decoder.decode(frame)
            if isinstance(decoded, InvalidFrame):
                kinds[decoded.reason.value] += 1
                continue
            assert isinstance(decoded, Trade | Quote)
            kinds[decoded.kind] += 1
            if isinstance(decoded, Trade):
                ids.append(decoded.trade_id)
    assert kinds == {"trade": trades, "quote": quotes, "unknown_stream": others}
    assert ids == list(range(ids[0], ids[0] + trades))
