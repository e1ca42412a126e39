"""Sending through apprise: Telegram, Slack, mail, webhooks, by one address each. Extra [alerts]."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from levitrio.errors import UsageError
from levitrio.records.alerts import Message, Send


def make_send(urls: Sequence[str]) -> Send:
    """A function that sends a message to every address.

    Raises UsageError when apprise is not installed, or does not know an address (which is named
    by its position only: addresses hold tokens).
    """
    try:
        apprise = import_module("apprise")
    except ModuleNotFoundError:
        raise UsageError(
            "[alerts]: expected apprise to be installed: pip install 'levitrio[alerts]'"
        ) from None
    sender: Any = apprise.Apprise()
    for number, url in enumerate(urls, start=1):
        if not sender.add(url):
            raise UsageError(f"[alerts] urls: apprise does not know address number {number}")

    def send(message: Message) -> bool:
        return bool(sender.notify(title=message.title, body=message.body))

    return send
