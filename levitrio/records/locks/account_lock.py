"""One fleet per account: two with the same key would each take the other's orders for strangers.

The lock is the kernel's, as that of a data directory is, and lies in the user's state directory,
because two fleets have two data directories. Its name is a fingerprint; the key is not in it.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from levitrio.records.locks.file_lock import checked_directory, hold


@attrs.define(eq=False)
class AccountLock:
    """Holds an account for this process; a context manager.

    Raises FleetLocked, naming the fleet that has it, without having touched anything.
    """

    directory: Path
    """Made where it is missing; the same for every fleet of this user."""
    fingerprint: str
    fleet: str
    """Ours, for whoever is refused."""
    _descriptor: int | None = attrs.field(default=None, init=False)

    def __enter__(self) -> Self:
        checked_directory(self.directory)
        self._descriptor = hold(
            self.directory / f"{self.fingerprint}.lock",
            f"fleet {self.fleet}, process {os.getpid()}",
            lambda holder: (
                f"this API key is in use by {holder or 'another fleet'}: one account serves one"
                " fleet; end that one with `levi ctl shutdown`, or give this one a key of its own"
            ),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
