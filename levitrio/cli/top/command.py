"""`levi ctl top`: checks what can be reported as one line, then opens the screen."""

import os
import sys
from functools import partial
from importlib.util import find_spec

from levitrio.cli import terminal
from levitrio.control.client import ControlClient, find_socket
from levitrio.errors import UsageError


def run_top(socket_path: str | None, fleet: str | None, *, read_only: bool) -> int:
    """Show the fleet until `q`; a fleet that stops answering later is waited for.

    Returns:
        The exit code.

    Raises:
        UsageError: The extra is not installed, or this is no terminal.
        FleetUnreachable: No fleet answers at the start.
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
        os.environ.pop("NO_COLOR", None)  # an empty NO_COLOR means nothing, but Textual obeys it
    from levitrio.cli.top.app import TopApp
    from levitrio.cli.top.poller import StatusPoller

    app = TopApp(partial(StatusPoller, path), read_only=read_only)
    app.run()
    return app.return_code or 0
