"""`levi init [DIR]`: a commented fleet.toml to start from."""

import os
from importlib import resources
from pathlib import Path

import typer

from levitrio.config.diagnostics import printable
from levitrio.errors import UsageError

NAME = "fleet.toml"


def init(folder: Path) -> int:
    """Write the template into a folder, which is made where it is missing.

    Returns:
        The exit code, 0.

    Raises:
        UsageError: there is one already, or the folder cannot be written. Nothing was changed.
    """
    path = folder / NAME
    shown = printable(str(path))
    template = resources.files("levitrio.config").joinpath("template.toml").read_bytes()
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Created by us or not at all; and never writable by others, whatever the umask:
        # such a file would be refused.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor, not a path
            file.write(template)
    except FileExistsError:
        raise UsageError(
            f"{shown}: expected no such file, came one; it was left as it is"
        ) from None
    except OSError as error:
        raise UsageError(f"{shown}: expected a folder to write in: {error.strerror}") from None
    typer.echo(f"wrote {shown}; start it with: levi run {shown}")
    return 0
