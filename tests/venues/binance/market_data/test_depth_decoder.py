"""Updates of order books, sound and hostile."""

import json
from typing import Any

import pytest

from levitrio.trading.order_book import DepthUpdate
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.depth_decoder import MAX_LEVELS
from levitrio.venues.binance.market_data.messages import Decoded, InvalidFrame
from levitrio.venues.binance.market_data.validation import RejectReason

UPDATE: dict[str, Any] = {
    "e": "depthUpdate",
    "E": 1723161255308,
    "s": "BTCUSDT",
    "U": 50093239203,
    "u": 50093239207,
    "b": [["55653.87000000", "0.00000000"]],
    "a": [["61838.04000000", "0.33232000"], ["61838.05000000", "1"]],
}


def decode(stream: str = "depth@100ms", **fields: object) -> Decoded:
    decoder = FrameDecoder()
    decoder.add("BTCUSDT", stream)
    frame = json.dumps({"stream": f"btcusdt@{stream}", "data": UPDATE | fields})
    decoded = decoder.decode(frame)
    compact = frame.replace(" ", "")
    assert decoder.decode_batch([frame, compact]) == [decoded, decoder.decode(compact)]
    return decoded


@pytest.mark.parametrize("stream", ["depth", "depth@100ms"])
def test_an_update(stream: str) -> None:
    """Levels stay text, in order; a quantity of zero, which removes one, is sound."""
    update = decode(stream)
    assert isinstance(update, DepthUpdate)
    assert (update.first_id, update.final_id) == (50093239203, 50093239207)
    assert update.bids == [("55653.87000000", "0.00000000")]
    assert update.asks[1] == ("61838.05000000", "1")
    assert isinstance(decode(stream, b=[], a=[]), DepthUpdate)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"s": "ETHUSDT"}, RejectReason.WRONG_SYMBOL),
        ({"U": 50093239208}, RejectReason.SEQUENCE),
        ({"U": -1}, RejectReason.SEQUENCE),
        ({"u": 2**63}, RejectReason.SEQUENCE),
        ({"E": 1_723_161_255}, RejectReason.TIME),
        ({"E": 1_723_161_255_308_000}, RejectReason.TIME),
        ({"b": [["1.0", "1"]] * (MAX_LEVELS - 1)}, RejectReason.OVERSIZED),
        ({"a": [["61838.04000000", "0.33232000"]] * 100_000}, RejectReason.OVERSIZED),
        ({"b": None}, RejectReason.MALFORMED),
        ({"b": [["1"]]}, RejectReason.MALFORMED),
        ({"b": [["1", "1", "1"]]}, RejectReason.MALFORMED),
        ({"b": [[1.5, "1"]]}, RejectReason.MALFORMED),
        ({"b": {"1": "1"}}, RejectReason.MALFORMED),
        *(
            ({"a": [[bad, "1"]]}, RejectReason.PRICE)
            for bad in ("0", "-1", "NaN", "1e3", "", "\u0663")
        ),
        *(({"a": [["1", bad]]}, RejectReason.QUANTITY) for bad in ("-1", "NaN", "1e308", "", " 1")),
    ],
)
def test_hostile_updates(fields: dict[str, Any], reason: RejectReason) -> None:
    """Whatever could not stand in a book is refused with its reason."""
    decoded = decode(**fields)
    assert isinstance(decoded, InvalidFrame)
    assert decoded.reason is reason
    assert decoded.symbol in ("BTCUSDT", None)
