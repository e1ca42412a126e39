"""The blocking client: finds the fleet, checks it, and bounds every wait."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from levitrio.control import error_codes, paths
from levitrio.control.client import ControlClient, FleetRefused, find_socket
from levitrio.errors import ControlError, FleetUnreachable, UsageError
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with private_directory() as path:
        monkeypatch.setenv("HOME", str(path))
        monkeypatch.delenv("LEVI_SOCKET", raising=False)
        yield path


@pytest.fixture
def run_directory(home: Path) -> Path:
    path = home / ".local/state/levitrio/run"
    path.mkdir(parents=True)
    path.chmod(0o700)
    return path


async def in_thread(work: Callable[[], Any]) -> Any:
    with trio.fail_after(10):
        return await trio.to_thread.run_sync(work)


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def answering(path: Path, *answers: bytes) -> threading.Thread:
    """A fleet that says these bytes to the first line it hears, whatever it was, and hangs up."""
    listener = listen(path)

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(100_000)
            for answer in answers:
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_named_by_path_by_name_or_by_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is typed beats the environment, a path beats a name."""
    monkeypatch.setenv("LEVI_SOCKET", "/run/env.sock")
    assert find_socket() == "/run/env.sock"
    assert find_socket(fleet="demo") == f"{home}/.local/state/levitrio/run/demo.sock"
    assert find_socket("/run/typed.sock", "demo") == "/run/typed.sock"
    assert find_socket("here.sock") == str(Path("here.sock").absolute())


def test_without_a_fleet_it_says_what_to_type(home: Path) -> None:
    """No directory, an empty one: unreachable, with the command that helps."""
    with pytest.raises(FleetUnreachable, match="no fleet is running") as caught:
        find_socket()
    assert caught.value.hint == "levi run fleet.toml"
    with pytest.raises(FleetUnreachable) as caught:
        ControlClient(find_socket(fleet="demo"))
    assert caught.value.hint == "levi run fleet.toml"


