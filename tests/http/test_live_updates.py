"""What a page is sent: full once, then what changed, and the truth about what it missed."""

import json
import re
from typing import Any, get_type_hints

import trio
from trio.testing import MockClock

from levitrio.control.status_document import EngineStatus
from levitrio.http.live_updates import COLUMNS, Cursor, LiveUpdates, event_id, shown, since_of
from levitrio.http.static_files import PAGE
from tests.http.fakes import make_fleet, make_row


def parse(message: bytes) -> dict[str, Any]:
    """Server-sent events of one message, by name."""
    found = {}
    for block in message.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found[fields["event"]] = json.loads(fields["data"])
    return found


async def look_again(updates: LiveUpdates) -> None:
    await trio.sleep(0.5)
    await updates.take_picture()


async def test_first_everything_then_changes(autojump_clock: MockClock) -> None:
    """A new page gets every row, then only those that are not what they were."""
    fleet = make_fleet("A1USDT", "B1USDT", "C1USDT")
    updates, cursor = LiveUpdates(fleet), Cursor(0)
    await updates.take_picture()
    first = parse(updates.message(cursor))["status"]
    assert first["full"] is True
    assert [row[0] for row in first["rows"]] == ["A1USDT", "B1USDT", "C1USDT"]
    fleet.rows["B1USDT"]["ticks"] = 2
    await look_again(updates)
    second = parse(updates.message(cursor))["status"]
    assert second["full"] is False
    assert [row[0] for row in second["rows"]] == ["B1USDT"]
    assert second["skipped"] == 0


async def test_a_slow_reader_is_told_and_gets_each_row_once(autojump_clock: MockClock) -> None:
    """Ten pictures later: one message, the rows as they are now, nine pictures skipped."""
    fleet = make_fleet("A1USDT", "B1USDT")
    updates, slow, quick = LiveUpdates(fleet), Cursor(0), Cursor(0)
    await updates.take_picture()
    updates.message(slow)
    for number in range(10):
        fleet.rows["A1USDT"]["ticks"] = 10 + number
        await look_again(updates)
        updates.message(quick)
    late = parse(updates.message(slow))["status"]
    assert late["skipped"] == 9
    assert [row[COLUMNS.index("ticks")] for row in late["rows"]] == [19]


async def test_everybody_up_to_date_shares_one_message(autojump_clock: MockClock) -> None:
    """Three pages cost one encoding."""
    fleet = make_fleet()
    updates, cursors = LiveUpdates(fleet), [Cursor(0), Cursor(0)]
    await updates.take_picture()
    for cursor in cursors:
        updates.message(cursor)
    await look_again(updates)
    assert updates.message(cursors[0]) is not None
    assert updates._status(1) == updates._newest[1]


async def test_engines_come_and_go(autojump_clock: MockClock) -> None:
    """A retired engine is named as gone, once; an engine that comes back is a row again."""
    fleet = make_fleet("A1USDT", "B1USDT")
    updates, cursor = LiveUpdates(fleet), Cursor(0)
    await updates.take_picture()
    updates.message(cursor)
    row = fleet.rows.pop("B1USDT")
    await look_again(updates)
    assert parse(updates.message(cursor))["status"]["gone"] == ["B1USDT"]
    fleet.rows["B1USDT"] = row
    await look_again(updates)
    back = parse(updates.message(cursor))["status"]
    assert (back["gone"], [row[0] for row in back["rows"]]) == ([], ["B1USDT"])


async def test_events_and_how_many_were_missed(autojump_clock: MockClock) -> None:
    """Events come once and in order; a reader that lags gets the newest and a number."""
    fleet = make_fleet()
    updates, cursor = LiveUpdates(fleet), Cursor(0)
    for number in range(3):
        fleet.emit("fill", str(number))
    await updates.take_picture()
    events = parse(updates.message(cursor))["events"]
    assert [event["text"] for event in events["events"]] == ["0", "1", "2"]
    assert events["missed"] == 0
    assert "events" not in parse(updates.message(cursor))
    for number in range(500):
        fleet.emit("fill", str(number))
    await look_again(updates)
    events = parse(updates.message(cursor))["events"]
    assert (len(events["events"]), events["missed"]) == (200, 300)
    assert events["events"][-1]["text"] == "499"


async def test_no_pictures_without_readers(autojump_clock: MockClock) -> None:
    """Without a reader no row is read; with one, twice a second."""
    fleet = make_fleet()
    updates = LiveUpdates(fleet)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(updates.run)
        await trio.sleep(10)
        assert fleet.looked == 0
        cursor = updates.open(0)
        for _ in range(10):
            await updates.wait_message(cursor)
        assert 9 <= fleet.looked <= 11
        updates.close()
        await trio.sleep(10)
        assert fleet.looked <= 12
        nursery.cancel_scope.cancel()


def test_ids_of_another_process_mean_nothing() -> None:
    """A browser that comes back after a restart of the fleet begins at the beginning."""
    assert since_of(event_id(42).decode()) == 42
    for text in ("", "42", "1-42-3", "999999999-42", event_id(1).decode() + "x", "-"):
        assert since_of(text) is None


def test_rows_are_coarse_and_short() -> None:
    """Ages have no decimals and errors an end, so that rows rest."""
    row = shown(make_row("A1USDT", data_age=0.44, last_error="x" * 5000, uptime_seconds=1.6))
    named = dict(zip(COLUMNS, row, strict=True))
    assert (named["data_age"], named["uptime_seconds"], len(str(named["last_error"]))) == (
        0,
        2,
        160,
    )
    assert named["next_restart_in"] is None


def test_the_columns_are_members_and_those_of_the_page() -> None:
    """Names are not sent with the rows, so server and page must have the same ones."""
    assert set(COLUMNS) <= get_type_hints(EngineStatus).keys()
    script = (PAGE / "main.js").read_text()
    found = re.search(r"const COLUMNS = \[(.*?)\]", script, re.DOTALL)
    assert found is not None
    assert tuple(re.findall(r'"(\w+)"', found[1])) == COLUMNS
