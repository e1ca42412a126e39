"""Lock that keeps a second fleet off an account of a venue.

Two fleets with the same API key would each treat the other's orders as foreign. The lock is a
kernel lock, like that of a data directory, and its file is in the user's state directory, because
two fleets have two data directories. The file's name is a fingerprint and does not show the key.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from levitrio.records.locks.file_lock import checked_directory, hold


@attrs.define(eq=False)
class AccountLock:
    """Locks an account for this process; a context manager.

    Raises:
        FleetLocked: on entering, another fleet has the account; the text names it, and nothing
            was changed.
        UsageError: on entering, the directory or the file is not safe to use.
    """

    directory: Path
    """Created when missing; the same for every fleet of this user."""
    fingerprint: str
    """Identifies the API key without showing it."""
    fleet: str
    """This fleet's name, shown to a fleet that is refused."""
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
