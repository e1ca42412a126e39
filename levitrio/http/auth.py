"""Who may ask for what: hosts, origins and the token. Pure.

The page listens on this machine only, and a browser on this machine also runs other people's
pages. So a request must name us as its host (a rebound name does not), must not come from
another origin, and must carry the token to change anything; a cookie is never looked at,
because a browser would add it by itself.
"""

import hmac
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

import attrs

from levitrio.errors import UsageError

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI gives them: names in lower case."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing; everything else needs the token, whether there is such a call or not."""

_TOKEN = re.compile(r"[!-~]{16,512}\Z")
_PLACEHOLDER = re.compile(r"change.?me|placeholder|secret.?token|x{8,}", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class AccessDenied:
    """Why a request goes no further."""

    status: int
    error: str
    hint: str = ""


@attrs.frozen(kw_only=True)
class AccessPolicy:
    """The rules of one server."""

    hosts: frozenset[bytes]
    """What a Host header may say: name or address with the port, in lower case."""
    token: str | None = attrs.field(default=None, repr=False)
    """None: nothing can be changed."""

    def judge(self, method: str, headers: Headers) -> AccessDenied | None:
        """None: let it pass. The token is looked at before anybody learns what exists."""
        hosts, origins, authorizations = [], [], []
        for name, value in headers:
            if name == b"host":
                hosts.append(value.strip().lower())
            elif name == b"origin":
                origins.append(value.strip().lower())
            elif name == b"authorization":
                authorizations.append(value.strip())
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
        """What an Origin header may say."""
        return frozenset(b"http://" + host for host in self.hosts)

    def _judge_token(self, authorizations: list[bytes]) -> AccessDenied | None:
        if self.token is None:
            return AccessDenied(
                status=403,
                error="this fleet cannot be changed by HTTP",
                hint="set [http] token_file, or use levi ctl",
            )
        scheme, _, came = b"".join(authorizations[:1]).partition(b" ")
        is_right = hmac.compare_digest(came.strip(), self.token.encode())
        if len(authorizations) != 1 or scheme.lower() != b"bearer" or not is_right:
            return AccessDenied(
                status=401,
                error="expected Authorization: Bearer with the token",
                hint="it is in the file that [http] token_file names",
            )
        return None


def allowed_hosts(address: str, port: int) -> frozenset[bytes]:
    """The Host headers that mean a server bound to a loopback address."""
    literal = f"[{address}]" if ":" in address else address
    return frozenset(f"{name}:{port}".encode() for name in (literal, "localhost"))


def read_token(path: Path) -> str:
    """The token in a file that only its owner may read.

    Raises UsageError that says what to type; the token itself is never in it.
    """
    make = f"make one: (umask 077; openssl rand -hex 32 > {path})"
    try:
        with open(path, "rb", opener=_open) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise UsageError(f"[http] token_file: expected a file, came something else: {path}")
            if about.st_uid not in (os.geteuid(), 0) or about.st_mode & 0o077:
                mode = stat.S_IMODE(about.st_mode)
                raise UsageError(
                    "[http] token_file: expected a file of ours that nobody else may read "
                    f"(mode 0600), came mode {mode:04o}: {path}; chmod 600 repairs it"
                )
            content = file.read(4096)
    except OSError as error:
        raise UsageError(f"[http] token_file: {path}: {error.strerror}; {make}") from None
    token: str = content.decode("ascii", "replace").rstrip("\r\n")
    if not _TOKEN.match(token) or _PLACEHOLDER.search(token):
        raise UsageError(
            f"[http] token_file: expected one line of 16 to 512 letters, digits and signs, no "
            f"spaces and no placeholder, came something else: {path}; {make}"
        )
    return token


def _open(path: str, flags: int) -> int:
    # A pipe without a writer must not hold up the start of a fleet.
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
