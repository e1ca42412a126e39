"""Three generations on disk: whichever way a save ends, the last saved one can be loaded."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from levitrio.errors import DamagedRecord
from levitrio.records.snapshots.filesystem import Directory, Disk
from levitrio.records.snapshots.store import DAMAGED_NAME, NAMES, SnapshotStore, encode
from tests.records.power import PowerDisk

Save = Callable[[Disk, int], None]


class Cut(BaseException):
    """The power went."""


def saved(count: int) -> PowerDisk:
    disk = PowerDisk()
    store = SnapshotStore(disk)
    for n in range(1, count + 1):
        assert store.save({"n": n}) == n
    return disk


def test_never_saved_is_nothing() -> None:
    """An empty directory is a new fleet, not a damaged one."""
    assert SnapshotStore(PowerDisk()).load() is None


def test_the_newest_of_three_is_loaded(tmp_path: Path) -> None:
    """On a real directory: three files, the newest first, readable as JSON."""
    store = SnapshotStore(Directory(tmp_path))
    for n in range(1, 6):
        store.save({"n": n})

    loaded = SnapshotStore(Directory(tmp_path)).load()

    assert loaded is not None
    assert (loaded.generation, loaded.payload, loaded.notes) == (5, {"n": 5}, ())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(NAMES)
    generations = [msgspec.json.decode((tmp_path / name).read_bytes()) for name in NAMES]
    assert [document["generation"] for document in generations] == [5, 4, 3]


def protocol(disk: Disk, n: int) -> None:
    SnapshotStore(disk).save({"n": n})


def write_all(disk: Disk, name: str, data: bytes, *, synced: bool) -> None:
    handle = disk.create(name)
    rest = memoryview(data)
    while rest:
        rest = rest[disk.write(handle, rest) :]
    if synced:
        disk.fsync(handle)


def without_fsync(disk: Disk, n: int) -> None:
    write_all(disk, ".registry.tmp", encode(n, {"n": n}), synced=False)
    disk.rename(NAMES[0], NAMES[1])
    disk.rename(".registry.tmp", NAMES[0])
    disk.sync()


def in_place(disk: Disk, n: int) -> None:
    for name in NAMES[1:]:
        disk.unlink(name)
    disk.unlink(NAMES[0])
    write_all(disk, NAMES[0], encode(n, {"n": n}), synced=True)
    disk.sync()


def without_directory_sync(disk: Disk, n: int) -> None:
    write_all(disk, ".registry.tmp", encode(n, {"n": n}), synced=True)
    disk.rename(".registry.tmp", NAMES[0])


def crash_states(save: Save, cut_before: int) -> Iterator[tuple[PowerDisk, bool]]:
    """Every disk after a third save that died before its call `cut_before`; was it finished?"""
    disk = saved(2)

    def count(_: str) -> None:
        if disk.calls == cut_before:
            raise Cut

    disk.calls, disk.on_call = 0, count
    finished = False
    try:
        save(disk, 3)
        finished = True
    except Cut:
        pass
    disk.on_call = lambda _: None
    yield disk.after_kill(), finished
    for state in disk.after_power_cut():
        yield state, finished


def bad_states(save: Save) -> list[str]:
    bad = []
    finished = False
    cut_before = 1
    while not finished:
        for state, finished in crash_states(save, cut_before):
            at_least = 3 if finished else 2
            try:
                loaded = SnapshotStore(state).load()
            except DamagedRecord as error:
                bad.append(f"cut before call {cut_before}: {error}")
                continue
            if loaded is None or loaded.generation < at_least:
                bad.append(f"cut before call {cut_before}: {loaded}")
                continue
            if loaded.payload != {"n": loaded.generation}:
                bad.append(f"cut before call {cut_before}: wrong content {loaded}")
            again = SnapshotStore(state).save({"n": "next"})
            if again <= loaded.generation:
                bad.append(f"cut before call {cut_before}: backwards to {again}")
        cut_before += 1
    assert cut_before > 3
    return bad


def test_no_crash_state_loses_the_last_saved_generation() -> None:
    """Killed or without power before every call: loadable, never backwards."""
    assert bad_states(protocol) == []


@pytest.mark.parametrize("wrong", [without_fsync, in_place, without_directory_sync])
def test_the_enumeration_bites(wrong: Save) -> None:
    """Three protocols people do write are caught, so the test above means something."""
    assert bad_states(wrong)


@pytest.mark.parametrize("at", range(1, 20))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_refusing_disk_keeps_the_old_generation(at: int, code: int) -> None:
    """ENOSPC or EIO at any call: the old snapshot loads, and the next save works."""
    disk = saved(2)
    store = SnapshotStore(disk)
    store.load()

    def refuse(_: str) -> None:
        if disk.calls == at:
            raise OSError(code, "injected")

    disk.calls, disk.on_call = 0, refuse
    try:
        store.save({"n": 3})
    except OSError:
        loaded = SnapshotStore(disk.after_kill()).load()
        assert loaded is not None
        assert loaded.generation >= 2
    disk.on_call = lambda _: None

    assert store.save({"n": 4}) == 4
    assert not [name for name in disk.names() if name.endswith(".tmp")]
    loaded = SnapshotStore(disk).load()
    assert loaded is not None
    assert loaded.payload == {"n": 4}


def damage(disk: PowerDisk, name: str, data: bytes) -> None:
    disk.files[disk.links[name]].data[:] = data


def test_every_flipped_or_missing_byte_is_noticed() -> None:
    """Cut anywhere, or one bit of a byte changed: the one before, and a note."""
    sound = encode(3, {"n": 3, "text": "é"})
    broken = [sound[:length] for length in range(len(sound))]
    for at in range(len(sound)):
        for bit in (0, 2, 5, 7):
            broken.append(sound[:at] + bytes([sound[at] ^ (1 << bit)]) + sound[at + 1 :])  # noqa: PERF401
    disk = saved(3)
    for data in broken:
        damage(disk, NAMES[0], data)
        loaded = SnapshotStore(disk).load()
        assert loaded is not None
        assert loaded.generation == 2
        assert NAMES[0] in loaded.notes[0]
        assert "using generation 2" in loaded.notes[-1]


def test_a_damaged_newest_is_kept_aside_and_its_number_not_used_again() -> None:
    """The damaged file is kept for analysis, and the good older one is not replaced."""
    disk = saved(3)
    damage(disk, NAMES[0], b"damaged")
    store = SnapshotStore(disk)
    assert store.load() is not None

    assert store.save({"n": 4}) > 3

    assert disk.read(DAMAGED_NAME, 100) == b"damaged"
    loaded = SnapshotStore(disk).load()
    assert loaded is not None
    assert (loaded.payload, loaded.notes) == ({"n": 4}, ())
    assert [NAMES[1] in disk.names(), NAMES[2] in disk.names()] == [True, True]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"null", b"{" * 100_000, b"\xff\xfe"])
def test_all_damaged_is_refused_loudly(data: bytes) -> None:
    """Starting empty would forget what the strategies knew; the text says what to do."""
    disk = PowerDisk(dict.fromkeys(NAMES, data))

    with pytest.raises(DamagedRecord, match=r"move registry\.json .* away"):
        SnapshotStore(disk).load()
    with pytest.raises(DamagedRecord):
        SnapshotStore(disk).save({})

    assert {disk.read(name, 10**6) for name in NAMES} == {data}


def versioned(version: Any) -> bytes:
    registry = b'{"n":1}'
    checksum = hashlib.sha256(f"{version} 9 ".encode() + registry).hexdigest()
    head = msgspec.json.encode({"version": version, "generation": 9, "checksum": checksum})
    return head[:-1] + b',"registry":' + registry + b"}\n"


@pytest.mark.parametrize("version", [0, 2, 999])
def test_another_version_is_refused_and_untouched(version: int) -> None:
    """A downgrade must not read what it does not understand, nor push it out."""
    disk = saved(2)
    damage(disk, NAMES[0], versioned(version))

    with pytest.raises(DamagedRecord, match=f"found {version}"):
        SnapshotStore(disk).load()

    assert disk.read(NAMES[0], 10**6) == versioned(version)


def test_our_own_version_passes_the_same_way() -> None:
    """The helper above builds what `encode` builds, so its refusals are for the version."""
    assert versioned(1) == encode(9, {"n": 1})


def test_an_unreadable_newest_is_as_good_as_damaged() -> None:
    """EIO at load gives the generation before, and says so; of all three, a refusal."""

    class Unreadable(PowerDisk):
        bad: tuple[str, ...] = NAMES[:1]

        def read(self, name: str, limit: int) -> bytes:
            if name in self.bad:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(name, limit)

    disk = Unreadable(contents(saved(3)))
    loaded = SnapshotStore(disk).load()
    assert loaded is not None
    assert loaded.generation == 2
    assert "Input/output error" in loaded.notes[0]
    disk.bad = NAMES
    with pytest.raises(DamagedRecord, match="Input/output error"):
        SnapshotStore(disk).load()


def contents(disk: PowerDisk) -> dict[str, bytes]:
    return {name: disk.read(name, 10**6) for name in disk.names()}


def test_files_in_any_order_are_the_newest_generation() -> None:
    """A generation lower than, or equal to, that of an older name is no way back."""
    files = contents(saved(3))
    swapped = PowerDisk({NAMES[0]: files[NAMES[2]], NAMES[1]: files[NAMES[0]]})
    same = PowerDisk(dict.fromkeys(NAMES, files[NAMES[0]]))
    for disk in (swapped, same):
        store = SnapshotStore(disk)
        loaded = store.load()
        assert loaded is not None
        assert loaded.generation == 3
        assert store.save({"n": 4}) == 4


def sealed(registry: bytes, generation: int = 9) -> bytes:
    """A file with these bytes as its registry, and the right checksum."""
    checksum = hashlib.sha256(b"1 %d " % generation + registry).hexdigest()
    head = msgspec.json.encode({"version": 1, "generation": generation, "checksum": checksum})
    return head[:-1] + b',"registry":' + registry + b"}\n"


@pytest.mark.parametrize(
    "registry",
    [b'{"n":NaN}', b'{"n":Infinity}', b"[1]", b"null", b'{"n":' * 10**5 + b"1" + b"}" * 10**5],
)
def test_a_right_checksum_does_not_make_it_right(registry: bytes) -> None:
    """No number, no object, or too deep: the generation before, and a note."""
    files = contents(saved(3))
    disk = PowerDisk({**files, NAMES[0]: sealed(registry)})
    loaded = SnapshotStore(disk).load()
    assert loaded is not None
    assert loaded.generation == 2
    assert NAMES[0] in loaded.notes[0]


def test_a_huge_snapshot_is_not_read(tmp_path: Path) -> None:
    """100 MB, sparse: refused by its size, the generation before is used."""
    for name, data in contents(saved(3)).items():
        (tmp_path / name).write_bytes(data)
    os.truncate(tmp_path / NAMES[0], 100 * 2**20)
    loaded = SnapshotStore(Directory(tmp_path)).load()
    assert loaded is not None
    assert loaded.generation == 2
    assert "at most" in loaded.notes[0]


def test_leftover_temporaries_are_removed() -> None:
    """Two saves were killed; their halves are neither read nor kept."""
    disk = saved(1)
    for name in (".registry.7.tmp", ".registry.8.tmp"):
        write_all(disk, name, b"half", synced=False)

    loaded = SnapshotStore(disk).load()

    assert loaded is not None
    assert disk.names() == [NAMES[0]]


def test_a_payload_that_is_no_json_changes_nothing() -> None:
    """The refusal comes before the first byte is written."""
    disk = saved(1)
    store = SnapshotStore(disk)
    with pytest.raises(TypeError):
        store.save({"n": object()})

    assert disk.names() == [NAMES[0]]


def test_a_symlink_in_place_of_a_snapshot_is_damage(tmp_path: Path) -> None:
    """Only a regular file of our own is believed."""
    (tmp_path / "elsewhere").write_bytes(encode(1, {"n": 1}))
    (tmp_path / NAMES[0]).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DamagedRecord):
        SnapshotStore(Directory(tmp_path)).load()
