"""One client over in-memory streams, in virtual time: slow, silent, greedy, gone."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from levitrio.control import error_codes
from levitrio.control.fleet_interface import Peer
from levitrio.control.methods import METHODS
from levitrio.control.server import carry_out
from levitrio.control.session import MAX_IN_FLIGHT, ClientSession
from levitrio.control.unix_stream import LocalStream
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder


@attrs.define(eq=False)
class Client:
    """The other end of a session."""

    stream: trio.StapledStream[Any, Any]
    fleet: FakeFleet
    session: ClientSession
    log: Recorder
    over: trio.Event = attrs.field(factory=trio.Event)
    _buffer: bytearray = attrs.field(factory=bytearray)

    async def say(self, *messages: Any) -> None:
        await self.stream.send_all(b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    async def ask(self, method: str, request_id: int | str = 1, **params: Any) -> None:
        await self.say({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})

    async def hear(self) -> Any:
        """The next message; None when the session closed the connection."""
        while (end := self._buffer.find(b"\n")) < 0:
            data = await self.stream.receive_some()
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return json.loads(line)


@asynccontextmanager
async def client(fleet: FakeFleet | None = None, **options: Any) -> AsyncIterator[Client]:
    ours, theirs = trio.testing.memory_stream_pair()
    fleet = fleet or FakeFleet({"BTCUSDT": "running", "SOLUSDT": "running"})
    log = Recorder()
    async with trio.open_nursery() as nursery:
        session = ClientSession(
            fleet=fleet,
            stream=theirs,
            peer=Peer(pid=1, uid=1),
            carry_out=partial(carry_out, nursery),
            log=log,
            **options,
        )
        end = Client(ours, fleet, session, log)

        async def run_session() -> None:
            await session.run()
            end.over.set()

        nursery.start_soon(run_session)
        yield end
        await ours.aclose()
        with trio.fail_after(100):
            await end.over.wait()


async def test_calls_are_answered_in_turn(autojump_clock: object) -> None:
    """Several lines in one write, each answered under its id."""
    async with client() as end:
        await end.stream.send_all(
            b'\n{"jsonrpc":"2.0","id":"a","method":"ping"}\r\n'
            b'{"jsonrpc":"2.0","id":"b","method":"status","params":{"summary":true}}\n'
        )
        assert (await end.hear())["id"] == "a"
        assert (await end.hear())["result"]["total"] == 2


async def test_faults_are_answered_and_the_connection_lives(autojump_clock: object) -> None:
    """Unknown method, wrong params, unknown symbol with a suggestion; then a ping."""
    async with client() as end:
        await end.ask("os.system")
        assert (await end.hear())["error"] == {
            "code": error_codes.UNKNOWN_METHOD,
            "message": "no such method",
        }
        await end.ask("stop", symbols="SOLUSDT")
        assert (await end.hear())["error"]["code"] == error_codes.INVALID_PARAMS
        await end.ask("stop", symbols=["SOLUSTD"])
        error = (await end.hear())["error"]
        assert error["code"] == error_codes.UNKNOWN_SYMBOL
        assert error["data"]["suggestions"] == ["SOLUSDT"]
        await end.ask("ping")
        assert (await end.hear())["result"]["fleet"] == "demo"


async def test_a_bug_in_a_method_costs_one_answer(autojump_clock: object) -> None:
    """The client learns the type, the log the text, the connection lives."""
    async with client(FakeFleet({}, bug=RuntimeError("secret text"))) as end:
        await end.ask("status")
        error = (await end.hear())["error"]
        assert error["code"] == error_codes.INTERNAL_ERROR
        assert "secret" not in error["message"]
        assert "secret text" in str(end.log.logged)
        await end.ask("ping")
        assert "result" in await end.hear()


async def test_a_batch_is_answered_as_one(autojump_clock: object) -> None:
    """In order, without the notification, which is carried out all the same."""
    async with client() as end:
        await end.say(
            [
                {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                {"jsonrpc": "2.0", "method": "stop", "params": {"all": True}},
                7,
                {"jsonrpc": "2.0", "id": 2, "method": "pause", "params": {"symbols": ["btcusdt"]}},
            ]
        )
        answers = await end.hear()
        assert [answer["id"] for answer in answers] == [1, None, 2]
        assert [command[0] for command in end.fleet.commands] == ["stop", "pause"]
        await end.say([{"jsonrpc": "2.0", "method": "ping"}])
        await end.ask("ping", 9)
        assert (await end.hear())["id"] == 9


async def test_a_ninth_call_in_flight_is_refused(autojump_clock: object) -> None:
    """Eight are carried out, under equal ids as well; the ninth is refused as busy."""
    async with client(FakeFleet({"BTCUSDT": "running"}, slow=3)) as end:
        for _ in range(MAX_IN_FLIGHT + 1):
            await end.ask("restart", "same", all=True)
        answers = [await end.hear() for _ in range(MAX_IN_FLIGHT + 1)]
        assert [answer["error"]["code"] for answer in answers[:1]] == [error_codes.BUSY]
        assert all(answer["result"]["ok"] for answer in answers[1:])
        assert {answer["id"] for answer in answers} == {"same"}


async def test_half_a_line_and_silence_ends_in_5_seconds(autojump_clock: object) -> None:
    """Dripping single bytes buys no time: it counts from the first byte of the line."""
    async with client() as end:
        start = trio.current_time()
        while not end.over.is_set():
            await end.stream.send_all(b"{")
            with trio.move_on_after(1):
                await end.over.wait()
        assert trio.current_time() - start == pytest.approx(5)


async def test_silence_ends_in_60_seconds(autojump_clock: object) -> None:
    """Nothing said, nothing in flight."""
    async with client() as end:
        start = trio.current_time()
        assert await end.hear() is None
        assert trio.current_time() - start == pytest.approx(60)


@pytest.mark.parametrize("begun", [0.5, 4.0, 59.5])
async def test_a_line_has_5_seconds_whenever_it_began(begun: float, autojump_clock: object) -> None:
    """Whatever the silence before it would still have been allowed."""
    async with client() as end:
        await trio.sleep(begun)
        start = trio.current_time()
        await end.stream.send_all(b"{")
        assert await end.hear() is None
        assert trio.current_time() - start == pytest.approx(5)


async def test_silence_counts_from_the_last_answer(autojump_clock: object) -> None:
    """Asking every 59 seconds keeps a connection."""
    async with client() as end:
        for _ in range(3):
            await trio.sleep(59)
            await end.ask("ping")
            assert "result" in await end.hear()
        start = trio.current_time()
        assert await end.hear() is None
        assert trio.current_time() - start == pytest.approx(60)


async def test_a_late_loop_is_not_a_late_client(mock_clock: trio.testing.MockClock) -> None:
    """A line that came in time is answered, though the loop checks only after the deadline."""
    ours, theirs = socket.socketpair()
    with ours:
        session = ClientSession(
            fleet=FakeFleet({}),
            stream=LocalStream(theirs),
            peer=Peer(pid=1, uid=1),
            carry_out=partial(carry_out, None),  # type: ignore[arg-type]
            log=Recorder(),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.run)
            await trio.testing.wait_all_tasks_blocked()
            ours.sendall(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
            mock_clock.jump(61)
            await trio.testing.wait_all_tasks_blocked()
            assert b"result" in ours.recv(1000)
            ours.shutdown(socket.SHUT_WR)


async def test_waiting_for_a_command_is_no_silence(autojump_clock: object) -> None:
    """A slow stop is answered after two minutes."""
    async with client(FakeFleet({"BTCUSDT": "running"}, slow=120)) as end:
        await end.ask("stop", all=True)
        assert (await end.hear())["result"]["ok"] is True


async def test_a_half_closed_client_still_gets_its_answers(autojump_clock: object) -> None:
    """`nc -N`: it said all it had to say, and waits."""
    async with client(FakeFleet({"BTCUSDT": "running"}, slow=3)) as end:
        await end.ask("stop", all=True)
        await end.stream.send_stream.aclose()
        assert (await end.hear())["result"]["ok"] is True
        assert await end.hear() is None


async def test_a_client_that_vanishes_does_not_undo_its_command(autojump_clock: object) -> None:
    """A command that was begun is carried out, though no client gets its answer."""
    async with client(FakeFleet({"BTCUSDT": "running"}, slow=3)) as end:
        await end.ask("stop", all=True)
        await trio.testing.wait_all_tasks_blocked()
        await end.stream.aclose()
        await end.over.wait()
    assert end.fleet.wanted == {"BTCUSDT": "stopped"}


@pytest.mark.parametrize("begun", [0.0, 4.0, 59.5])
async def test_a_client_that_does_not_read_is_dropped_in_5_seconds(
    begun: float, autojump_clock: object
) -> None:
    """A stalled write ends this session and no other."""

    class Stalled(trio.abc.SendStream):
        async def send_all(self, data: object) -> None:
            await trio.sleep_forever()

        async def wait_send_all_might_not_block(self) -> None: ...

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async with client() as end:
        await trio.sleep(begun)
        start = trio.current_time()
        assert isinstance(end.session.stream, trio.StapledStream)
        end.session.stream.send_stream = Stalled()
        await end.ask("status")
        await end.over.wait()
        assert trio.current_time() - start == pytest.approx(5)


async def test_too_long_a_line_is_said_and_ends_it(autojump_clock: object) -> None:
    """Answered with -32002, then closed; what was in flight is not waited for."""
    async with client(FakeFleet({"BTCUSDT": "running"}, slow=60)) as end:
        await end.ask("stop", all=True)
        await end.stream.send_all(b"[" * 100_000)
        assert (await end.hear())["error"]["code"] == error_codes.TOO_LARGE
        assert await end.hear() is None


async def test_an_answer_that_is_too_large_is_an_error(autojump_clock: object) -> None:
    """With the way out in the hint."""
    fleet = FakeFleet({}, padding="x" * error_codes.MAX_RESPONSE)
    async with client(fleet) as end:
        await end.ask("status")
        error = (await end.hear())["error"]
        assert error["code"] == error_codes.TOO_LARGE
        assert "summary" in error["data"]["hint"]


async def test_following_gives_every_event_once(autojump_clock: object) -> None:
    """First what was kept, then each as it happens, and other calls go on beside it."""
    async with client() as end:
        end.fleet.emit("crash", "one")
        await end.ask("events.subscribe", since=-1, follow=True)
        assert (await end.hear())["error"]["code"] == error_codes.INVALID_PARAMS
        await end.ask("events.subscribe", since=0, follow=True)
        assert [event["seq"] for event in (await end.hear())["result"]["events"]] == [1]
        end.fleet.emit("crash", "two")
        message = await end.hear()
        assert (message["method"], message["params"]["seq"]) == ("event", 2)
        await end.ask("ping")
        assert "result" in await end.hear()
        await end.ask("events.subscribe", follow=True)
        assert (await end.hear())["error"]["code"] == error_codes.BUSY
        await trio.sleep(300)  # a follower is not silent, it listens
        end.fleet.emit("crash", "three")
        assert (await end.hear())["params"]["text"] == "three"


async def test_a_slow_follower_is_told_what_it_missed(autojump_clock: object) -> None:
    """The log is bounded and does not wait for a slow reader."""
    async with client() as end:
        await end.ask("events.subscribe", follow=True)
        await end.hear()
        for number in range(10):
            end.fleet.emit("tick", str(number))
        end.fleet.forget_events(7)
        missed = await end.hear()
        assert (missed["method"], missed["params"]) == ("events.missed", {"missed": 7})
        assert (await end.hear())["params"]["seq"] == 8


async def test_a_follower_that_hangs_up_is_let_go(autojump_clock: object) -> None:
    """Its end of file ends the session, though no event ever comes."""
    async with client() as end:
        await end.ask("events.subscribe", follow=True)
        await end.hear()
        await end.stream.send_stream.aclose()
        with trio.fail_after(1):
            await end.over.wait()


async def test_when_the_house_is_full_only_the_urgent_is_heard(autojump_clock: object) -> None:
    """`stop` is carried out and answered, then the connection ends."""
    async with client(urgent_only=True) as end:
        await end.ask("stop", symbols=["sol*"])
        assert (await end.hear())["result"]["ok"] is True
        assert await end.hear() is None
    async with client(urgent_only=True) as end:
        await end.ask("status")
        assert (await end.hear())["error"]["code"] == error_codes.BUSY
        assert await end.hear() is None
    async with client(urgent_only=True) as end:
        start = trio.current_time()
        assert (await end.hear())["error"]["code"] == error_codes.BUSY
        assert trio.current_time() - start < 0.1


async def test_cancelling_a_session_closes_the_stream(autojump_clock: object) -> None:
    """While a call is in flight: the command goes on, the client sees the end."""
    ours, theirs = trio.testing.memory_stream_pair()
    fleet = FakeFleet({"BTCUSDT": "running"})

    async def never(work: Callable[[], Awaitable[Any]]) -> Any:
        await trio.sleep_forever()

    session = ClientSession(
        fleet=fleet, stream=theirs, peer=Peer(pid=1, uid=1), carry_out=never, log=Recorder()
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await ours.send_all(b'{"jsonrpc":"2.0","id":1,"method":"stop","params":{"all":true}}\n')
        await trio.testing.wait_all_tasks_blocked()
        assert session.in_flight == 1
        nursery.cancel_scope.cancel()
    assert session.in_flight == 0
    assert await ours.receive_some() == b""


_params = st.fixed_dictionaries(
    {},
    optional={
        "symbols": st.lists(st.sampled_from(["BTCUSDT", "sol*", "XUSDT", "../x", ""])) | st.none(),
        "all": st.booleans(),
        "wait": st.booleans() | st.integers(),
        "timeout": st.floats(0, 100) | st.integers(),
        "reason": st.text(max_size=5),
        "symbol": st.text(max_size=5) | st.just("BTCUSDT"),
        "follow": st.booleans(),
    },
)
_calls = st.tuples(
    st.sampled_from([*METHODS, "nope"]),
    _params,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_calls, max_size=12), st.integers(1, 400))
def test_every_id_is_answered_exactly_once(calls: list[Any], piece: int) -> None:
    """Any calls with any params, cut anywhere: one answer each, result or coded error."""

    async def main() -> None:
        async with client(FakeFleet({"BTCUSDT": "running"}, slow=1, failed={"BTCUSDT"})) as end:
            data = b"".join(
                json.dumps(
                    {"jsonrpc": "2.0", "id": number, "method": name, "params": params}
                ).encode()
                + b"\n"
                for number, (name, params) in enumerate(calls)
            )
            async with trio.open_nursery() as nursery:

                async def say() -> None:
                    for start in range(0, len(data), piece):
                        await end.stream.send_all(data[start : start + piece])

                nursery.start_soon(say)
                unanswered = set(range(len(calls)))
                while unanswered:
                    message = await end.hear()
                    if "method" in message:
                        continue
                    unanswered.remove(message["id"])
                    if "error" in message:
                        assert message["error"]["code"] in error_codes.MEANING
                        assert message["error"]["code"] != error_codes.INTERNAL_ERROR

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
