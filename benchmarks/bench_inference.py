"""What models cost the fleet: a tick's latency while one is always being asked."""

import functools
import hashlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable

import trio

from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import interleaved, median_percentile, medians, seconds_per_call
from levitrio.inference.features.bar_observation import Observation
from levitrio.inference.models.feature_schema import CANDLES
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.workers.pool import WorkerPool
from levitrio.inference.workers.worker import make_predictor
from levitrio.supervision.restart import RestartPolicy
from tests.inference.model_files import HAS_TRAINING, constant_onnx, some_bars

_RATE = 5_000
"""Ticks a second."""
_SECONDS = 2.0
_WIDTH = len(CANDLES.names)
_VECTOR = (0.0,) * _WIDTH
_WANTED = 0.002
"""Seconds the model takes."""
_PAUSE = 0.02
"""Seconds between two calls inside the loop: one after the other, no tick would come through."""


@functools.cache
def _slow_model() -> ModelFile:
    """A model that takes about 2 ms here."""
    loops = 20
    while loops < 20_000:
        content = constant_onnx(0.5, loops=loops)
        ask = make_predictor("onnx", content, _WIDTH)
        taken = seconds_per_call(functools.partial(ask, _VECTOR), 30)
        if taken >= _WANTED * 0.8:
            break
        loops = max(loops + 5, round(loops * _WANTED / taken))
    digest = hashlib.sha256(content).hexdigest()
    return ModelFile(
        name="slow", key=digest, format="onnx", schema=CANDLES, interval="1m", content=content
    )


def _pool(deadline: float = 5.0) -> WorkerPool:
    from levitrio.inference.workers.process import open_process

    return WorkerPool(
        workers=1,
        deadline=deadline,
        policy=RestartPolicy,
        chance=lambda: 0.0,
        tell=lambda _, __: None,
        open_worker=open_process,
    )


async def _ticks(latencies: list[float]) -> None:
    """Ticks at their rate; how late each is served, in seconds."""
    begun = time.perf_counter()
    for number in range(int(_RATE * _SECONDS)):
        due = begun + number / _RATE
        left = due - time.perf_counter()
        if left > 0:
            await trio.sleep(left)
        latencies.append(time.perf_counter() - due)
        await trio.lowlevel.checkpoint()


def _measure(busy: Callable[[], Awaitable[object]] | None, pool: WorkerPool | None) -> list[float]:
    latencies: list[float] = []

    async def keep_busy() -> None:
        assert busy is not None
        while True:
            await busy()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            if pool is not None:
                pool.add(_slow_model())
                await nursery.start(pool.run)
            if busy is not None:
                nursery.start_soon(keep_busy)
            await _ticks(latencies)
            nursery.cancel_scope.cancel()

    trio.run(main)
    return latencies


def _idle() -> list[float]:
    return _measure(None, None)


def _with_worker() -> list[float]:
    pool, call = _pool(), (_slow_model().key, _VECTOR)
    return _measure(lambda: pool.ask([call]), pool)


def _in_loop() -> list[float]:
    ask = make_predictor("onnx", _slow_model().content, _WIDTH)

    async def once() -> None:
        ask(_VECTOR)
        await trio.sleep(_PAUSE)

    return _measure(once, None)


@measures
def inference_and_ticks() -> Iterable[Row]:
    """p99 of a tick at 5,000 a second: idle, with one worker always busy, with the model inside."""
    if not HAS_TRAINING:
        return
    _slow_model()
    found = interleaved({"idle": _idle, "worker": _with_worker, "loop": _in_loop}, 5)
    idle, worker, loop = (
        median_percentile(found[name], 99) * 1e3 for name in ("idle", "worker", "loop")
    )
    yield Row(
        name="tick p99, 2 ms model in a worker, always busy",
        value=worker,
        unit="ms",
        floor_name="idle",
        floor=idle,
        goal=Goal(limit=1.5),
    )
    yield Row(
        name="tick p99, 2 ms model in the loop, 45 calls a second",
        value=loop,
        unit="ms",
        floor_name="idle",
        floor=idle,
    )


async def _recovery(signal_number: int) -> float:
    """Seconds from the end of a worker until the next answer."""
    pool, call = _pool(0.25), (_slow_model().key, _VECTOR)
    pool.add(_slow_model())
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        nursery.start_soon(pool.ask, [call])
        await trio.sleep(0.001)
        begun = time.perf_counter()
        os.kill(pool._slots[0].pid, signal_number)
        while not isinstance((await pool.ask([call]))[0], float):
            await trio.lowlevel.checkpoint()
        taken = time.perf_counter() - begun
        nursery.cancel_scope.cancel()
    return taken


@measures
def inference_recovery() -> Iterable[Row]:
    """A worker killed or stopped in mid-call, until another one answers."""
    if not HAS_TRAINING:
        return
    found = medians(
        {
            "killed": lambda: trio.run(_recovery, int(signal.SIGKILL)),
            "hung": lambda: trio.run(_recovery, int(signal.SIGSTOP)),
        },
        5,
    )
    for name, seconds in found.items():
        yield Row(
            name=f"worker {name}, until the next answer",
            value=seconds * 1e3,
            unit="ms",
            goal=Goal(limit=1000.0, of="value"),
        )


@measures
def feature_vector() -> Iterable[Row]:
    """One bar's vector, incrementally, whatever the length of the past."""
    if not HAS_TRAINING:
        return
    from levitrio.inference.features.features import FeatureStream

    bars = some_bars(5_000)

    def per_bar(of: list[Observation]) -> float:
        stream = FeatureStream(CANDLES, 60_000)
        for bar in bars[: -len(of)]:
            stream.push(bar)
        begun = time.perf_counter()
        for bar in of:
            stream.push(bar)
        return (time.perf_counter() - begun) / len(of)

    found = medians({"late": lambda: per_bar(bars[-500:])}, 5)
    yield Row(name="feature vector of a bar", value=found["late"] * 1e6, unit="us")
