"""`levi check` and `levi init` as functions: what they print, and their exit codes."""

import os
from pathlib import Path

import pytest

from levitrio.cli.check import check
from levitrio.cli.init import init
from levitrio.config.loader import load
from levitrio.errors import UsageError
from levitrio.strategies import catalog


def test_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that `levi run` would accept: one line, exit 0."""
    init(tmp_path)
    capsys.readouterr()
    assert check(tmp_path / "fleet.toml", check_strategy=catalog.check) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/fleet.toml: fine: fleet fleet, 3 engines, market data: simulator, "
        "orders: paper\n"
    )


def test_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem on a line of its own with its place, exit 2, nothing made."""
    path = tmp_path / "fleet.toml"
    path.write_text("[simulator]\nsede = 1\n[engines.BTCUSDT]\nstrategy = 'breakot'\n")
    assert check(path, check_strategy=catalog.check) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}:2: simulator.sede: expected a known key")
    assert lines[1].startswith(f"{path}:4: engines.BTCUSDT.strategy: expected one of")
    assert lines[2:] == ["2 problems; nothing was started"]
    assert list(tmp_path.iterdir()) == [path]


def test_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is a problem like any other."""
    assert check(tmp_path / "no.toml") == 2
    assert "expected a file to read" in capsys.readouterr().out


def test_init_makes_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing folder is made, the file loads, and the next command is said."""
    before = os.umask(0)
    try:
        assert init(tmp_path / "a" / "b") == 0
    finally:
        os.umask(before)
    assert "levi run" in capsys.readouterr().out
    assert load(tmp_path / "a" / "b" / "fleet.toml").fleet.data_dir == tmp_path / "a" / "b" / "data"


def test_init_never_overwrites(tmp_path: Path) -> None:
    """A fleet.toml that is there stays as it is, also where it is only a dangling link."""
    path = tmp_path / "fleet.toml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="it is unchanged"):
        init(tmp_path)
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="it is unchanged"):
        init(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_init_where_no_folder_can_be(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match="expected a folder to write in"):
        init(tmp_path / "x" / "y")
