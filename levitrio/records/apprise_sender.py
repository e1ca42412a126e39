"""Sending through apprise: Telegram, Slack, mail, webhooks, by one address each. Extra [alerts]."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from levitrio.errors import UsageError
from levitrio.records.outlet import Message, Send


def make_sends(urls: Sequence[str]) -> tuple[Send, ...]:
    """For each address a function that sends a message there.

    Raises UsageError when apprise is not installed, or does not know an address (which is named
    by its position only: addresses hold tokens). Importing apprise blocks for a second.
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
        # One object each: with several addresses apprise starts threads that Python waits for at
        # its end, and one service that hangs would keep a fleet from ending.
        sender: Any = apprise.Apprise()
        if not sender.add(url):
            raise UsageError(f"[alerts] urls: apprise does not know address number {number}")

        def send(message: Message) -> bool:
            return bool(sender.notify(title=message.title, body=message.body))

        return send

    return tuple(make_send(number, url) for number, url in enumerate(urls, start=1))
