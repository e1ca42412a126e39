"""What a tick costs: decoding it, queueing it, and all the way from the socket to an engine."""

import json
import ssl
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import msgspec
import trio
import trio.testing

from benchmarks import receiving
from benchmarks.certificate import trusted_certificate
from benchmarks.frames import generated, recorded, symbols
from benchmarks.measurement import Goal, Row, measures
from benchmarks.receiving import SYMBOLS, Cost
from benchmarks.sampling import REPETITIONS, interleaved, medians, no_gc
from levitrio.engine.inbox import Inbox
from levitrio.trading.market import Trade
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.stream_client import READERS
from levitrio.venues.binance.market_data.validation import (
    EARLIEST_MS,
    LARGEST_ID,
    LATEST_MS,
    POSITIVE,
)

_ENGINES = 200
_BATCH = 400
"""Events of one read of the socket, over all engines."""
_BATCHES = 100
_READ = 370
"""Frames of a trade in 64 KiB."""


class _Frame(msgspec.Struct, gc=False):
    stream: str
    data: Trade


def _decode_all(decode: Callable[[str], object], frames: list[str]) -> float:
    with no_gc():
        begun = time.perf_counter()
        for frame in frames:
            decode(frame)
        return (time.perf_counter() - begun) / len(frames)


def _checked(frames: list[str]) -> float:
    """With all checks, a read of 64 KiB at a time, by a decoder that has seen none of it."""
    decoder = FrameDecoder()
    for symbol in [*symbols(SYMBOLS), "BTCUSDT"]:
        decoder.add(symbol, "trade")
    assert isinstance(decoder.decode(frames[0]), Trade)
    reads = [frames[i : i + _READ] for i in range(0, len(frames), _READ)]
    with no_gc():
        begun = time.perf_counter()
        for read in reads:
            decoder.decode_batch(read)
        return (time.perf_counter() - begun) / len(frames)


def _checked_plainly(frames: list[str]) -> float:
    """What whoever reads with json.loads would write to know as much."""
    wanted = {f"{symbol.lower()}@trade": symbol for symbol in [*symbols(SYMBOLS), "BTCUSDT"]}
    is_sound = POSITIVE.fullmatch
    with no_gc():
        begun = time.perf_counter()
        for frame in frames:
            told = json.loads(frame)
            trade = told["data"]
            assert trade["s"] == wanted[told["stream"]]
            assert is_sound(trade["p"])
            assert is_sound(trade["q"])
            assert EARLIEST_MS < trade["T"] < LATEST_MS
            assert 0 <= trade["t"] <= LARGEST_ID
        return (time.perf_counter() - begun) / len(frames)


@measures
def decode_trade() -> Iterable[Row]:
    """One frame to one `Trade`: decoding beside decoding, checks beside the same checks."""
    struct = msgspec.json.Decoder(_Frame).decode
    for source, frames in (
        ("generated", generated(symbols(SYMBOLS), 20_000)),
        ("recorded", recorded("btcusdt_20240808.gz")),
    ):
        if not frames:
            continue
        us = {
            name: seconds * 1e6
            for name, seconds in medians(
                {
                    "json.loads": partial(_decode_all, json.loads, frames),
                    "struct": partial(_decode_all, struct, frames),
                    "checked": partial(_checked, frames),
                    "json.loads and the same checks": partial(_checked_plainly, frames),
                },
                REPETITIONS,
            ).items()
        }
        for name, text, floor, goal in (
            ("struct", "decode one trade", "json.loads", Goal(limit=0.2)),
            ("checked", "the same with all checks", "json.loads", None),
            ("checked", "the same with all checks", "json.loads and the same checks", None),
        ):
            yield Row(
                name=f"{text} ({source})",
                value=us[name],
                unit="us",
                floor_name=floor,
                floor=us[floor],
                goal=goal,
            )


