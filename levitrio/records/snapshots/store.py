"""Saves and loads snapshots in three generations, so that a power cut never loses all of them.

A file is one line of JSON: {"version", "generation", "checksum", "registry"}. The checksum is
SHA-256 over version, generation and the bytes of `registry`. All versions have these four keys,
so that each version recognises any other. Saving, in this order:

    1. write a temporary file and fsync it
    2. registry.1.json -> registry.2.json, registry.json -> registry.1.json
    3. temporary -> registry.json
    4. fsync of the directory; only now the generation counts as saved

Whichever part of 2 and 3 survives a power cut, the newest saved generation has one of the three
names, so loading reads all of them and takes the highest undamaged one.
"""

import hashlib
from contextlib import suppress
from typing import Any

import attrs
import msgspec

from levitrio.errors import DamagedRecord
from levitrio.records.snapshots.filesystem import Disk

VERSION = 1

NAMES = ("registry.json", "registry.1.json", "registry.2.json")
"""Newest first."""

DAMAGED_NAME = "registry.damaged.json"
"""New name of a damaged newest snapshot, which is kept for analysis."""

_TEMPORARY = ".registry."

SIZE_LIMIT = 64 * 2**20
"""Bytes; 1,000 engines take less than one MiB without strategy state."""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    generation: int
    checksum: str
    registry: msgspec.Raw


@attrs.frozen(kw_only=True)
class LoadedSnapshot:
    """The newest undamaged snapshot."""

    generation: int
    payload: dict[str, Any]
    notes: tuple[str, ...]
    """Texts for the operator: which snapshots were damaged, and why."""


@attrs.frozen
class _Sound:
    name: str
    generation: int
    registry: bytes


class _Unsound(ValueError):
    """A file is damaged or not a snapshot."""


def _checksum(version: int, generation: int, registry: bytes) -> str:
    return hashlib.sha256(b"%d %d " % (version, generation) + registry).hexdigest()


Payload = dict[str, Any] | msgspec.Raw
"""A JSON object, as plain data or encoded already."""


def encode(generation: int, payload: Payload) -> bytes:
    """Encode a payload as the bytes of a snapshot file.

    Raises:
        TypeError: the payload is not plain data.
        ValueError: as above.
    """
    registry = msgspec.json.encode(payload)
    checksum = _checksum(VERSION, generation, registry)
    envelope = _Envelope(VERSION, generation, checksum, msgspec.Raw(registry))
    return msgspec.json.encode(envelope) + b"\n"


def _decode(data: bytes) -> _Envelope:
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Unsound(str(error)) from None
    expected = _checksum(envelope.version, envelope.generation, bytes(envelope.registry))
    # The second test finds damage that the checksum does not cover: between the values.
    if envelope.checksum != expected or msgspec.json.encode(envelope) + b"\n" != data:
        raise _Unsound("the checksum does not match")
    if envelope.version == VERSION and not bytes(envelope.registry).startswith(b"{"):
        raise _Unsound("expected an object in `registry`")
    return envelope


class SnapshotStore:
    """Saves and loads snapshots in one directory, while a `DataDirLock` is held.

    Blocks; one thread at a time.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._generation: int | None = None
        self._newest_is_damaged = False

    def load(self) -> LoadedSnapshot | None:
        """Load the newest undamaged snapshot; None when there has never been one.

        Raises:
            DamagedRecord: all snapshots are damaged, or one was written by a newer levitrio.
                Nothing was changed; to start without the strategies' states instead is the
                operator's decision.
            OSError: the directory cannot be read.
        """
        sound, notes, present = self._survey()
        if sound is None and present:
            raise DamagedRecord(
                f"expected a sound snapshot, all are damaged: {'; '.join(notes)}."
                f" Positions and PnL are in the journal; to start without the rest, move"
                f" {' '.join(present)} away"
            )
        for name in self._disk.names():
            if name.startswith(_TEMPORARY):
                self._disk.unlink(name)
        if sound is None:
            self._generation = 0
            return None
        # A damaged file may have had a higher generation: skip the numbers it may have used.
        self._generation = sound.generation + (len(NAMES) if notes else 0)
        payload = msgspec.json.decode(sound.registry)
        if notes:
            notes.append(f"using generation {sound.generation} from {sound.name}")
        return LoadedSnapshot(generation=sound.generation, payload=payload, notes=tuple(notes))

    def _survey(self) -> tuple[_Sound | None, list[str], list[str]]:
        best: _Sound | None = None
        notes: list[str] = []
        present: list[str] = []
        self._newest_is_damaged = False
        for name in NAMES:
            try:
                data = self._disk.read(name, SIZE_LIMIT + 1)
                present.append(name)
                if len(data) > SIZE_LIMIT:
                    raise _Unsound(f"expected at most {SIZE_LIMIT} bytes")
                envelope = _decode(data)
            except FileNotFoundError:
                continue
            except (OSError, _Unsound) as error:
                notes.append(f"{name} is damaged: {error}")
                present += [] if name in present else [name]
                self._newest_is_damaged |= name == NAMES[0]
                continue
            if envelope.version != VERSION:
                raise DamagedRecord(
                    f"{name}: expected version {VERSION}, found {envelope.version};"
                    " nothing was changed: use the levitrio that wrote it, or move it away"
                )
            if best is None or envelope.generation > best.generation:
                best = _Sound(name, envelope.generation, bytes(envelope.registry))
        return best, notes, present

    def save(self, payload: Payload) -> int:
        """Write the next generation and return its number once it is durable.

        Raises:
            OSError: it cannot be written; the older generations are still there.
            DamagedRecord: as from `load`, when nothing was loaded before.
            TypeError: the payload is not plain data.
            ValueError: as above.
        """
        if self._generation is None:
            self.load()
            assert self._generation is not None
        generation = self._generation + 1
        data = encode(generation, payload)
        temporary = f"{_TEMPORARY}{generation}.tmp"
        self._generation = generation  # never used again, even if this save fails
        try:
            self._write(temporary, data)
            self._rotate()
            self._disk.rename(temporary, NAMES[0])
        except OSError:
            with suppress(OSError):  # the first error is the one to report
                self._disk.unlink(temporary)
            raise
        self._disk.sync()
        return generation

    def _write(self, name: str, data: bytes) -> None:
        self._disk.unlink(name)
        handle = self._disk.create(name)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._disk.write(handle, rest) :]
            self._disk.fsync(handle)
        finally:
            self._disk.close(handle)

    def _rotate(self) -> None:
        present = set(self._disk.names())
        newest, middle, oldest = NAMES
        if self._newest_is_damaged and newest in present:
            self._disk.rename(newest, DAMAGED_NAME)
            self._newest_is_damaged = False
            return
        if newest not in present:
            return  # an earlier save was interrupted after it had rotated
        if middle in present:
            self._disk.rename(middle, oldest)
        self._disk.rename(newest, middle)
