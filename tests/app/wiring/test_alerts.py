"""`[alerts]` of a whole fleet: what a reload does to it."""

from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.app import reload
from levitrio.config.sections import FleetConfig
from levitrio.errors import ControlError, UsageError
from levitrio.records.alerts.channel import Message, Send
from tests.app.virtual import PEER, running_fleet, write_fleet

ALERTS = '[alerts]\nurls = ["json://127.0.0.1:1/{path}"]\non = ["{on}"]\n'


async def test_a_reload_changes_events_and_addresses(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another event, then another address, then none; an invalid address changes nothing."""
    got: list[tuple[str, str]] = []

    def open_sends(config: FleetConfig) -> tuple[Send, ...]:
        urls = config.alerts.urls if config.alerts else ()
        if any("bad" in url for url in urls):
            raise UsageError("[alerts] urls: apprise does not know address number 1")

        def send(url: str, message: Message) -> bool:
            got.append((url.rpartition("/")[2], message.body.splitlines()[0]))
            return True

        return tuple(partial(send, url) for url in urls)

    monkeypatch.setattr(reload, "open_sends", open_sends)
    async with running_fleet(write_fleet(tmp_path)) as fleet:

        async def put_in_force(path: str, on: str) -> None:
            write_fleet(tmp_path, extra=ALERTS.format(path=path, on=on) if path else "")
            await fleet.operations.reload(
                dry_run=False, flatten=False, keep_position=False, peer=PEER
            )

        async def halt(reason: str) -> None:
            await fleet.operations.unhalt(PEER)
            await fleet.operations.halt(reason, PEER)
            await trio.sleep(1)

        await halt("not sent")
        await put_in_force("a", "halted")
        await halt("first")
        await put_in_force("a", "stuck")
        await halt("not asked for")
        await put_in_force("b", "halted")
        await halt("second")
        with pytest.raises(ControlError, match=r"nothing was changed: .* address number 1"):
            await put_in_force("bad", "halted")
        await halt("third")
        await put_in_force("", "")
        await halt("not sent either")
    sent = [(path, text.removeprefix("trading is halted: ")) for path, text in got]
    assert sent == [("a", "first"), ("b", "second"), ("b", "third")]
