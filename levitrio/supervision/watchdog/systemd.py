"""What systemd is told: layer 3 of the blocked loop.

The protocol of sd_notify(3) for `Type=notify`: datagrams of `KEY=value` lines to the socket
named by NOTIFY_SOCKET. WATCHDOG=1 is fed by a task of the loop that it vouches for: if the loop
stands still, the feeding does too, and systemd restarts the unit after `WatchdogSec`.
"""

import os
import socket
from collections.abc import Mapping

import attrs
import trio

from levitrio.errors import UsageError


@attrs.frozen(kw_only=True)
class SystemdNotifier:
    """Tells the service manager how this process is; without one it does nothing.

    Sends and never waits. A datagram that cannot be delivered is lost, as the manager may be
    restarting itself; `tell` says so, and the next feeding comes anyway.
    """

    address: str | None = None
    """A path, or `@` and a name in the abstract namespace. None: nobody listens."""
    watchdog: float | None = None
    """Seconds within which the manager wants to be fed. None: it does not."""

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], pid: int | None = None
    ) -> "SystemdNotifier":
        """What the manager left in `environ`; `pid` is this process.

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
        """The fleet runs: what waits for this unit may start."""
        return self.tell(READY="1", STATUS=status)

    def stopping(self, status: str = "") -> bool:
        """The fleet ends; from now on TimeoutStopSec counts."""
        return self.tell(STOPPING="1", STATUS=status)

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self.tell(STATUS=text)

    def tell(self, **state: str) -> bool:
        """Send the variables that are not empty; whether they were handed over.

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
        """Feed the manager's watchdog at twice the pace it asks for, until cancelled.

        Returns at once if it asks for none.
        """
        if self.address is None or self.watchdog is None:
            await trio.lowlevel.checkpoint()
            return
        due = trio.current_time()
        while True:
            self.tell(WATCHDOG="1")
            due += self.watchdog / 2
            if due <= (now := trio.current_time()):
                # After a pause there is nothing to catch up with.
                due = now + self.watchdog / 2
            await trio.sleep_until(due)
