"""Hosts, origins and tokens, without a server."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.errors import UsageError
from levitrio.http.auth import SAFE_METHODS, AccessPolicy, allowed_hosts, read_token

TOKEN = "0123456789abcdefABCDEF"
ACCESS = AccessPolicy(hosts=allowed_hosts("127.0.0.1", 8787), token=TOKEN)

HOSTS = {
    b"127.0.0.1:8787": True,
    b"LOCALHOST:8787": True,
    b"127.0.0.1": False,
    b"127.0.0.1:80": False,
    b"evil.example:8787": False,
    b"127.0.0.1:8787.evil.example": False,
    b"": False,
    None: False,
}
ORIGINS = {
    None: True,
    b"http://127.0.0.1:8787": True,
    b"http://localhost:8787": True,
    b"https://127.0.0.1:8787": False,
    b"http://evil.example": False,
    b"null": False,
}
AUTHORIZATIONS = {
    b"Bearer " + TOKEN.encode(): True,
    b"bearer  " + TOKEN.encode(): True,
    None: False,
    b"Bearer": False,
    b"Bearer ": False,
    b"Bearer wrong": False,
    b"Basic " + TOKEN.encode(): False,
    TOKEN.encode(): False,
    b"Bearer " + TOKEN.encode() + b"x": False,
    b"Bearer \xff\xfe": False,
}
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "BREW")


@pytest.mark.parametrize("method", METHODS)
def test_the_matrix(method: str) -> None:
    """Host x Origin x token: nothing but the right three of them passes a changing method."""
    for host, origin, authorization in itertools.product(HOSTS, ORIGINS, AUTHORIZATIONS):
        named = {b"host": host, b"origin": origin, b"authorization": authorization}
        headers = [(name, value) for name, value in named.items() if value is not None]
        refusal = ACCESS.judge(method, headers)
        if not HOSTS[host] or not ORIGINS[origin]:
            assert refusal is not None
            assert refusal.status == 403
        elif method in SAFE_METHODS or AUTHORIZATIONS[authorization]:
            assert refusal is None
        else:
            assert refusal is not None
            assert refusal.status == 401


@given(st.binary(max_size=60))
def test_no_other_text_is_the_token(came: bytes) -> None:
    """Whatever is sent, only the token is the token."""
    headers = [(b"host", b"localhost:8787"), (b"authorization", b"Bearer " + came)]
    assert (ACCESS.judge("POST", headers) is None) == (came.strip() == TOKEN.encode())


def test_headers_that_come_twice_are_refused() -> None:
    """Two hosts, or two tokens of which one is right, are a trick."""
    host, token = (b"host", b"localhost:8787"), (b"authorization", b"Bearer " + TOKEN.encode())
    assert ACCESS.judge("POST", [host, token]) is None
    assert ACCESS.judge("GET", [host, host]) is not None
    assert ACCESS.judge("POST", [host, token, (b"authorization", b"Bearer x")]) is not None
    assert ACCESS.judge("GET", [host, (b"origin", b"http://evil.example"), (b"origin", b"")])


def test_without_a_token_nothing_can_be_changed() -> None:
    """No token file: looking works, changing is refused whatever is sent."""
    access = AccessPolicy(hosts=ACCESS.hosts)
    host = (b"host", b"localhost:8787")
    assert access.judge("GET", [host]) is None
    for came in (b"Bearer ", b"Bearer None"):
        refusal = access.judge("POST", [host, (b"authorization", came)])
        assert refusal is not None
        assert refusal.status == 403


def test_the_token_is_not_in_the_representation() -> None:
    """A log line with the object in it gives nothing away."""
    assert TOKEN not in repr(ACCESS)


def test_hosts_of_ipv6() -> None:
    """An address of six is written in brackets."""
    assert allowed_hosts("::1", 8787) == {b"[::1]:8787", b"localhost:8787"}


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_good_token_file(tmp_path: Path, ending: bytes) -> None:
    """One line, however an editor ended it."""
    assert read_token(write(tmp_path / "token", TOKEN.encode() + ending)) == TOKEN


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (b"", 0o600),
        (b"\n", 0o600),
        (b"Zq9", 0o600),
        (b"please-changeme-before-use", 0o600),
        (b"two words of a sentence", 0o600),
        (b"line-one-is-long-enough\nline-two", 0o600),
        (b"\xff" * 32, 0o600),
        (b"x" * 4096, 0o600),
        (TOKEN.encode(), 0o644),
        (TOKEN.encode(), 0o640),
    ],
)
def test_a_bad_token_file(tmp_path: Path, content: bytes, mode: int) -> None:
    """Refused, and its content is in no message."""
    with pytest.raises(UsageError, match="token_file") as caught:
        read_token(write(tmp_path / "token", content, mode))
    message = str(caught.value).replace(str(tmp_path), "")
    assert not content.strip() or content.decode("latin1").strip() not in message


def test_no_token_file(tmp_path: Path) -> None:
    """Missing, a folder, a pipe: refused at once, with the command that makes one."""
    with pytest.raises(UsageError, match="openssl rand"):
        read_token(tmp_path / "missing")
    with pytest.raises(UsageError):
        read_token(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="expected a file"):
        read_token(tmp_path / "pipe")
