"""A disk in memory whose power can be cut: every state it may come back in, enumerated.

The model is harsher than any file system: data not yet synced may be there, empty, half there
or garbage; of the changes to names since the last sync of the directory any subset survives.
"""

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Literal

import attrs

Change = tuple[Literal["link", "rename", "unlink"], str, str, int]


@attrs.define
class File:
    data: bytearray = attrs.field(factory=bytearray)
    synced: bytes = b""

    def states(self) -> set[bytes]:
        whole = bytes(self.data)
        if whole == self.synced:
            return {whole}
        return {whole, self.synced, whole[: len(whole) // 2], b"\0" * len(whole)}


class PowerDisk:
    """A `Disk` that can die before its n-th call, and fail or shorten calls before that."""

    def __init__(self, content: dict[str, bytes] | None = None) -> None:
        self.files: list[File] = []
        self.links: dict[str, int] = {}
        for name, data in (content or {}).items():
            self.links[name] = len(self.files)
            self.files.append(File(bytearray(data), data))
        self.durable = dict(self.links)
        self.pending: list[Change] = []
        self.calls = 0
        self.on_call: Callable[[str], None] = lambda _: None

    def _call(self, name: str) -> None:
        self.calls += 1
        self.on_call(name)

    def _change(self, kind: Literal["link", "rename", "unlink"], old: str, new: str) -> None:
        change = (kind, old, new, self.links.get(old, -1))
        self.pending.append(change)
        apply(self.links, change)

    def create(self, name: str) -> int:
        self._call("create")
        if name in self.links:
            raise FileExistsError(name)
        self.files.append(File())
        self.links[name] = len(self.files) - 1
        self.pending.append(("link", name, "", self.links[name]))
        return self.links[name]

    def write(self, handle: int, data: memoryview) -> int:
        self._call("write")
        taken = max(1, len(data) // 2)  # always short: the caller has to go on
        self.files[handle].data += data[:taken]
        return taken

    def fsync(self, handle: int) -> None:
        self._call("fsync")
        self.files[handle].synced = bytes(self.files[handle].data)

    def close(self, handle: int) -> None:
        pass

    def read(self, name: str, limit: int) -> bytes:
        if name not in self.links:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return bytes(self.files[self.links[name]].data)[:limit]

    def rename(self, old: str, new: str) -> None:
        self._call("rename")
        if old not in self.links:
            raise FileNotFoundError(old)
        self._change("rename", old, new)

    def unlink(self, name: str) -> None:
        self._call("unlink")
        if name in self.links:
            self._change("unlink", name, "")

    def sync(self) -> None:
        self._call("sync")
        self.durable = dict(self.links)
        self.pending.clear()

    def names(self) -> list[str]:
        return sorted(self.links)

    def after_kill(self) -> "PowerDisk":
        """What is there when only the process died."""
        return PowerDisk({name: bytes(self.files[at].data) for name, at in self.links.items()})

    def after_power_cut(self) -> Iterator["PowerDisk"]:
        """Every state the disk may come back in."""
        seen: set[tuple[tuple[str, bytes], ...]] = set()
        for chosen in itertools.product((False, True), repeat=len(self.pending)):
            links = dict(self.durable)
            for change, survives in zip(self.pending, chosen, strict=True):
                if survives:
                    apply(links, change)
            used = sorted(set(links.values()))
            for states in itertools.product(*(self.files[at].states() for at in used)):
                data = dict(zip(used, states, strict=True))
                content = {name: data[at] for name, at in sorted(links.items())}
                key = tuple(content.items())
                if key not in seen:
                    seen.add(key)
                    yield PowerDisk(content)


def apply(links: dict[str, int], change: Change) -> None:
    kind, old, new, at = change
    if kind == "link":
        links[old] = at
    elif kind == "rename":
        links[new] = at
        if links.get(old) == at:
            del links[old]
    else:
        links.pop(old, None)