def test_a_home_that_is_no_directory_is_no_fleet(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system says about the place, it is one of our errors."""
    (home / "file").touch()
    monkeypatch.setenv("HOME", str(home / "file"))
    with pytest.raises(FleetUnreachable, match="Not a directory"):
        find_socket()
    with pytest.raises(FleetUnreachable, match="ENOTDIR"):
        ControlClient(find_socket(fleet="demo"))


def test_the_only_running_fleet_is_meant(run_directory: Path) -> None:
    """One socket is taken as it is; of several, those that no process serves do not count."""
    with listen(run_directory / "a.sock"):
        assert find_socket() == str(run_directory / "a.sock")
        listen(run_directory / "b.sock").close()
        assert find_socket() == str(run_directory / "a.sock")
        with listen(run_directory / "c.sock"), pytest.raises(UsageError, match=r"a, c;.*--fleet"):
            find_socket()
    with pytest.raises(FleetUnreachable):
        find_socket()


def test_a_stale_socket_is_no_fleet(run_directory: Path) -> None:
    """What a killed run left behind."""
    listen(run_directory / "demo.sock").close()
    with pytest.raises(FleetUnreachable, match="no fleet answers"):
        ControlClient(find_socket())


def test_nothing_is_said_in_a_place_that_is_not_ours(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open directory, and a server of another user: refused before a byte is sent."""
    path = run_directory / "demo.sock"
    with listen(path) as listener:
        run_directory.chmod(0o777)
        with pytest.raises(UsageError, match="chmod 700"):
            ControlClient(str(path))
        run_directory.chmod(0o700)
        monkeypatch.setattr(paths, "check_directory", lambda _: None)
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
        with pytest.raises(UsageError, match="served by uid"):
            ControlClient(str(path))
        listener.settimeout(1)
        with listener.accept()[0] as connection:
            assert connection.recv(10) == b""


async def test_calls_refusals_and_a_second_call(run_directory: Path) -> None:
    """Results are plain data; a refusal has code, hint and data, and the line stays open."""
    path = run_directory / "demo.sock"
    async with serving(FakeFleet({"BTCUSDT": "running"}), path, Recorder()):

        def work() -> None:
            with ControlClient(find_socket()) as client:
                assert client.call("ping")["fleet"] == "demo"
                with pytest.raises(FleetRefused) as caught:
                    client.call("stop", {"symbols": ["BTCUSD"]})
                assert caught.value.code == error_codes.UNKNOWN_SYMBOL
                assert caught.value.hint == "did you mean BTCUSDT?"
                assert caught.value.data["suggestions"] == ["BTCUSDT"]
                with pytest.raises(ControlError, match="too large"):
                    client.call("stop", {"symbols": ["X" * 70_000]})
                assert client.call("status")["total"] == 1

        await in_thread(work)


async def test_following_until_the_fleet_ends(run_directory: Path) -> None:
    """Notifications come one by one; the fleet's end is the end of them."""
    path = run_directory / "demo.sock"
    fleet = FakeFleet({})
    found: list[tuple[str, Any]] = []
    subscribed = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def work() -> None:
        with ControlClient(str(path)) as client:
            client.call("events.subscribe", {"follow": True})
            token.run_sync_soon(subscribed.set)
            found.extend(client.notifications())

    async with trio.open_nursery() as nursery, serving(fleet, path, Recorder()):
        nursery.start_soon(in_thread, work)
        await subscribed.wait()
        fleet.emit("crash", "one")
        await trio.testing.wait_all_tasks_blocked(0.02)
    assert [(method, event["text"]) for method, event in found] == [("event", "one")]


def test_a_fleet_that_hangs_is_given_up(run_directory: Path) -> None:
    """Accepted by the kernel but never answered: FleetUnreachable within the timeout."""
    path = run_directory / "demo.sock"
    with (
        listen(path),
        ControlClient(str(path), timeout=0.05) as client,
        pytest.raises(FleetUnreachable, match=r"not answer within 0\.05 s"),
    ):
        client.call("ping")


def fill_the_queue(path: Path) -> tuple[socket.socket, socket.socket]:
    """A listener with a full backlog: it has accepted no client, and one waits."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(0)
    newcomer = socket.socket(socket.AF_UNIX)
    newcomer.connect(str(path))
    return listener, newcomer


def test_a_crowd_at_the_door_is_waited_for(run_directory: Path) -> None:
    """A full queue of newcomers is a busy fleet, not an absent one; the wait is bounded."""
    path = run_directory / "demo.sock"
    listener, newcomer = fill_the_queue(path)
    with listener, newcomer:
        with pytest.raises(FleetUnreachable, match=r"does not answer within 0\.05 s"):
            ControlClient(str(path), timeout=0.05)
        accepting = threading.Timer(0.02, lambda: listener.accept()[0].close())
        accepting.start()
        ControlClient(str(path), timeout=5.0).close()
        accepting.join()


def test_a_crowded_fleet_is_one_of_several(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet with a full backlog counts as running."""
    monkeypatch.setattr("levitrio.control.client.PROBE", 0.01)
    listener, newcomer = fill_the_queue(run_directory / "crowded.sock")
    with (
        listener,
        newcomer,
        listen(run_directory / "quiet.sock"),
        pytest.raises(UsageError, match="several fleets are running: crowded, quiet"),
    ):
        find_socket()


def test_a_full_fleet_is_asked_again_until_the_timeout(run_directory: Path) -> None:
    """Busy is passed on only when the time is over."""
    path = run_directory / "demo.sock"
    busy = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"busy"}}\n'
    thread = answering(path, busy)
    with (
        ControlClient(str(path), timeout=0.04) as client,
        pytest.raises(ControlError, match="busy"),
    ):
        client.call("ping")
    thread.join()
    path.unlink()
    listener = listen(path)

    def serve() -> None:
        with listener:
            for answer in (busy, b'{"jsonrpc":"2.0","id":2,"result":{"fleet":"demo"}}\n'):
                with listener.accept()[0] as connection:
                    connection.recv(1000)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    with ControlClient(str(path)) as client:
        assert client.call("ping") == {"fleet": "demo"}
    thread.join()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"hello\n", ControlError),
        (b"[]\n", ControlError),
        (b"\xff\n", ControlError),
        (b"[" * 100_000 + b"\n", ControlError),
        (b'{"jsonrpc":"2.0","id":99,"result":{}}\n', ControlError),
        (b'{"jsonrpc":"2.0","id":1}\n', ControlError),
        (b'{"jsonrpc":"2.0","id":1,"error":"x"}\n', ControlError),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32011,"data":[]}}\n', ControlError),
        (b" " * (error_codes.MAX_RESPONSE + 5000), ControlError),
        (b'{"jsonrpc":', FleetUnreachable),
        (b"", FleetUnreachable),
    ],
)
def test_whatever_comes_back_is_an_answer_or_an_error(
    run_directory: Path, answer: bytes, error: type[Exception]
) -> None:
    """No JSON, another id, too much, half a line: one of our errors, never a traceback."""
    path = run_directory / "demo.sock"
    listener = listen(path)

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(1000)
            try:
                connection.sendall(answer)
            except OSError:
                return  # the client closed the connection, as it should

    thread = threading.Thread(target=serve)
    thread.start()
    with ControlClient(str(path)) as client, pytest.raises(error):
        client.call("ping")
    thread.join()


def test_notifications_before_an_answer_are_passed_over(run_directory: Path) -> None:
    """They are not what was asked for."""
    path = run_directory / "demo.sock"
    event = json.dumps({"jsonrpc": "2.0", "method": "event", "params": {}}).encode() + b"\n"
    thread = answering(path, event, b'{"jsonrpc":"2.0","id":1,"result":7}\n', event)
    with ControlClient(str(path)) as client:
        assert client.call("ping") == 7
        assert list(client.notifications(timeout=1)) == [("event", {})]
    thread.join()
