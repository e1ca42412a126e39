"""Key files: what is read, what is refused, and that no refusal quotes a key."""

import copy
import os
import pickle
from pathlib import Path

import pytest

from levitrio.errors import UsageError
from levitrio.venues.binance.orders.credentials import Credentials, Secret, parse_key, read_key_file
from levitrio.venues.binance.orders.signing import HmacKey
from tests.venues.binance.orders.test_signing import PRIVATE

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "binance.key"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY}\n{SECRET}\n",
        f"{KEY}\n{SECRET}",
        f"# made on the website\n\n{KEY}\n{SECRET}\n",
        f"api_key={KEY}\napi_secret={SECRET}\n",
        f'api_secret = "{SECRET}"\napi_key = "{KEY}"\n',
    ],
)
def test_both_forms_of_an_hmac_key(text: str, tmp_path: Path) -> None:
    """Two lines, or two names, in any order; comments and empty lines do not count."""
    found = read_key_file(key_file(tmp_path, text))
    assert found.api_key.reveal() == KEY
    assert found.signer == HmacKey(SECRET)
    assert not found.may_log_on
    assert set(found.values) == {KEY, SECRET}


@pytest.mark.parametrize("head", [f"{KEY}\n", f"api_key={KEY}\n"])
def test_an_ed25519_key(head: str, tmp_path: Path) -> None:
    """A private key as PEM may log on, and each of its lines is a secret."""
    pytest.importorskip("cryptography")
    found = read_key_file(key_file(tmp_path, head + PRIVATE))
    assert found.may_log_on
    assert PRIVATE.splitlines()[1] in found.values


WRONG = {
    "empty": ("", "empty"),
    "blank": (" \n\n", "empty"),
    "windows": (f"{KEY}\r\n{SECRET}\r\n", "CRLF"),
    "one line": (f"{KEY}\n", "1 of 2"),
    "three lines": (f"{KEY}\n{SECRET}\n{KEY}\n", "3 of 2"),
    "twice": (f"api_key={KEY}\napi_key={KEY}\n", "twice"),
    "half named": (f"api_key={KEY}\n{SECRET}\n", "one to a line"),
    "placeholder": (f"{KEY}\nchangeme\n", "placeholder"),
    "template": (f"api_key=your_api_key_here\napi_secret={SECRET}\n", "placeholder"),
    "from a tutorial": (f"{KEY}\nSuperSecret1!\n", "placeholder"),
    "brackets": (f"<your key>\n{SECRET}\n", "placeholder"),
    "crosses": (f"{'x' * 64}\n{SECRET}\n", "placeholder"),
    "short": (f"{KEY}\nh4Kq\n", "came 4 characters"),
    "spaces": (f"{KEY}\n{SECRET[:20]} {SECRET[20:]}\n", "letters and digits"),
    "escape": (f"{KEY}\n{SECRET}\x1b[2J\n", "some of them others"),
    "not ascii": (f"{KEY}\n{SECRET}\u00e9\n", "ASCII"),
    "half a pem": (f"{KEY}\n{PRIVATE[:60]}", "complete private key"),
    "too long": (f"{KEY}\n{SECRET}\n" + "#" * 20_000, "at most"),
    "rsa": (
        f"{KEY}\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n",
        "Ed25519",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_no_key_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    """Each with the file's name and what was expected, and without a word of the file."""
    path = key_file(tmp_path, text)
    with pytest.raises(UsageError, match=expected) as refusal:
        read_key_file(path)
    said = str(refusal.value)
    assert str(path) in said
    assert KEY not in said
    assert SECRET[:20] not in said
    assert "SuperSecret" not in said


def test_pem_that_is_no_key(tmp_path: Path) -> None:
    """The library's own words stay inside: they may quote the key."""
    pytest.importorskip("cryptography")
    lines = PRIVATE.replace("MC4CAQ", "AAAAAA")
    with pytest.raises(UsageError, match="Ed25519 private key") as refusal:
        read_key_file(key_file(tmp_path, f"{KEY}\n{lines}"))
    assert "AAAAAA" not in str(refusal.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read(mode: int, tmp_path: Path) -> None:
    """The refusal says what to type."""
    path = key_file(tmp_path, f"{KEY}\n{SECRET}\n", mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        read_key_file(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    """Nothing there, a folder, a pipe without a writer: refused at once."""
    with pytest.raises(UsageError, match="No such file"):
        read_key_file(tmp_path / "none")
    with pytest.raises(UsageError, match="something else"):
        read_key_file(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="something else"):
        read_key_file(tmp_path / "pipe")


def test_a_secret_does_not_show_itself() -> None:
    """Neither printed, formatted, copied nor pickled; nor are the credentials around it."""
    secret = Secret(SECRET)
    credentials = Credentials.of(KEY, SECRET)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>80}"]
    shown += [repr(credentials), str(credentials), repr({"a": [credentials]})]
    for text in shown:
        assert KEY not in text
        assert SECRET not in text
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    assert not hasattr(secret, "__dict__")


def test_the_fingerprint_names_the_account_and_not_its_key() -> None:
    """The same for the same key, and nothing of the key in it."""
    one, other = Credentials.of(KEY, SECRET), Credentials.of(SECRET, KEY)
    assert one.fingerprint == parse_key(f"{KEY}\n{SECRET}", "here").fingerprint
    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 32
    assert KEY[:6] not in one.fingerprint
