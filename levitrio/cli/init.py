"""`levi init [DIR]`: writes a commented fleet.toml to start from."""

import os
from importlib import resources
from pathlib import Path

import typer

from levitrio.config.diagnostics import printable
from levitrio.errors import UsageError

NAME = "fleet.toml"


def init(folder: Path) -> int:
    """Write the template into a folder, which is made if it is missing.

    Returns:
        The exit code, 0.

    Raises:
        UsageError: A fleet.toml exists, or the folder cannot be written; nothing was changed.
    """
    path = folder / NAME
    shown = printable(str(path))
    template = resources.files("levitrio.config").joinpath("template.toml").read_bytes()
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        # O_EXCL never overwrites. Mode 0644 whatever the umask, because `levi run` refuses a
        # file that others may write.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor, not a path
            file.write(template)
    except FileExistsError:
        raise UsageError(f"{shown}: expected no such file, found one; it is unchanged") from None
    except OSError as error:
        raise UsageError(f"{shown}: expected a folder to write in: {error.strerror}") from None
    typer.echo(f"wrote {shown}; start it with: levi run {shown}")
    return 0
