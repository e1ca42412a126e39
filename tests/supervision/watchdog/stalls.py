"""A small fleet in a process of its own, with one engine that blocks its loop.

Run as a script: which way to block, the data directory, then settings as `name=number`. Prints
one JSON document when it ends in good order.
"""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import trio

import levitrio
from levitrio.supervision.current_engine import EngineBlocked, as_engine
from levitrio.supervision.watchdog.alarm import BlockedStep, Watchdog
from levitrio.supervision.watchdog.code_ownership import CodeOwnership
from levitrio.supervision.watchdog.flight_recorder import FlightRecorder
from levitrio.supervision.watchdog.hard_exit import exit_armed_by

OWNERSHIP = CodeOwnership.around(Path(levitrio.__file__).parent, lent=(), entry_points=())


async def loop() -> None:
    while True:
        pass


async def sleep() -> None:
    time.sleep(60)  # noqa: ASYNC251  to block is the point


async def regex() -> None:
    re.match(r"(a+)+$", "a" * 40 + "b")


async def swallow_once() -> None:
    with suppress(BaseException):
        await loop()
    await loop()


async def swallow() -> None:
    while True:
        with suppress(BaseException):
            await loop()


async def grandchild() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop)


async def call_into_c() -> None:
    sum(range(10**12))


async def nap() -> None:
    time.sleep(0.7)  # noqa: ASYNC251  to block is the point


async def busy_with_pauses() -> None:
    """Half of the time in short steps, as an engine in good health on a busy day."""
    end = time.monotonic() + 3
    while time.monotonic() < end:
        step = time.monotonic() + 0.02
        while time.monotonic() < step:
            pass
        await trio.sleep(0.02)


async def main(stall: Callable[[], Awaitable[None]], box: FlightRecorder, **set_: float) -> None:
    reports: list[BlockedStep] = []
    caught: list[str] = []
    gaps: list[float] = []
    over = trio.Event()

    async def engine() -> None:
        try:
            await stall()
        except BaseExceptionGroup as group:
            caught.extend(str(exc) for exc in group.exceptions)
        except EngineBlocked as exc:
            caught.append(str(exc))
        over.set()

    async def neighbour() -> None:
        while True:
            before = trio.current_time()
            await trio.sleep(0.01)
            gaps.append(trio.current_time() - before)

    patience = {"SOLUSDT": set_["patience"]} if "patience" in set_ else {}
    watchdog = Watchdog(
        ownership=OWNERSHIP,
        on_blocked=reports.append,
        blocked_after=set_.get("blocked_after", 0.3),
        patience=patience.get,
        flight_recorder=box,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(neighbour)
        await nursery.start(watchdog.run)
        with (
            trio.open_signal_receiver(signal.SIGTERM),
            exit_armed_by(signal.SIGTERM, set_.get("exit_after", 60)),
        ):
            print(box._sentinel.pid, flush=True)
            with as_engine("SOLUSDT") if not set_.get("own") else nullcontext():
                nursery.start_soon(engine)
            await over.wait()
            await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    blocked = [(r.engine, r.seconds, r.place[2], r.is_interrupted) for r in reports]
    print(json.dumps({"blocked": blocked, "caught": caught, "gap": max(gaps)}), flush=True)


if __name__ == "__main__":
    stall, directory, *settings = sys.argv[1:]
    numbers = {key: float(value) for key, _, value in (each.partition("=") for each in settings)}
    with FlightRecorder.open(Path(directory), hard_after=numbers.pop("hard_after", 1.0)) as opened:
        trio.run(lambda: main(globals()[stall], opened, **numbers))
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    os._exit(0 if signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0) else 3)
