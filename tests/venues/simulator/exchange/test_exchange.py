"""Orders of an account against a market: acceptance, fills, money, events."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.venues.simulator.exchange.accounts import VenueAccount
from tests.venues.simulator.venues import SYMBOL, Signed, signed

D = Decimal


def place(client: Signed, side: str, kind: str, **params: Any) -> Any:
    """The answer to a new order, FULL, whatever came of it."""
    params = {"symbol": SYMBOL, "side": side, "type": kind, **params}
    if "LIMIT" in kind and kind != "LIMIT_MAKER":
        params.setdefault("timeInForce", "GTC")
    return json.loads(client.send("POST", "order", newOrderRespType="FULL", **params).body)


def held(account: VenueAccount, asset: str) -> tuple[Decimal, Decimal]:
    balance = account.balance(asset)
    return balance.free, balance.locked


def events(client: Signed) -> list[Any]:
    return [event for _, event in client.venue.exchange.take_events()]


def kinds(client: Signed) -> list[str]:
    return [f"{each.get('x', '')}:{each.get('X', each['e'])}" for each in events(client)]


def test_a_market_buy_pays_the_ask_and_receives_less_the_fee() -> None:
    """The fee comes out of what is bought: buying 2 leaves 1.998."""
    client = signed()
    answer = place(client, "BUY", "MARKET", quantity=2)
    assert answer["status"] == "FILLED"
    assert [(each["price"], each["qty"]) for each in answer["fills"]] == [
        ("101.00000000", "2.00000000")
    ]
    assert answer["fills"][0]["commission"] == "0.00200000"
    assert answer["fills"][0]["commissionAsset"] == "BTC"
    assert answer["cummulativeQuoteQty"] == "202.00000000"
    assert held(client.account, "USDT") == (D(9798), D(0))
    assert held(client.account, "BTC") == (D("11.998"), D(0))


def test_a_market_sale_receives_quote_less_the_fee() -> None:
    """Selling 2 at 99 brings 198 less 0.198."""
    client = signed()
    place(client, "SELL", "MARKET", quantity=2)
    assert held(client.account, "USDT") == (D("10197.802"), D(0))
    assert held(client.account, "BTC") == (D(8), D(0))


def test_a_market_order_by_amount() -> None:
    """100 USDT at 101 buy 0.990, the step being a thousandth."""
    answer = place(signed(), "BUY", "MARKET", quoteOrderQty=100)
    assert (answer["origQty"], answer["executedQty"]) == ("0.99000000", "0.99000000")
    assert (answer["status"], answer["origQuoteOrderQty"]) == ("FILLED", "100.00000000")


def test_what_the_market_does_not_hold_expires() -> None:
    """Ten are offered: a buy of twelve fills ten and expires, with its reason."""
    client = signed()
    answer = place(client, "BUY", "MARKET", quantity=12)
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "10.00000000")
    assert held(client.account, "USDT") == (D(8990), D(0))
    found = client.send("GET", "order", symbol=SYMBOL, orderId=answer["orderId"])
    assert json.loads(found.body)["expiryReason"] == "INSUFFICIENT_LIQUIDITY"


def test_a_resting_buy_locks_and_fills_as_maker() -> None:
    """Locked at its limit; a trade at its price fills it there, in parts, and releases the rest."""
    client = signed()
    answer = place(client, "BUY", "LIMIT", quantity=2, price=98, newClientOrderId="mine")
    assert (answer["status"], answer["fills"]) == ("NEW", [])
    assert held(client.account, "USDT") == (D(9804), D(196))
    assert client.watched == [(SYMBOL, True)]
    assert kinds(client) == ["NEW:NEW", ":outboundAccountPosition"]
    client.venue.exchange.see_trade(client.market.trade("98", "0.5", taker_sold=True))
    assert held(client.account, "USDT") == (D(9804), D(147))
    assert held(client.account, "BTC") == (D("10.4995"), D(0))
    reply = events(client)
    assert [reply[0][name] for name in ("x", "X", "l", "z", "L", "m", "N", "w")] == [
        "TRADE",
        "PARTIALLY_FILLED",
        "0.50000000",
        "0.50000000",
        "98.00000000",
        True,
        "BTC",
        True,
    ]
    client.venue.exchange.see_quote(client.market.move("96", "97"))
    assert held(client.account, "USDT") == (D(9804), D(0))
    assert kinds(client) == ["TRADE:FILLED", ":outboundAccountPosition"]
    assert client.watched == [(SYMBOL, True), (SYMBOL, False)]


def test_a_buy_better_than_its_limit_gets_the_difference_back() -> None:
    """A limit of 105 takes at 101: nothing stays locked, 101 a piece was paid."""
    client = signed()
    answer = place(client, "BUY", "LIMIT", quantity=2, price=105)
    assert answer["status"] == "FILLED"
    assert held(client.account, "USDT") == (D(9798), D(0))


def test_cancelling_releases() -> None:
    """What was locked is free again; the report carries both ids."""
    client = signed()
    place(client, "SELL", "LIMIT", quantity=3, price=110, newClientOrderId="mine")
    assert held(client.account, "BTC") == (D(7), D(3))
    events(client)
    answer = client.send(
        "DELETE", "order", symbol=SYMBOL, origClientOrderId="mine", newClientOrderId="stop-it"
    )
    reply = json.loads(answer.body)
    assert (reply["origClientOrderId"], reply["clientOrderId"]) == ("mine", "stop-it")
    assert (reply["status"], held(client.account, "BTC")) == ("CANCELED", (D(10), D(0)))
    report, balances = events(client)
    assert [report[name] for name in ("x", "X", "c", "C", "w")] == [
        "CANCELED",
        "CANCELED",
        "stop-it",
        "mine",
        False,
    ]
    assert {"a": "BTC", "f": "10.00000000", "l": "0.00000000"} in balances["B"]
    again = client.send("DELETE", "order", symbol=SYMBOL, origClientOrderId="mine")
    assert (again.status, json.loads(again.body)["code"]) == (400, -2011)


def test_ids_are_unique_among_open_orders_only() -> None:
    """A client id of an open order is refused; once that is done it may come again."""
    client = signed()
    place(client, "BUY", "LIMIT", quantity=1, price=90, newClientOrderId="mine")
    answer = place(client, "BUY", "LIMIT", quantity=1, price=90, newClientOrderId="mine")
    assert answer == {"code": -2010, "msg": "Duplicate order sent."}
    client.send("DELETE", "order", symbol=SYMBOL, origClientOrderId="mine")
    answer = place(client, "BUY", "MARKET", quantity=1, newClientOrderId="mine")
    assert answer["status"] == "FILLED"
    found = client.send("GET", "order", symbol=SYMBOL, origClientOrderId="mine")
    assert json.loads(found.body)["orderId"] == answer["orderId"]


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({"side": "BUY", "type": "MARKET", "quantity": 99.5}, -2010, "insufficient balance"),
        ({"side": "SELL", "type": "MARKET", "quantity": 11}, -2010, "insufficient balance"),
        (
            {"side": "BUY", "type": "LIMIT_MAKER", "quantity": 1, "price": 101},
            -2010,
            "immediately match",
        ),
        (
            {"side": "SELL", "type": "STOP_LOSS", "quantity": 1, "stopPrice": 100},
            -2010,
            "trigger immediately",
        ),
        ({"side": "BUY", "type": "MARKET", "quantity": "0.0005"}, -1013, "LOT_SIZE"),
        ({"side": "BUY", "type": "MARKET", "quantity": "0.001"}, -1013, "NOTIONAL"),
        (
            {"side": "BUY", "type": "LIMIT_MAKER", "quantity": 1, "price": "90.001"},
            -1013,
            "PRICE_FILTER",
        ),
        (
            {"side": "BUY", "type": "LIMIT_MAKER", "quantity": 1, "price": 1},
            -1013,
            "PERCENT_PRICE_BY_SIDE",
        ),
    ],
)
def test_refusals_leave_everything_as_it_was(params: dict[str, Any], code: int, text: str) -> None:
    """The venue's code and text; no order, no event, no lock."""
    market_holds_more = signed()
    market_holds_more.market.asks = [(D(101), D(1000))]
    client = market_holds_more
    answer = client.send("POST", "order", symbol=SYMBOL, **params)
    reply = json.loads(answer.body)
    assert (answer.status, reply["code"]) == (400, code)
    assert text in reply["msg"]
    assert events(client) == []
    assert client.account.orders == {}
    assert held(client.account, "USDT") == (D(10_000), D(0))


