"""A reserved descriptor lets one open succeed when a process has no other left."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from levitrio.records.locks.reserve_descriptor import ReservedDescriptor
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.store import SnapshotStore


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Every open fails with EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = [int(each.name) for each in Path("/proc/self/fd").iterdir()]
    taken = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max([*used, *taken]) + 1, hard))
    try:
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError as error:
                assert error.errno == errno.EMFILE  # noqa: PT017  what is waited for
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


def test_a_snapshot_is_written_without_descriptors(tmp_path: Path) -> None:
    """Save after save, and nothing is left open by it."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with ReservedDescriptor() as reserve:
        store = SnapshotStore(Directory(tmp_path, reserve))
        store.load()
        with no_descriptor_left():
            assert [store.save({"n": n}) for n in range(3)] == [1, 2, 3]
            with pytest.raises(OSError, match="Too many open files"):
                os.dup(0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_one_open_for_each_reserve() -> None:
    """Spent once, it is spent until something was closed; harmless otherwise."""
    with ReservedDescriptor() as reserve, no_descriptor_left():
        assert reserve.spend()
        opened = os.open(os.devnull, os.O_RDONLY)
        assert not reserve.spend()
        reserve.keep()
        assert reserve.is_spent, "there is none to keep"
        os.close(opened)
        reserve.keep()
        assert not reserve.is_spent
