"""The table of methods, its params, and the document made of it."""

import json
from typing import Any

import pytest

from levitrio.control import error_codes
from levitrio.control.fleet_interface import Peer
from levitrio.control.method import Request
from levitrio.control.methods import METHODS, convert_params, discover, error_data
from levitrio.control.params import CommandParams
from levitrio.control.responses import encode
from levitrio.errors import ControlError
from tests.control.fakes import FakeFleet

PEER = Peer(pid=1, uid=2)


def fleet(**options: Any) -> FakeFleet:
    return FakeFleet({"BTCUSDT": "running", "SOLUSDT": "running"}, **options)


async def ask(to: FakeFleet, name: str, **params: Any) -> Any:
    method = METHODS[name]
    request = Request(fleet=to, peer=PEER, params=convert_params(method, params))
    if method.answer is not None:
        return method.answer(request)
    assert method.carry_out is not None
    value = await method.carry_out(request)
    return value if method.finish is None else await method.finish(request, value)


def test_every_method_of_the_contract_is_there() -> None:
    """The table is closed, and complete."""
    names = (
        "ping status start stop restart pause resume reset reload history events.subscribe risk "
        "halt unhalt flatten metrics shutdown rpc.discover"
    )
    assert " ".join(METHODS) == names
    for method in METHODS.values():
        assert (method.answer is None) is not (method.carry_out is None)
        assert method.changes or not method.urgent
    urgent = {name for name, method in METHODS.items() if method.urgent}
    assert urgent == {"stop", "halt", "shutdown"}


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("stop", {"symbols": "SOLUSDT"}, "symbols"),
        ("stop", {"symbols": [1]}, "symbols"),
        ("stop", {"symbols": [""]}, "symbols"),
        ("stop", {"symbols": ["x" * 65]}, "symbols"),
        ("stop", {"symbols": None}, "symbols"),
        ("stop", {"symbol": "SOLUSDT"}, "symbol"),
        ("stop", {"wait": 1}, "wait"),
        ("stop", {"timeout": -1}, "timeout"),
        ("stop", {"timeout": 1e18}, "timeout"),
        ("stop", {"timeout": True}, "timeout"),
        ("stop", {"timeout": "1"}, "timeout"),
        ("stop", {"timeout": 10**400}, "timeout"),
        ("history", {}, "symbol"),
        ("history", {"symbol": "BTCUSDT", "limit": 0}, "limit"),
        ("history", {"symbol": "BTCUSDT", "limit": 1.9}, "limit"),
        ("events.subscribe", {"since": -1}, "since"),
        ("halt", {"reason": "x" * 501}, "reason"),
        ("shutdown", {"grace": 1e9}, "grace"),
        ("ping", {"x\x1b" * 20_000: 1}, "x\\\\x1b"),
        ("ping", {str(number): 1 for number in range(5000)}, "unknown field"),
    ],
)
def test_wrong_params_name_the_field(name: str, params: dict[str, Any], field: str) -> None:
    """-32602, short, printable, and it says which one."""
    with pytest.raises(ControlError, match=field) as caught:
        convert_params(METHODS[name], params)
    assert caught.value.code == error_codes.INVALID_PARAMS
    assert caught.value.message.isprintable()
    assert len(caught.value.message) <= 300


def test_timeout_may_be_a_whole_number() -> None:
    """JSON has one kind of number."""
    params = convert_params(METHODS["stop"], {"timeout": 5})
    assert isinstance(params, CommandParams)
    assert params.timeout == 5.0


async def test_status_of_some_and_in_short() -> None:
    """Symbols filter; the summary leaves the engines out."""
    whole = json.loads(await ask(fleet(), "status"))
    assert [engine["symbol"] for engine in whole["engines"]] == ["BTCUSDT", "SOLUSDT"]
    some = json.loads(await ask(fleet(), "status", symbols=["sol*"]))
    assert [engine["symbol"] for engine in some["engines"]] == ["SOLUSDT"]
    short = await ask(fleet(), "status", summary=True)
    assert short["total"] == 2
    assert "engines" not in short


async def test_a_command_reaches_the_fleet_with_its_peer() -> None:
    """Symbols are normalised before, and who asked goes along, for the journal."""
    to = fleet()
    result = await ask(to, "restart", symbols=["sol/usdt"])
    assert to.commands == [("restart", ("SOLUSDT",), PEER)]
    assert result["ok"] is True
    assert result["results"][0]["status"] == "restarted"


async def test_refused_by_all_is_an_error_refused_by_some_is_an_answer() -> None:
    """Either way each engine's reason and next command are there."""
    to = fleet(failed={"SOLUSDT"})
    with pytest.raises(ControlError) as caught:
        await ask(to, "start", symbols=["SOLUSDT"])
    assert caught.value.code == error_codes.REFUSED
    assert caught.value.hint == "levi ctl reset SOLUSDT"
    results: Any = error_data(caught.value)["results"]
    assert results[0]["symbol"] == "SOLUSDT"
    result = await ask(to, "start", all=True)
    assert result["ok"] is False
    assert [found["ok"] for found in result["results"]] == [True, False]


async def test_waiting_is_honest(autojump_clock: object) -> None:
    """An engine that never becomes ready is named, after the timeout."""
    to = fleet(never_ready={"SOLUSDT"})
    result = await ask(to, "start", all=True, wait=True, timeout=5)
    assert result["ok"] is False
    assert result["not_as_wanted"] == ["SOLUSDT"]


async def test_the_rest_of_the_table() -> None:
    """Each method answers plain data that can be written down."""
    to = fleet()
    to.emit("crash", "text")
    calls: dict[str, dict[str, Any]] = {
        "ping": {},
        "history": {"symbol": "btcusdt"},
        "events.subscribe": {},
        "risk": {},
        "halt": {"reason": "\x1bnow"},
        "unhalt": {},
        "flatten": {"all": True},
        "metrics": {},
        "shutdown": {},
        "rpc.discover": {},
    }
    found = {name: json.loads(encode(await ask(to, name, **p))) for name, p in calls.items()}
    assert found["ping"]["fleet"] == "demo"
    assert found["history"]["incidents"][0]["cause"] == "crash"
    assert found["events.subscribe"]["next_since"] == 1
    assert found["halt"]["reason"] == "\\x1bnow"
    assert found["metrics"]["text"].startswith("levitrio_engines")
    assert [name for name, _, _ in to.commands] == ["halt", "unhalt", "shutdown"]
    with pytest.raises(ControlError, match="one, got 2"):
        await ask(to, "history", symbol="*")
    with pytest.raises(ControlError, match="exclude"):
        await ask(to, "reload", flatten=True, keep_position=True)
    with pytest.raises(ControlError, match="nothing to reload"):
        await ask(to, "reload")


def test_the_document_describes_what_is_checked() -> None:
    """Every method with its params by name; the schemas are those of the checks."""
    document: Any = discover()
    assert document["openrpc"] == "1.3.2"
    described = {method["name"]: method for method in document["methods"]}
    assert list(described) == list(METHODS)
    (required,) = [p for p in described["history"]["params"] if p["required"]]
    assert required["name"] == "symbol"
    timeout = next(p for p in described["stop"]["params"] if p["name"] == "timeout")
    assert timeout["schema"]["maximum"] == 86_400
    assert all(method["paramStructure"] == "by-name" for method in described.values())
    for name, method in METHODS.items():
        schema = document["components"]["schemas"][method.params.__name__]
        assert schema["additionalProperties"] is False, name
