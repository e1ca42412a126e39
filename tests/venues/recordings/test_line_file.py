"""Reading files of lines: what is opened, and how long a line may be."""

import gzip
import os
from pathlib import Path

import pytest

from levitrio.errors import UsageError
from levitrio.venues.recordings.line_file import MAX_LINE, LineFile


@pytest.mark.parametrize("name", ["a.txt", "a.gz"])
def test_a_line_that_is_too_long_costs_no_other(tmp_path: Path, name: str) -> None:
    """It is refused once, whatever its length, and the lines around it are read."""
    data = b"first\n" + b"x" * (2 * MAX_LINE) + b"\nsecond\nthird"
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    refused: list[str] = []
    assert list(LineFile(path, refused.append).lines()) == ["first", "second", "third"]
    (problem,) = refused
    assert problem.startswith(f"{path}: expected lines of at most {MAX_LINE} bytes")


def test_a_pipe_put_in_the_place_of_the_file(tmp_path: Path) -> None:
    """It is refused when it is opened, and blocks no read."""
    path = tmp_path / "a"
    path.write_text("1\n")
    file = LineFile(path, pytest.fail)
    path.unlink()
    with pytest.raises(UsageError, match="expected a readable file"):
        next(file.lines())
    os.mkfifo(path)
    with pytest.raises(UsageError, match="expected a regular file"):
        next(file.lines())
