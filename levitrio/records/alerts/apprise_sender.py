"""Sends alerts through apprise: Telegram, Slack, mail, webhooks, one URL each. Extra [alerts]."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from levitrio.errors import UsageError
from levitrio.records.alerts.channel import Message, Send


def make_sends(urls: Sequence[str]) -> tuple[Send, ...]:
    """Make a function for each address that sends a message there.

    Importing apprise blocks for a second.

    Raises:
        UsageError: apprise is not installed, or does not know an address. The text names the
            address by its position only, because addresses hold tokens.
    """
    if not urls:
        return ()
    try:
        apprise = import_module("apprise")
    except ModuleNotFoundError:
        raise UsageError(
            "[alerts]: expected apprise to be installed: pip install 'levitrio[alerts]'"
        ) from None

    def make_send(number: int, url: str) -> Send:
        # Not one `Apprise` for all addresses: Python waits for its threads at exit, so one service
        # that hangs would keep the process alive. This object sends in the calling thread.
        service: Any = apprise.Apprise.instantiate(url)
        if service is None:
            raise UsageError(f"[alerts] urls: apprise does not know address number {number}")

        def send(message: Message) -> bool:
            return bool(service.notify(title=message.title, body=message.body))

        return send

    return tuple(make_send(number, url) for number, url in enumerate(urls, start=1))
