"""Real worker processes: what they have, what they do not, and that they come back."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from levitrio.inference.interface import Missing, ModelCall
from levitrio.inference.models.feature_schema import CANDLES
from levitrio.inference.workers import worker
from levitrio.inference.workers.pool import WorkerPool
from levitrio.supervision.restart import RestartPolicy
from tests.inference.model_files import constant_onnx, model_file, needs_training

pytestmark = [needs_training, pytest.mark.slow]

VECTOR = (0.0,) * len(CANDLES.names)
BACK_WITHIN = 5.0
"""Seconds; the goal is 1, and a machine under load is no bug of ours. The bench measures it."""


@asynccontextmanager
async def running_pool(
    contents: dict[str, bytes], *, deadline: float = 2.0
) -> AsyncIterator[tuple[WorkerPool, dict[str, ModelCall]]]:
    """A pool with one process and some models; calls by the models' names."""
    from levitrio.inference.workers.process import open_process

    pool = WorkerPool(
        workers=1,
        deadline=deadline,
        policy=RestartPolicy,
        chance=lambda: 0.0,
        tell=lambda _, __: None,
        open_worker=open_process,
    )
    calls = {}
    for name, content in contents.items():
        file = model_file(content, name=name)
        pool.add(file)
        calls[name] = (file.key, VECTOR)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        yield pool, calls
        nursery.cancel_scope.cancel()


def pid_of(pool: WorkerPool) -> int:
    return pool._slots[0].pid


async def check_has_little(pid: int) -> None:
    process = Path("/proc") / str(pid)
    with trio.fail_after(BACK_WITHIN):
        # A runtime may need a second one for a moment while it opens a model.
        while len(list((process / "task").iterdir())) != 1:  # noqa: ASYNC110  another's
            await trio.sleep(0.05)
    targets = {str(link.readlink()) for link in (process / "fd").iterdir()}
    assert all(target == os.devnull or target.startswith("pipe:") for target in targets), targets
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    assert int(fields[16]) == min(19, os.nice(0) + 10)


def check_has_written_nothing(home: Path) -> None:
    assert [path.name for path in home.iterdir()] == ["key"]


async def test_a_worker_has_nothing_of_the_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptor, no terminal, low priority, one thread; a model answers all the same."""
    monkeypatch.setenv("HOME", str(tmp_path))
    secret = tmp_path / "key"
    secret.write_text("secret")
    with secret.open() as held:
        os.set_inheritable(held.fileno(), True)
        async with running_pool({"m.onnx": constant_onnx(0.5)}) as (pool, calls):
            assert await pool.ask([calls["m.onnx"]]) == (0.5,)
            await check_has_little(pid_of(pool))
    check_has_written_nothing(tmp_path)


async def test_a_killed_worker_is_replaced() -> None:
    """Mid-call that engine gets no signal; then there is a new one, with its models."""
    async with running_pool({"m.onnx": constant_onnx(0.5)}) as (pool, calls):
        first = pid_of(pool)
        # Stopped, so that the call is sure to be under way when the worker is killed.
        os.kill(first, signal.SIGSTOP)
        found: list[float | Missing] = []

        async def ask() -> None:
            found.extend(await pool.ask([calls["m.onnx"]]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.05)
            os.kill(first, signal.SIGKILL)
        assert isinstance(found[0], Missing)
        assert found[0].is_error
        with trio.fail_after(BACK_WITHIN):
            while await pool.ask([calls["m.onnx"]]) != (0.5,):
                pass
        assert pid_of(pool) not in (0, first)


async def test_a_stopped_worker_hangs_and_is_replaced() -> None:
    """No answer within the deadline, no worker that blocks its caller."""
    async with running_pool({"m.onnx": constant_onnx(0.5)}, deadline=0.3) as (pool, calls):
        first = pid_of(pool)
        os.kill(first, signal.SIGSTOP)
        found = (await pool.ask([calls["m.onnx"]]))[0]
        assert isinstance(found, Missing)
        assert found.code == "late"
        with trio.fail_after(BACK_WITHIN):
            while await pool.ask([calls["m.onnx"]]) != (0.5,):
                pass
        assert pid_of(pool) not in (0, first)


async def test_an_idle_worker_that_is_killed_is_replaced() -> None:
    """Without a call that would have found out."""
    async with running_pool({"m.onnx": constant_onnx(0.5)}) as (pool, calls):
        first = pid_of(pool)
        os.kill(first, signal.SIGKILL)
        with trio.fail_after(BACK_WITHIN):
            while pid_of(pool) in (0, first):
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert await pool.ask([calls["m.onnx"]]) == (0.5,)


async def test_bad_models_are_refused_inside_the_worker() -> None:
    """Garbage, a wrong width, an answer that is no number: the worker lives on."""
    from levitrio.inference.models.feature_schema import MARKET

    contents = {
        "garbage.onnx": b"\x08\x08garbage",
        "wide.onnx": constant_onnx(0.5, MARKET),
        "nan.onnx": constant_onnx(float("nan")),
        "two.onnx": constant_onnx(2.0),
        "m.onnx": constant_onnx(0.25),
    }
    async with running_pool(contents) as (pool, calls):
        found = await pool.ask(list(calls.values()))
        assert found[-1] == 0.25
        for refused in found[:-1]:
            assert isinstance(refused, Missing)
            assert refused.code == "not_loaded"
        assert "expected 9 features, got 11" in str(found[1])
        assert pool.statistics().lost == 0


def test_what_a_worker_says_is_a_probability_or_in_words() -> None:
    """The last check before a number is believed."""
    assert worker.checked(0.3) == 0.3
    assert worker.checked(1.0000001) == 1.0
    for value in (float("nan"), float("inf"), 1.1, -0.1):
        assert isinstance(worker.checked(value), str)
