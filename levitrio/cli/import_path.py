"""Makes the user's own strategies importable."""

import sys
from pathlib import Path


def add_import_path(file: Path) -> None:
    """Add the folder of fleet.toml and the current directory to the import path.

    They are appended, so that a file in them never hides an installed module.
    """
    for folder in (str(file.resolve().parent), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)
