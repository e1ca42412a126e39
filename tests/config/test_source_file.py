"""The file itself: whether to trust it, and whether it is TOML."""

import os
import stat
from pathlib import Path

import pytest

from levitrio.config.loader import load
from levitrio.config.source_file import MAX_BYTES, parse
from levitrio.errors import ConfigError
from tests.config.files import SIMULATED, only_problem_of, problems_of, write


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbf[simulator]\n", "1: expected UTF-8, came a byte order mark"),
        ("[simulator]\n".encode("utf-16"), "1: expected UTF-8, came UTF-16"),
        (b"[simulator]\n# \xff\n", "2: expected UTF-8, came the byte 0xff"),
        (
            b"[simulator]\nseed = \n[engines.X]\n",
            "2: expected TOML, came: Invalid value (column 8)",
        ),
        (b"[simulator]\nseed = 1\n[simulator]\n", "3: expected TOML, came: Cannot declare"),
        (b"[simulator]\nseed = 1\nseed = 2\n", "3: expected TOML, came: Cannot overwrite"),
        (b"[simulator]\nseed = [1,\n", "expected TOML"),
        (b"[simulator]\nx = \x001\n", "2: expected TOML"),
        (b"[engines.BTC/USDT]\n", 'a symbol with a slash needs quotes: [engines."BTC/USDT"]'),
        (b"a = " + b"9" * 5000, "1: expected TOML, came: Exceeds the limit"),
        (b"\na = " + b"[" * 100_000, "expected at most 32 levels"),
        (b"a = " + b"[" * 40 + b"]" * 40, "expected at most 32 levels"),
        (b"\n" + b"a." * 100_000 + b"a = 1", "2: expected at most 32 names in a key"),
        (b"a" * 200_000, "expected TOML"),
        (b"#" * (MAX_BYTES + 1), "expected at most 4 MiB, came more"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)
def test_bad_text(tmp_path: Path, content: bytes, expected: str) -> None:
    """What is no text of ours is refused in one line, with the place where there is one."""
    problem = only_problem_of(write(tmp_path, content))
    assert expected in problem
    assert problem.isprintable()
    assert len(problem) < 300


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing"])
def test_empty(tmp_path: Path, content: str) -> None:
    """An empty file has no engines, nor a market."""
    assert [problem.split(" ", 2)[1] for problem in problems_of(write(tmp_path, content))] == [
        "engines:",
        "feed:",
    ]


def test_long_lines_are_fine(tmp_path: Path) -> None:
    """A long array of weights, or a long comment with many dots, is no attack."""
    text = f"# {'word. ' * 200}{'.' * 500}\nweights = [{', '.join(['0.125'] * 5000)}]\n"
    assert len(parse(tmp_path / "x", text)["weights"]) == 5000


def test_not_there(tmp_path: Path) -> None:
    """A missing file is named with the reason."""
    problem = only_problem_of(tmp_path / "no.toml")
    assert problem.endswith(
        "expected a file to read, came: No such file or directory; `levi init` writes one"
    )


def test_folder_pipe_and_device(tmp_path: Path) -> None:
    """What is no regular file is refused at once, also where reading it would never end."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert only_problem_of(tmp_path).endswith("came a folder")
    assert only_problem_of(tmp_path / "pipe").endswith("came a pipe")
    assert only_problem_of(Path("/dev/zero")).endswith("came a device")
    assert "expected a path" in only_problem_of(Path("a\0b"))


def test_writable_by_anybody(tmp_path: Path) -> None:
    """A user who may write the file, or beside it, could run code as us; a link is no way round."""
    (tmp_path / "open").mkdir()
    path = write(tmp_path / "open", SIMULATED)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    path.chmod(0o666)
    assert "chmod o-w" in only_problem_of(path)
    assert "chmod o-w" in only_problem_of(link)
    path.chmod(0o600)
    path.parent.chmod(0o777 | stat.S_ISVTX)
    assert "where every user may put a strategy" in only_problem_of(path)
    assert "where every user may put a strategy" in only_problem_of(link)


def test_name_of_the_file_is_escaped(tmp_path: Path) -> None:
    """A file name cannot speak to the terminal."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "\x1b[2J.toml")
    assert str(caught.value).isprintable()
    assert "\\x1b[2J.toml: expected" in str(caught.value)
