"""Reserves a file descriptor for the case that the process has no other left.

User code may leak descriptors until every open fails with EMFILE. Code that must work even then
reserves a descriptor, and closes it right before the call that needs one.
"""

import os
from types import TracebackType
from typing import Self

import attrs


@attrs.define(eq=False)
class ReservedDescriptor:
    """One reserved descriptor; a context manager. For one thread at a time."""

    _descriptor: int | None = attrs.field(default=None, init=False)

    @property
    def is_spent(self) -> bool:
        """Whether no descriptor is reserved, until `keep` succeeds again."""
        return self._descriptor is None

    def spend(self) -> bool:
        """Close the descriptor, so that the next open can have it; False when none is reserved."""
        if self._descriptor is None:
            return False
        os.close(self._descriptor)
        self._descriptor = None
        return True

    def keep(self) -> None:
        """Reserve a descriptor again if one is free; call it after each close."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return  # tried again after the next close

    def __enter__(self) -> Self:
        self.keep()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.spend()
