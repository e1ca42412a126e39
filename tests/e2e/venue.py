"""A client of a running fleet's simulator, with the key of the fleet's account."""

import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlencode

import attrs

from levitrio.venues.binance.orders.signing import HmacKey


@attrs.frozen
class AccountClient:
    """Signed REST, with a library that is not ours."""

    port: int
    key: str
    secret: str

    def ask(self, method: str, path: str, **params: object) -> Any:
        """One signed request; raises HTTPError for a refusal."""
        query = urlencode({**params, "timestamp": int(time.time() * 1000)})
        query += f"&signature={HmacKey(self.secret).sign(query)}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v3/{path}?{query}",
            method=method,
            headers={"X-MBX-APIKEY": self.key},
        )
        with urllib.request.urlopen(request, timeout=10.0) as answer:
            return json.load(answer)

    def open_orders(self) -> list[dict[str, Any]]:
        """Everything that rests on the account."""
        return list(self.ask("GET", "openOrders"))

    def buy(self, symbol: str, quantity: str) -> None:
        """A market order that no engine sent."""
        self.ask("POST", "order", symbol=symbol, side="BUY", type="MARKET", quantity=quantity)
