"""`levi ctl top`, before there is a screen: everything that can be said in one line is."""

import os
import sys
from functools import partial
from importlib.util import find_spec

from levitrio.cli import terminal
from levitrio.control.client import ControlClient, find_socket
from levitrio.errors import UsageError


def run_top(socket_path: str | None, fleet: str | None, *, read_only: bool) -> int:
    """Show the fleet until `q`; returns the exit code.

    Raises UsageError without the extra or without a terminal, FleetUnreachable when no fleet
    answers at the start; one that goes away later is waited for.
    """
    if find_spec("textual") is None:
        raise UsageError("levi ctl top needs the extra: pip install 'levitrio[tui]'")
    if not (terminal.is_terminal() and sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError("levi ctl top needs a terminal; elsewhere use levi ctl status")
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
        raise UsageError("levi ctl top needs a terminal that can move its cursor; TERM says dumb")
    path = find_socket(socket_path, fleet)
    ControlClient(path).close()
    if not os.environ.get("NO_COLOR"):
        os.environ.pop("NO_COLOR", None)  # empty means no wish; Textual takes it for one
    from levitrio.cli.top.app import TopApp
    from levitrio.cli.top.poller import StatusPoller

    app = TopApp(partial(StatusPoller, path), read_only=read_only)
    app.run()
    return app.return_code or 0
