"""Sending through apprise: Telegram, Slack, mail, webhooks, by one address each. Extra [alerts]."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from levitrio.errors import UsageError
from levitrio.records.alerts.channel import Message, Send


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
        # Not an `Apprise` of all addresses: its threads are waited for when Python ends, so that
        # one service that hangs would keep a fleet from ending. This one sends where it is called.
        service: Any = apprise.Apprise.instantiate(url)
        if service is None:
            raise UsageError(f"[alerts] urls: apprise does not know address number {number}")

        def send(message: Message) -> bool:
            return bool(service.notify(title=message.title, body=message.body))

        return send

    return tuple(make_send(number, url) for number, url in enumerate(urls, start=1))
