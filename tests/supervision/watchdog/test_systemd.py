"""Notifications to systemd, received on a socket in its place."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.errors import UsageError
from levitrio.supervision.watchdog.systemd import SystemdNotifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket in the service manager's place, and its address as the variable has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        if request.param == "path":
            address = str(tmp_path / "notify")
            sock.bind(address)
        else:
            sock.bind("")
            name = sock.getsockname()
            assert isinstance(name, bytes)
            address = "@" + name[1:].decode()
        sock.setblocking(False)
        yield sock, address


def test_tells(manager: tuple[socket.socket, str]) -> None:
    """Each message is one datagram, to a path and to an abstract name."""
    sock, address = manager
    systemd = SystemdNotifier.from_environment({"NOTIFY_SOCKET": address})
    assert systemd.ready()
    assert sock.recv(100) == b"READY=1"
    assert systemd.status("14 of 15 running\nREADY=1")
    assert sock.recv(100) == b"STATUS=14 of 15 running READY=1"
    assert systemd.stopping("SIGTERM")
    assert sock.recv(100) == b"STOPPING=1\nSTATUS=SIGTERM"
    assert not systemd.status("")


def test_feeds_only_while_the_loop_advances(manager: tuple[socket.socket, str]) -> None:
    """Every half of WatchdogSec, at once at the start, with nothing to catch up after a pause."""
    sock, address = manager
    systemd = SystemdNotifier(address=address, watchdog=2.0)
    clock = MockClock(autojump_threshold=0)

    def fed() -> int:
        count = 0
        while True:
            try:
                assert sock.recv(100) == b"WATCHDOG=1"
            except BlockingIOError:
                return count
            count += 1

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(systemd.feed_watchdog)
            await trio.sleep(3.5)
            assert fed() == 4
            clock.jump(60)
            await trio.sleep(0.5)
            assert fed() == 1
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "1000000"},
    ],
)
def test_not_asked_to_feed(environ: dict[str, str]) -> None:
    """Outside of systemd, or with variables meant for another process, nothing is fed."""

    async def main() -> None:
        systemd = SystemdNotifier.from_environment(environ, pid=4711)
        await systemd.feed_watchdog()
        assert not systemd.ready()

    trio.run(main)


def test_watchdog_of_this_process() -> None:
    """Microseconds become seconds, with or without our own pid."""
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000"}
    assert SystemdNotifier.from_environment(environ).watchdog == 30.0
    environ["WATCHDOG_PID"] = str(os.getpid())
    assert SystemdNotifier.from_environment(environ).watchdog == 30.0


def test_lost_datagrams_are_no_error(tmp_path: Path) -> None:
    """A manager that has gone, or reads nothing, never stops the fleet."""
    assert not SystemdNotifier(address=str(tmp_path / "gone")).ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "full"))
        systemd = SystemdNotifier(address=str(tmp_path / "full"))
        assert any(not systemd.ready() for _ in range(10_000))


@pytest.mark.parametrize(
    "environ",
    [
        {"NOTIFY_SOCKET": "run/notify"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "0"},
    ],
)
def test_refuses_nonsense(environ: dict[str, str]) -> None:
    """A variable that is not what sd_notify describes is named."""
    with pytest.raises(UsageError, match=r"NOTIFY_SOCKET|WATCHDOG_USEC"):
        SystemdNotifier.from_environment(environ)
