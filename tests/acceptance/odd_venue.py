"""`python -m tests.acceptance.odd_venue FILE ODDITY`: the simulator with a habit of real venues.

FILE holds, one below the other in JSON strings, an API key and what its signatures are checked
with; not the command line, because that everybody may read. The oddities:

    echoes   while `refuse` is 500, every request is refused with a text that quotes the key, behind
             as many characters as there were refusals, so that cutting the text cuts the key
    rests    market orders do not fill: they stay in the order book, as without sellers

Says its address on stdout, and serves until it is killed.
"""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path

import trio

from levitrio.trading.orders import OrderType
from levitrio.venues.simulator.exchange.accounts import ApiKey, VenueAccount, VenueOrder
from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.exchange import Exchange
from levitrio.venues.simulator.exchange.faults import FaultPlan
from levitrio.venues.simulator.exchange.order_request import OrderKind, OrderRequest
from levitrio.venues.simulator.server.simulator import Simulator

LONGEST_PADDING = 2_100
"""Characters: beyond every limit at which a text of ours is cut."""


def echo(*texts: str) -> None:
    """Quote these texts in refusals."""
    plain = FaultPlan.refusal
    refusals = 0

    def refusal(self: FaultPlan, wall_ms: int) -> ApiError | None:
        nonlocal refusals
        if self.now.refuse != 500:
            return plain(self, wall_ms)
        refusals += 1
        padding = "x" * (refusals * 7 % LONGEST_PADDING)
        return ApiError(-2010, f"\x1b[31m{padding} " + " ".join(texts), status=400)

    FaultPlan.refusal = refusal  # type: ignore[method-assign]


def rest() -> None:
    """Keep market orders in the order book."""
    plain = Exchange._new_order

    def new_order(
        self: Exchange, account: VenueAccount, request: OrderRequest, now_ms: int
    ) -> VenueOrder:
        order = plain(self, account, request, now_ms)
        if request.kind is OrderKind.MARKET:
            # What the venue says of it stays as it was asked for.
            market = self.market.rules(request.symbol)
            depth = self.market.depth(request.symbol, 1)
            assert market is not None
            assert depth is not None
            order.resting.type = OrderType.LIMIT
            order.resting.price = depth.bids[0][0] * Decimal("0.9") // market.tick * market.tick
        return order

    Exchange._new_order = new_order  # type: ignore[method-assign]


async def serve(simulator: Simulator) -> None:
    async with trio.open_nursery() as nursery:
        print(await nursery.start(simulator.run), flush=True)


def main(file: Path, oddity: str) -> None:
    """Serve with one oddity."""
    key, verifier, *echoed = map(json.loads, file.read_text().splitlines())
    if oddity == "echoes":
        echo(key, *echoed)
    else:
        rest()
    simulator = Simulator(
        seed=7, speed=20.0, wall_clock=time.time, keys=(ApiKey.of(key, verifier),)
    )
    trio.run(serve, simulator)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
