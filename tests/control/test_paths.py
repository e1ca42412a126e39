"""Where sockets are, and which places are trusted."""

import os
from pathlib import Path

import pytest

from levitrio.control import paths
from levitrio.errors import UsageError


def test_the_directory_is_below_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME, whatever XDG says; the passwd entry where HOME is unset or relative."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/elsewhere")
    monkeypatch.setenv("HOME", "/home/trader")
    expected = "/home/trader/.local/state/levitrio/run/demo.sock"
    assert paths.default_socket("demo") == expected
    own = Path("~").expanduser
    for value in ("", "relative"):
        monkeypatch.setenv("HOME", value)
        monkeypatch.delenv("HOME", raising=False)
        assert paths.home() == str(own()).rstrip("/")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a..b", "x" * 65, "a\n", "\u00e9"])
def test_a_fleet_name_is_no_path(name: str) -> None:
    """Nothing that leads out of the directory."""
    with pytest.raises(UsageError, match="fleet name"):
        paths.default_socket(name)


def test_a_path_that_is_too_long_names_the_setting() -> None:
    """So that the user knows where to shorten it; bytes count, not characters."""
    paths.check_length("/" + "x" * 99)
    with pytest.raises(UsageError, match=r"\[control\] socket"):
        paths.check_length("/" + "\u00e9" * 60)


def test_a_directory_must_be_ours_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open to others, a link, a file, another user's: each refused with what was found."""
    place = tmp_path / "run"
    place.mkdir(mode=0o700)
    paths.check_directory(str(place))
    place.chmod(0o750)
    with pytest.raises(UsageError, match="chmod 700"):
        paths.check_directory(str(place))
    place.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(place)
    with pytest.raises(UsageError, match="symbolic link"):
        paths.check_directory(str(link))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="directory"):
        paths.check_directory(str(tmp_path / "file"))
    with pytest.raises(FileNotFoundError):
        paths.check_directory(str(tmp_path / "nothing"))
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(UsageError, match="owned by uid 4242"):
        paths.check_directory(str(place))


def test_the_lock_lies_beside_the_socket() -> None:
    """NAME.lock for NAME.sock, and never the socket itself."""
    assert paths.lock_path("/run/demo.sock") == "/run/demo.lock"
    assert paths.lock_path("/run/demo") == "/run/demo.lock"
