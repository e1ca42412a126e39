"""Finds secrets in what a run left behind: whole, in pieces, and in other encodings."""

import base64
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

PIECE = 12
"""Characters of a secret that count as a leak: a text that was cut may end in the middle of one."""


class Canary:
    """Finds its secrets; letters of either case are the same, as a venue writes them."""

    def __init__(self, *secrets: str) -> None:
        """Each of at least `PIECE` ASCII characters."""
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(_needles(secrets)))))

    def is_in(self, data: bytes | str) -> bool:
        """Whether any piece of any secret is in the data, in any spelling known here."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        return self._pattern.search(raw.lower()) is not None

    def excerpt(self, data: bytes) -> str:
        """The bytes around the first leak, to find its cause."""
        found = self._pattern.search(data.lower())
        return "" if found is None else repr(data[max(0, found.start() - 60) : found.end() + 20])

    def leaks_in(self, *folders: Path) -> list[str]:
        """Files below the folders that have a secret in their content or their name."""
        return [
            str(path)
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if self.is_in(path.name) or (_is_file(path) and self.is_in(path.read_bytes()))
        ]


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _needles(secrets: Iterable[str]) -> set[bytes]:
    found: set[bytes] = set()
    for secret in secrets:
        assert len(secret) >= PIECE, "a shorter secret would be found everywhere"
        for at in range(len(secret) - PIECE + 1):
            piece = secret[at : at + PIECE].encode()
            found |= {piece.lower(), piece.hex().encode(), quote(piece, safe="").lower().encode()}
        raw = secret.encode()
        for shift in range(3):
            # Three bytes are four characters, so there are three spellings; the ends depend on
            # what stands beside the secret.
            inside = base64.b64encode(bytes(shift) + raw)[4:-4]
            for at in range(len(inside) - 15):
                found.add(inside[at : at + 16].lower())
    return found


def text_of_process(pid: int) -> dict[str, bytes]:
    """Files of /proc about a process, its command line among them; empty when it has ended."""
    seen = {}
    for name in ("cmdline", "environ", "comm", "status"):
        try:
            seen[f"/proc/{pid}/{name}"] = Path(f"/proc/{pid}/{name}").read_bytes()
        except OSError:
            continue
    return seen


def family_of(pid: int) -> list[int]:
    """A process and all it started, as far as they live."""
    family = [pid]
    for parent in family:
        tasks = Path(f"/proc/{parent}/task")
        with suppress(OSError):
            for thread in tasks.iterdir():
                family += map(int, (thread / "children").read_text().split())
    return family
