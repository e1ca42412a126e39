"""Rules between keys of fleet.toml, and between the file and the machine it is checked on.

Each rule takes the file and yields its problems. A problem names the other keys it depends on, so
that it is dropped when one of those was refused already.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from levitrio.config.diagnostics import KeyPath, Problem, dotted, printable
from levitrio.config.durations import format_duration
from levitrio.config.sections import FleetFile
from levitrio.config.value_types import is_local
from levitrio.errors import UsageError
from levitrio.venues.simulator.exchange.faults import Faults

Rule = Callable[[FleetFile], Iterator[Problem]]

STREAMS_PER_CONNECTION = 1024
"""The venue refuses more."""

SOCKET_BYTES = 100
"""The kernel takes 107; the rest is for the lock file's suffix."""

_SECRET = re.compile(
    r"secret|passw(or)?d|passphrase|credential|(api|private|access)_?key|(^|_)token$",
    re.IGNORECASE,
)


def secrets(tables: dict[str, Any]) -> Iterator[Problem]:
    """Find keys whose name says that their value is a secret."""
    waiting: list[tuple[KeyPath, object]] = [((), tables)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, list):
            waiting += [((*path, i), item) for i, item in enumerate(value)]
        if not isinstance(value, dict):
            continue
        for key, inner in value.items():
            here = (*path, key)
            # Engines are named by symbols, and a coin may have any name.
            is_symbol = path == ("engines",)
            if not is_symbol and _SECRET.search(key) and not key.endswith(("_file", "_path")):
                where = "broker.key_file" if path[:1] != ("http",) else "http.token_file"
                yield Problem(
                    here,
                    f"expected no secret in this file, came one (its value is not shown); put it "
                    f"into a file of mode 0600 and write the path of that file to {where}",
                )
            else:
                waiting.append((here, inner))


def feed_and_simulator(file: FleetFile) -> Iterator[Problem]:
    """Market data has exactly one source: `[simulator]`, a simulator's url, or binance."""
    feed, kind = file.feed, ("feed", "kind")
    if feed.kind == "binance" and file.simulator is not None:
        yield Problem(
            ("simulator",),
            'expected no [simulator] with feed.kind = "binance", came one; remove one of them',
            (kind,),
        )
    if feed.kind == "simulator" and file.simulator is None and feed.url is None:
        yield Problem(
            ("feed",),
            "expected a [simulator] section, or feed.url of a running simulator, or "
            'feed.kind = "binance", came none of them',
            (kind, ("simulator",), ("feed", "url")),
        )
    if feed.kind == "simulator" and file.simulator is not None and feed.url is not None:
        yield Problem(
            ("feed", "url"),
            "expected no url beside [simulator], whose address is known, came one; remove it",
            (kind,),
        )
    if file.simulator is not None:
        try:
            Faults.parse(file.simulator.faults)
        except UsageError as exc:
            yield Problem(("simulator", "faults"), f"expected faults of the simulator: {exc}")


def streams(file: FleetFile) -> Iterator[Problem]:
    """There is at least one stream, each once, and a connection takes them all."""
    feed, path = file.feed, ("feed", "streams")
    if not feed.streams:
        yield Problem(path, "expected at least one stream, came none")
    for i, stream in enumerate(feed.streams):
        if stream in feed.streams[:i]:
            yield Problem((*path, i), f'expected each stream once, came "{stream}" again')
    wanted = len(feed.streams) * feed.symbols_per_connection
    if wanted > STREAMS_PER_CONNECTION:
        yield Problem(
            ("feed", "symbols_per_connection"),
            f"expected at most {STREAMS_PER_CONNECTION} streams on a connection, came "
            f"{len(feed.streams)} streams x {feed.symbols_per_connection} symbols = {wanted}",
            (path,),
        )


def broker(file: FleetFile) -> Iterator[Problem]:
    """Orders go to the exchange that prices come from, with the keys it needs."""
    kinds: tuple[KeyPath, ...] = (("broker", "kind"), ("feed", "kind"))
    if file.broker.kind == "binance":
        if file.feed.kind != "binance":
            yield Problem(
                ("broker", "kind"),
                'expected real orders only on real prices (feed.kind = "binance"), came '
                f'"binance" with feed.kind = "{file.feed.kind}"',
                kinds,
            )
        if file.broker.key_file is None:
            yield Problem(
                ("broker",),
                'expected key_file = "PATH" with broker.kind = "binance", came none',
                (*kinds, ("broker", "key_file")),
            )
        feed, orders = environment(file.feed.url), environment(file.broker.url)
        if file.feed.kind == "binance" and feed != orders:
            yield Problem(
                ("broker", "url"),
                f"expected prices and orders of the same exchange, came {feed} prices "
                f"with {orders} orders",
                (*kinds, ("feed", "url")),
            )
    if file.broker.kind == "simulator" and file.simulator is None and file.broker.url is None:
        yield Problem(
            ("broker", "kind"),
            'expected a [simulator] section or broker.url with "simulator", came neither',
            (("simulator",), ("broker", "url")),
        )
    if file.broker.kind == "simulator" and file.feed.kind == "binance":
        yield Problem(
            ("broker", "kind"),
            'expected "paper" or "binance" with feed.kind = "binance", came "simulator"',
            kinds,
        )
    if file.broker.kind == "simulator" and file.broker.url and file.broker.key_file is None:
        yield Problem(
            ("broker",),
            'expected key_file = "PATH" beside url, came none: a running simulator knows its '
            "accounts by their keys",
            (("broker", "kind"), ("broker", "url"), ("broker", "key_file")),
        )


