"""Writes snapshots on request, off the loop, at most once a second."""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import trio

from levitrio.errors import DamagedRecord
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.records.worker_threads import Offload, in_threads

INTERVAL = 1.0
"""Seconds between two writes; a kill may lose the changes of this time."""

RETRY_MAX = 60.0
"""Seconds; the longest pause after a failure, because a full disk stays full for a while."""


def _ignore(_text: str) -> None:
    pass


class SnapshotWriter:
    """Writes a snapshot after each `request`.

    Args:
        store: loads and saves the files; blocks.
        capture: encodes the fleet's state; runs on the loop, with checkpoints in between.
        offload: runs the blocking `store.save`; `inline` for an autojumping clock.
        interval: seconds between two writes.
        on_trouble: called on the loop at the first of several failures in a row; must not raise.
    """

    def __init__(
        self,
        store: SnapshotStore,
        capture: Callable[[], Awaitable[msgspec.Raw]],
        *,
        offload: Offload | None = None,
        interval: float = INTERVAL,
        on_trouble: Callable[[str], None] = _ignore,
    ) -> None:
        self._store = store
        self._capture = capture
        self._offload: Offload = offload or in_threads(1)
        self._interval = interval
        self._on_trouble = on_trouble
        self._dirty = False
        self._lot = trio.lowlevel.ParkingLot()
        self._writing = trio.Lock()
        self._failures = 0
        self._generation = 0
        self._last_write_seconds = 0.0

    @property
    def generation(self) -> int:
        """The newest durable generation of this run; 0 before the first."""
        return self._generation

    @property
    def failing(self) -> bool:
        """Whether the last write failed."""
        return self._failures > 0

    @property
    def last_write_seconds(self) -> float:
        """Seconds the newest write took, off the loop; 0 before the first."""
        return self._last_write_seconds

    def request(self) -> None:
        """Ask for a write soon; any number of calls become one write."""
        self._dirty = True
        self._lot.unpark_all()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write when requested, until cancelled; a write that has begun is finished first."""
        task_status.started()  # from now on a request leads to a write
        while True:
            while not self._dirty:
                await self._lot.park()
            begun = trio.current_time()
            await self._write()
            # The exponent is capped because 2.0 ** 1024 overflows.
            pause = min(RETRY_MAX, self._interval * 2.0 ** min(self._failures, 10))
            await trio.sleep_until(begun + pause)

    async def flush(self) -> bool:
        """Write now, without waiting for the interval; False when that failed.

        For the final snapshot of a run. Cancelled before the write begins, it writes nothing.
        """
        return await self._write()

    async def _write(self) -> bool:
        async with self._writing:
            self._dirty = False
            failure = ""
            begun = trio.current_time()
            try:
                registry = await self._capture()
                begun = trio.current_time()
                self._generation = await self._offload(partial(self._store.save, registry))
            except (OSError, DamagedRecord, TypeError, ValueError, OverflowError) as error:
                failure = f"{type(error).__name__}: {error}"
            except (RecursionError, msgspec.MsgspecError) as error:
                failure = f"{type(error).__name__}: {error}"
            except BaseException:
                self._dirty = True  # cancelled before it began
                raise
            self._last_write_seconds = trio.current_time() - begun
            if not failure:
                self._failures = 0
                return True
            self._dirty = True
            self._failures += 1
            if self._failures == 1:
                self._on_trouble(f"expected to write a snapshot: {failure}")
            return False
