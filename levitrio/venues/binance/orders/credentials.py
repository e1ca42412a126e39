"""API keys: where they are read, and the type that keeps them out of everything else.

A key file belongs to its owner alone (mode 0600) and holds one of

    KEY                     api_key=KEY              KEY
    SECRET                  api_secret=SECRET        -----BEGIN PRIVATE KEY----- ...

the last for Ed25519. Lines that begin with `#` and empty lines do not count. No error quotes
what stands in the file.
"""

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import NoReturn

import attrs

from levitrio.errors import UsageError
from levitrio.regular_file import NotARegularFile, open_regular
from levitrio.venues.binance.orders.signing import Ed25519PrivateKey, HmacKey, Signer

MAX_FILE = 16 << 10
"""Bytes; a key file has a few hundred."""

_KEY = re.compile(r"[A-Za-z0-9+/=_-]{16,128}")
"""The venue's own have 64 letters and digits. Shorter ones could not be distinguished from other
words where they are blotted out of a log."""

_PLACEHOLDER = re.compile(
    r"(your|my|the|insert|enter|paste|replace|change|example|dummy|test|todo|super)"
    r"[_-]?(api|secret|key|me|here|this|with)"
    r"|(.)\3{7}"
    r"|0123456789|1234567890|abcdefghij",
    re.IGNORECASE,
)
"""What stands in a template, or on a website about keys."""

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----")
_NAMED = re.compile(r"(api_key|api_secret)\s*=\s*(.*)")


class Secret:
    """A text that is never shown by accident: only `reveal` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; for signing and sending only."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")


@attrs.frozen(kw_only=True)
class Credentials:
    """What an account is traded with."""

    api_key: Secret
    signer: Signer = attrs.field(repr=False)
    may_log_on: bool = False
    """The venue takes Ed25519 keys for a session; with HMAC each request is signed."""
    values: tuple[str, ...] = attrs.field(repr=False)
    """Every text that must not appear in any output."""

    @classmethod
    def of(cls, api_key: str, secret: str) -> "Credentials":
        """From a key and its HMAC secret, or its Ed25519 private key as PEM.

        Raises UsageError for PEM that is no such key, and without the package that signs.
        """
        if not secret.startswith("-----BEGIN"):
            return cls(api_key=Secret(api_key), signer=HmacKey(secret), values=(api_key, secret))
        try:
            signer = Ed25519PrivateKey(secret)
        except ModuleNotFoundError:
            raise UsageError(
                "an Ed25519 key needs one more package: pip install 'levitrio[ed25519]'"
            ) from None
        lines = [line for line in secret.splitlines() if line and not line.startswith("-----")]
        values = (api_key, "".join(lines), *lines)
        return cls(api_key=Secret(api_key), signer=signer, may_log_on=True, values=values)

    @property
    def fingerprint(self) -> str:
        """Names the account without naming its key: 32 hex digits."""
        text = f"levitrio account {self.api_key.reveal()}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_key_file(path: Path) -> Credentials:
    """The key in a file that only we can read. Raises UsageError for anything else."""
    return parse_key(_read(path), str(path))


def parse_key(text: str, where: str) -> Credentials:
    """The key that a file's text holds; `where` names the file in errors."""
    if "\r" in text:
        raise UsageError(f"{where}: expected lines that end in LF, came CRLF; type: dos2unix")
    pem = _PEM.search(text)
    if pem is not None:
        text = text.replace(pem[0], "")
    elif "-----BEGIN" in text:
        raise UsageError(f"{where}: expected a complete private key as PEM, came a part of one")
    lines = [line.strip() for line in text.splitlines()]
    named: dict[str, str] = {}
    plain: list[str] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        match = _NAMED.fullmatch(line)
        if match is None:
            plain.append(line)
        elif match[1] in named:
            raise UsageError(f"{where}: expected {match[1]} once, came it twice")
        else:
            named[match[1]] = match[2].strip("\"'")
    found = [named[name] for name in ("api_key", "api_secret") if name in named] + plain
    wanted = 1 if pem is not None else 2
    if len(found) != wanted or (named and plain):
        raise UsageError(
            f"{where}: expected an API key and its secret, one to a line, or the key and a "
            f"private key as PEM, came {len(found)} of {wanted} lines"
        )
    for what, value in zip(("API key", "secret"), found, strict=False):
        _check(what, value, where)
    if pem is None:
        return Credentials.of(*found)
    if pem[1] != "PRIVATE KEY":
        raise UsageError(f"{where}: expected an Ed25519 key (BEGIN PRIVATE KEY), came a {pem[1]}")
    try:
        return Credentials.of(found[0], pem[0] + "\n")
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _check(what: str, value: str, where: str) -> None:
    if _PLACEHOLDER.search(value) or value.startswith("<"):
        raise UsageError(f"{where}: expected a real {what}, came a placeholder")
    if not _KEY.fullmatch(value):
        raise UsageError(
            f"{where}: expected {'an' if what[0] == 'A' else 'a'} {what} of 16 to 128 letters and "
            f"digits, came {len(value)} characters"
            + ("" if value.isascii() and value.isprintable() else ", some of them others")
        )


def _read(path: Path) -> str:
    try:
        file, found = open_regular(path)
    except NotARegularFile:
        raise UsageError(f"{path}: expected a key file, came something else") from None
    except OSError as error:
        raise UsageError(f"{path}: expected a key file: {error.strerror}") from None
    with file:
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid not in (os.geteuid(), 0):
            raise UsageError(f"{path}: expected a key file of ours, it belongs to {found.st_uid}")
        if mode & 0o077:
            raise UsageError(
                f"{path}: expected a file that only its owner may read, came mode {mode:04o};"
                f" type: chmod 600 {path}"
            )
        content = file.read(MAX_FILE + 1)
    if not content.strip():
        raise UsageError(f"{path}: expected a key, came an empty file")
    if len(content) > MAX_FILE:
        raise UsageError(f"{path}: expected at most {MAX_FILE} bytes of key, came more")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: expected ASCII text, came something else") from None