def environment(url: str | None) -> str:
    """Tell which environment of Binance an address belongs to; None is production."""
    if url is None:
        return "production"
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_local(parts):
        return "local"
    for name in ("testnet", "demo"):
        if name in host:
            return name
    return "production"


def limits(file: FleetFile) -> Iterator[Problem]:
    """A limit is not larger than the one that contains it."""
    risk, recovery = file.risk, file.recovery
    if risk.max_symbol_exposure > risk.max_gross_exposure:
        yield Problem(
            ("risk", "max_symbol_exposure"),
            f"expected at most max_gross_exposure ({risk.max_gross_exposure}), came "
            f"{risk.max_symbol_exposure}",
            (("risk", "max_gross_exposure"),),
        )
    if recovery.backoff_base > recovery.backoff_max:
        yield Problem(
            ("recovery", "backoff_base"),
            f"expected at most backoff_max ({format_duration(recovery.backoff_max)}), came "
            f"{format_duration(recovery.backoff_base)}",
            (("recovery", "backoff_max"),),
        )


def data_dir(file: FleetFile) -> Iterator[Problem]:
    """The data folder exists or can be made, and is writable."""
    folder, path = file.fleet.data_dir, ("fleet", "data_dir")
    if Path(os.path.normpath(folder)) == Path("/"):
        yield Problem(path, "expected a folder of the fleet's own, came /")
    elif folder.exists() and not folder.is_dir():
        yield Problem(path, f"expected a folder, came a file: {printable(str(folder))}")
    else:
        existing = next(part for part in (folder, *folder.parents) if part.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            yield Problem(
                path,
                f"expected a folder that you may write, came {printable(str(existing))}, where "
                "you may not",
            )


def recordings(file: FleetFile) -> Iterator[Problem]:
    """Every recording exists."""
    for i, recording in enumerate(file.simulator.recording if file.simulator else ()):
        if not recording.is_file():
            yield Problem(
                ("simulator", "recording", i),
                f"expected a recording file, came {_what_is_at(recording)}: "
                f"{printable(str(recording))}",
            )


def secret_files(file: FleetFile) -> Iterator[Problem]:
    """Every file with a secret exists and is readable by its owner only."""
    wanted: list[tuple[KeyPath, Path | None, tuple[KeyPath, ...]]] = []
    if file.broker.kind != "paper":
        wanted.append((("broker", "key_file"), file.broker.key_file, (("broker", "kind"),)))
    if file.http is not None:
        wanted.append((("http", "token_file"), file.http.token_file, ()))
    for path, secret, about in wanted:
        if secret is None:
            continue
        if not secret.is_file():
            came = _what_is_at(secret)
        else:
            status = secret.stat()
            mode = stat.S_IMODE(status.st_mode)
            if status.st_uid not in (os.geteuid(), 0):
                came = "one that another user owns"
            elif mode & 0o077:
                came = f"one of mode {mode:04o} (chmod 600 repairs it)"
            elif status.st_size == 0:
                came = "an empty one"
            else:
                continue
        yield Problem(
            path,
            f"expected a file that only its owner may read (mode 0600), came {came}: "
            f"{printable(str(secret))}",
            about,
        )


def socket(file: FleetFile) -> Iterator[Problem]:
    """The control socket's path is short enough, and its folder closed to other users."""
    address, path = file.control.socket, ("control", "socket")
    if address is None:
        return
    size = len(os.fsencode(address))
    if size > SOCKET_BYTES:
        yield Problem(
            path,
            f"expected at most {SOCKET_BYTES} bytes of path, came {size}: "
            f"{printable(str(address))}",
        )
        return
    folder = address.parent
    if not folder.exists():
        return  # the fleet makes it with mode 0700
    about = folder.lstat()  # not `stat`: a link could point elsewhere later
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        yield Problem(
            path,
            f"expected a folder of your own that is closed to other users (mode 0700), came "
            f"{printable(str(folder))} of mode {stat.S_IMODE(about.st_mode):04o} "
            "(chmod 700 repairs it)",
        )


def groups(file: FleetFile) -> Iterator[Problem]:
    """Every group that an engine names has a section."""
    named: list[tuple[KeyPath, str | None]] = [(("defaults", "group"), file.defaults.group)]
    named += [(("engines", key, "group"), own.group) for key, own in file.engines.items()]
    for path, group in named:
        if group is not None and group not in file.groups:
            known = ", ".join(file.groups) or "none"
            yield Problem(
                path,
                f"expected a group with a section [{dotted(('groups', group))}], came "
                f'"{group}" (sections: {known})',
                (("groups", group),),
            )


RULES: tuple[Rule, ...] = (
    feed_and_simulator,
    streams,
    broker,
    limits,
    data_dir,
    recordings,
    secret_files,
    socket,
    groups,
)


def _what_is_at(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "something that is no file" if path.exists() else "none"
