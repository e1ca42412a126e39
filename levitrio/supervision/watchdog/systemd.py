"""Notifies systemd of readiness and feeds its watchdog: layer 3 against a blocked loop.

The protocol of sd_notify(3) for `Type=notify`: datagrams of `KEY=value` lines to the socket
named by NOTIFY_SOCKET. A task of the trio loop sends WATCHDOG=1: when the loop blocks, it stops
sending, and systemd restarts the unit after `WatchdogSec`.
"""

import os
import socket
from collections.abc import Mapping

import attrs
import trio

from levitrio.errors import UsageError


@attrs.frozen(kw_only=True)
class SystemdNotifier:
    """Sends the state of this process to the service manager; without one it does nothing.

    Sends and never waits. A datagram that cannot be delivered is lost, as the manager may be
    restarting itself: `tell` then returns False, and the watchdog is fed again at its next turn.
    """

    address: str | None = None
    """A path, or `@` and a name in the abstract namespace; None without a service manager."""
    watchdog: float | None = None
    """Seconds within which the manager expects WATCHDOG=1; None when it expects none."""

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], pid: int | None = None
    ) -> "SystemdNotifier":
        """Make a notifier from the manager's variables in `environ`; `pid` is this process.

        WATCHDOG_USEC counts only if WATCHDOG_PID, where it is set, names this process: the
        variables may be inherited from a service that started us.

        Raises:
            UsageError: a variable is not what sd_notify(3) describes.
        """
        address = environ.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            raise UsageError(f"NOTIFY_SOCKET: expected /path or @name, got {address!r}")
        pid = os.getpid() if pid is None else pid
        watchdog = None
        if environ.get("WATCHDOG_USEC") and environ.get("WATCHDOG_PID", str(pid)) == str(pid):
            usec = environ["WATCHDOG_USEC"]
            if not (usec.isascii() and usec.isdigit() and int(usec)):
                raise UsageError(f"WATCHDOG_USEC: expected microseconds, got {usec!r}")
            watchdog = int(usec) / 1e6
        return cls(address=address, watchdog=watchdog)

    def ready(self, status: str = "") -> bool:
        """Report that the fleet runs: units that wait for this one may start."""
        return self.tell(READY="1", STATUS=status)

    def stopping(self, status: str = "") -> bool:
        """Report that the fleet ends; from now on TimeoutStopSec counts."""
        return self.tell(STOPPING="1", STATUS=status)

    def status(self, text: str) -> bool:
        """Set the line that `systemctl status` shows."""
        return self.tell(STATUS=text)

    def tell(self, **state: str) -> bool:
        """Send the variables that are not empty; return whether the datagram was sent.

        Line breaks in a value become spaces, because each would begin another variable.
        """
        lines = [f"{key}={' '.join(text.splitlines())}" for key, text in state.items() if text]
        if self.address is None or not lines:
            return False
        address = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto("\n".join(lines).encode(), address)
            except OSError:
                return False
        return True

    async def feed_watchdog(self) -> None:
        """Send WATCHDOG=1 twice per watchdog period, until cancelled.

        Returns at once if the manager expects none.
        """
        if self.address is None or self.watchdog is None:
            await trio.lowlevel.checkpoint()
            return
        due = trio.current_time()
        while True:
            self.tell(WATCHDOG="1")
            due += self.watchdog / 2
            if due <= (now := trio.current_time()):
                # After a SIGSTOP or a suspend, missed turns are not made up for.
                due = now + self.watchdog / 2
            await trio.sleep_until(due)
