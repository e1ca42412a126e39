"""Where strategies of one's own are imported from."""

import sys
from pathlib import Path


def add_import_path(file: Path) -> None:
    """Let strategies beside fleet.toml, or in the current directory, be imported.

    Appended last, so that a file of theirs never hides an installed module.
    """
    for folder in (str(file.resolve().parent), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)