def test_a_stop_sleeps_until_the_market_gets_there() -> None:
    """Locked while it sleeps, not working; a trade at the price makes it a market order."""
    client = signed()
    place(client, "SELL", "STOP_LOSS", quantity=1, stopPrice=95)
    found = json.loads(client.send("GET", "openOrders", symbol=SYMBOL).body)
    assert [(each["isWorking"], each["stopPrice"]) for each in found] == [(False, "95.00000000")]
    assert held(client.account, "BTC") == (D(9), D(1))
    client.market.move("94", "94.5")
    events(client)
    client.venue.exchange.see_trade(client.market.trade("95", "1", taker_sold=True))
    assert kinds(client) == ["TRADE:FILLED", ":outboundAccountPosition"]
    assert held(client.account, "BTC") == (D(9), D(0))
    assert held(client.account, "USDT") == (D("10093.906"), D(0))


def test_a_stop_limit_rests_once_awake() -> None:
    """It becomes a limit order: what does not fill stays in the book, working."""
    client = signed()
    place(client, "BUY", "STOP_LOSS_LIMIT", quantity=1, price=100.5, stopPrice=105)
    client.market.move("104", "106")
    client.venue.exchange.see_trade(client.market.trade("105", "1", taker_sold=False))
    found = json.loads(client.send("GET", "openOrders", symbol=SYMBOL).body)
    assert [(each["isWorking"], each["status"]) for each in found] == [(True, "NEW")]


