"""Access control of the HTTP server: Host, Origin and bearer token.

The server listens on this machine only, but browsers on this machine also run foreign pages. So a
request must name this server in its Host header (a rebound DNS name does not), must not come from
another origin, and needs the token to change anything. Cookies are ignored, because a browser
adds them by itself.
"""

import hmac
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

import attrs

from levitrio.errors import UsageError
from levitrio.regular_file import NotARegularFile, open_regular

Headers = Iterable[tuple[bytes, bytes]]
"""Headers as ASGI gives them: names in lower case."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; every other needs the token, even on an unknown path."""

_TOKEN = re.compile(r"[!-~]{16,512}\Z")
_PLACEHOLDER = re.compile(r"change.?me|placeholder|secret.?token|x{8,}", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class AccessDenied:
    """A refused request: HTTP status, reason and hint."""

    status: int
    error: str
    hint: str = ""


@attrs.frozen(kw_only=True)
class AccessPolicy:
    """The access rules of one server."""

    hosts: frozenset[bytes]
    """Allowed Host headers: name or address with the port, in lower case."""
    token: str | None = attrs.field(default=None, repr=False)
    """None: every changing request is refused."""

    def judge(self, method: str, headers: Headers) -> AccessDenied | None:
        """Check a request; None allows it.

        The token is checked before routing, so an answer does not reveal what exists.
        """
        hosts, origins, authorizations = [], [], []
        for name, value in headers:
            if name == b"host":
                hosts.append(value.strip().lower())
            elif name == b"origin":
                origins.append(value.strip().lower())
            elif name == b"authorization":
                authorizations.append(value.strip())
        # Exactly one: with two, a proxy and this server could each believe another.
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            known = ", ".join(sorted(host.decode() for host in self.hosts))
            return AccessDenied(status=403, error=f"Host: expected one of {known}")
        if any(origin not in self.origins for origin in origins):
            return AccessDenied(status=403, error="Origin: expected none or our own")
        if method in SAFE_METHODS:
            return None
        return self._judge_token(authorizations)

    @property
    def origins(self) -> frozenset[bytes]:
        """The allowed Origin headers."""
        return frozenset(b"http://" + host for host in self.hosts)

    def _judge_token(self, authorizations: list[bytes]) -> AccessDenied | None:
        if self.token is None:
            return AccessDenied(
                status=403,
                error="this fleet cannot be changed by HTTP",
                hint="set [http] token_file, or use levi ctl",
            )
        scheme, _, came = b"".join(authorizations[:1]).partition(b" ")
        # In constant time: the duration of a comparison must not reveal how much was right.
        is_right = hmac.compare_digest(came.strip(), self.token.encode())
        if len(authorizations) != 1 or scheme.lower() != b"bearer" or not is_right:
            return AccessDenied(
                status=401,
                error="expected Authorization: Bearer with the token",
                hint="it is in the file that [http] token_file names",
            )
        return None


def allowed_hosts(address: str, port: int) -> frozenset[bytes]:
    """The Host headers of a server bound to a loopback address."""
    literal = f"[{address}]" if ":" in address else address
    return frozenset(f"{name}:{port}".encode() for name in (literal, "localhost"))


def read_token(path: Path) -> str:
    """Read the token from a file that only its owner may read.

    Raises:
        UsageError: The file cannot be read or trusted, or holds no token. The text says what to
            type, and never holds the token.
    """
    make = f"make one: (umask 077; openssl rand -hex 32 > {path})"
    try:
        file, about = open_regular(path)
        with file:
            if about.st_uid not in (os.geteuid(), 0) or about.st_mode & 0o077:
                mode = stat.S_IMODE(about.st_mode)
                raise UsageError(
                    "[http] token_file: expected a file of this user that no other may read "
                    f"(mode 0600), came mode {mode:04o}: {path}; chmod 600 repairs it"
                )
            content = file.read(4096)
    except NotARegularFile:
        what = "expected a file, came something else"
        raise UsageError(f"[http] token_file: {what}: {path}") from None
    except OSError as error:
        raise UsageError(f"[http] token_file: {path}: {error.strerror}; {make}") from None
    token: str = content.decode("ascii", "replace").rstrip("\r\n")
    if not _TOKEN.match(token) or _PLACEHOLDER.search(token):
        raise UsageError(
            f"[http] token_file: expected one line of 16 to 512 letters, digits and signs, no "
            f"spaces and no placeholder, came something else: {path}; {make}"
        )
    return token