async def _through_inboxes(events: list[Trade]) -> float:
    """Events a second into 200 inboxes and out of them."""
    inboxes = [Inbox() for _ in range(_ENGINES)]
    seen = 0

    async def consume(inbox: Inbox) -> None:
        nonlocal seen
        while True:
            await inbox.wait()
            for _ in inbox.drain():
                seen += 1

    async with trio.open_nursery() as nursery:
        for inbox in inboxes:
            nursery.start_soon(consume, inbox)
        await trio.testing.wait_all_tasks_blocked()
        begun = time.perf_counter()
        for _ in range(_BATCHES):
            for number, event in enumerate(events):
                inboxes[number % _ENGINES].put(event)
            await trio.lowlevel.checkpoint()
        while seen < _BATCHES * len(events):
            await trio.lowlevel.checkpoint()
        rate = seen / (time.perf_counter() - begun)
        nursery.cancel_scope.cancel()
    return rate


async def _through_channels(events: list[Trade]) -> float:
    """The same with trio's memory channels."""
    channels = [trio.open_memory_channel[Trade](65_536) for _ in range(_ENGINES)]
    seen = 0

    async def consume(receive: trio.MemoryReceiveChannel[Trade]) -> None:
        nonlocal seen
        async for _ in receive:
            seen += 1

    async with trio.open_nursery() as nursery:
        for _, receive in channels:
            nursery.start_soon(consume, receive)
        await trio.testing.wait_all_tasks_blocked()
        begun = time.perf_counter()
        for _ in range(_BATCHES):
            for number, event in enumerate(events):
                channels[number % _ENGINES][0].send_nowait(event)
            await trio.lowlevel.checkpoint()
        while seen < _BATCHES * len(events):
            await trio.lowlevel.checkpoint()
        rate = seen / (time.perf_counter() - begun)
        nursery.cancel_scope.cancel()
    return rate


@measures
def inbox_throughput() -> Iterable[Row]:
    """Events from one producer to 200 consumers, two for each at a time."""
    events = [Trade.of("BTCUSDT", "1.0", time=0, trade_id=number) for number in range(_BATCH)]
    rates = medians(
        {
            "channel": lambda: trio.run(_through_channels, events),
            "inbox": lambda: trio.run(_through_inboxes, events),
        }
    )
    yield Row(
        name=f"inbox, {_ENGINES} engines",
        value=rates["inbox"],
        unit="1/s",
        floor_name="memory channel, send_nowait",
        floor=rates["channel"],
        goal=Goal(limit=1.3, at_least=True),
    )


@measures
def socket_to_engines() -> Iterable[Row]:
    """From a real socket through feed and inbox to a strategy, for each reader."""
    yield from _receive("", None)
    with trusted_certificate() as certificate:
        if certificate is not None:
            yield from _receive(", TLS", certificate)


def _receive(suffix: str, certificate: Path | None) -> Iterable[Row]:
    tls = None if certificate is None else ssl.create_default_context()
    with receiving.running_venue(certificate) as port:
        subjects: dict[str, Callable[[], Cost]] = {
            "bare": lambda: trio.run(receiving.bare, port, tls)
        }
        for reader in READERS:
            subjects[reader] = partial(trio.run, receiving.full, port, tls, reader)
        costs = interleaved(subjects, 5)
    floors = costs.pop("bare")
    rate = 1 / statistics.median(cost.wall for cost in floors)
    cpu = statistics.median(cost.cpu for cost in floors)
    for reader, found in costs.items():
        is_fast = reader == "fast" and certificate is None
        yield Row(
            name=f"socket to {SYMBOLS} engines, {reader}{suffix}",
            value=1 / statistics.median(cost.wall for cost in found),
            unit="1/s",
            floor_name=f"bare trio-websocket loop{suffix}",
            floor=rate,
            goal=Goal(limit=4, at_least=True) if is_fast else None,
        )
        yield Row(
            name=f"CPU of it, for each message, {reader}{suffix}",
            value=statistics.median(cost.cpu for cost in found) * 1e6,
            unit="us",
            floor_name=f"bare trio-websocket loop{suffix}",
            floor=cpu * 1e6,
        )