def test_a_stop_that_can_no_longer_be_paid_expires() -> None:
    """A buy that wakes far above its stop price costs more than was locked: it expires."""
    client = signed(USDT="105", BTC="0")
    place(client, "BUY", "STOP_LOSS", quantity=1, stopPrice=105)
    client.market.move("110", "111")
    client.venue.exchange.see_trade(client.market.trade("111", "1", taker_sold=False))
    assert kinds(client)[-2:] == ["EXPIRED:EXPIRED", ":outboundAccountPosition"]
    assert held(client.account, "USDT") == (D(105), D(0))


@pytest.mark.parametrize(
    ("tif", "status", "filled"),
    [("IOC", "EXPIRED", "10.00000000"), ("FOK", "EXPIRED", "0.00000000")],
)
def test_times_in_force(tif: str, status: str, filled: str) -> None:
    """IOC takes what is there, FOK nothing unless all is."""
    client = signed()
    answer = place(client, "BUY", "LIMIT", quantity=12, price=101, timeInForce=tif)
    assert (answer["status"], answer["executedQty"]) == (status, filled)
    assert client.account.open_orders() == []
    assert held(client.account, "USDT")[1] == 0


def test_our_own_orders_meet() -> None:
    """A buy takes our own resting sale: both are reported, nothing but the fee is lost."""
    client = signed()
    place(client, "SELL", "LIMIT", quantity=1, price=100.5)
    events(client)
    answer = place(client, "BUY", "LIMIT", quantity=1, price=100.5)
    assert answer["status"] == "FILLED"
    reply = [event for event in events(client) if event["e"] == "executionReport"]
    assert [(each["S"], each["x"], each["m"]) for each in reply] == [
        ("BUY", "NEW", False),
        ("SELL", "TRADE", True),
        ("BUY", "TRADE", False),
    ]
    assert reply[1]["t"] != reply[2]["t"]
    assert held(client.account, "BTC") == (D("9.999"), D(0))
    assert held(client.account, "USDT") == (D("9999.8995"), D(0))


def test_ids_grow_with_market_time() -> None:
    """Order and trade ids of a later run are above those of an earlier one."""
    early, late = signed(), signed()
    for client, time_ms in ((early, 1_750_000_000_000), (late, 1_750_000_060_000)):
        client.market.time_ms = time_ms
    one, other = (place(client, "BUY", "MARKET", quantity=1) for client in (early, late))
    assert one["orderId"] < other["orderId"]
    assert one["fills"][0]["tradeId"] < other["fills"][0]["tradeId"]


steps = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["BUY", "SELL"]),
            st.sampled_from(["MARKET", "LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT"]),
            st.integers(90, 110),
            st.integers(90, 110),
            st.integers(1, 30),
        ),
        st.tuples(st.just("trade"), st.booleans(), st.integers(90, 110), st.integers(1, 5)),
        st.tuples(st.just("move"), st.integers(90, 110)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
    ),
    max_size=30,
)


@given(steps)
def test_money_is_conserved(script: list[Any]) -> None:
    """Whatever happens: balances equal the start plus every trade reported, nothing is negative,
    and what is locked is exactly what open orders may still cost."""
    client = signed()
    for step in script:
        if step[0] == "trade":
            made = client.market.trade(str(step[2]), str(step[3]), taker_sold=step[1])
            client.venue.exchange.see_trade(made)
        elif step[0] == "move":
            quote = client.market.move(str(step[1] - 1), str(step[1] + 1))
            client.venue.exchange.see_quote(quote)
        elif step[0] == "cancel":
            open_orders = client.account.open_orders()
            if step[1] < len(open_orders):
                client.venue.exchange.cancel(open_orders[step[1]])
        else:
            side, kind, price, stop, quantity = step
            params = {"quantity": quantity}
            if "LIMIT" in kind:
                params["price"] = price
            if kind in {"STOP_LOSS_LIMIT", "TAKE_PROFIT"}:
                params["stopPrice"] = stop
            place(client, side, kind, **params)
        client.market.time_ms += 20_000
    account = client.account
    expected = {"USDT": D(10_000), "BTC": D(10)}
    for trade in account.trades.get(SYMBOL, ()):
        sign = 1 if trade.is_buyer else -1
        expected["BTC"] += sign * trade.quantity
        expected["USDT"] -= sign * trade.amount
        expected[trade.commission_asset] -= trade.commission
    for asset, total in expected.items():
        free, locked = held(account, asset)
        assert free + locked == total
        assert free >= 0
        assert locked == sum(
            (order.worst_cost for order in account.open_orders() if order.pays == asset), D(0)
        )
    trade_ids = [trade.trade_id for trade in account.trades.get(SYMBOL, ())]
    assert len(set(trade_ids)) == len(trade_ids)
