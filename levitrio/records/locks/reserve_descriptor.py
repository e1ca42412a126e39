"""A descriptor kept back for the moment when the process has no other left.

User code may leak descriptors until every open fails with EMFILE. What must work even then keeps
one of its own, which it gives back to the system right before the one call that needs it.
"""

import os
from types import TracebackType
from typing import Self

import attrs


@attrs.define(eq=False)
class ReservedDescriptor:
    """One descriptor; a context manager. For one thread at a time."""

    _descriptor: int | None = attrs.field(default=None, init=False)

    @property
    def is_spent(self) -> bool:
        """There is none to give any more, until `keep` finds one."""
        return self._descriptor is None

    def spend(self) -> bool:
        """Free the descriptor for whatever is opened next; False when it is spent already."""
        if self._descriptor is None:
            return False
        os.close(self._descriptor)
        self._descriptor = None
        return True

    def keep(self) -> None:
        """Keep one again, as soon as there is one; call it whenever something was closed."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return  # the next time something is closed

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
