"""Removes secrets from texts and data before they are written or shown.

A second safeguard, because no code passes a key to a log on purpose. It replaces the known
values, added when a key is read, and text that looks like a secret in a request or an address.
"""

import re
from collections.abc import Mapping

import attrs

from levitrio.records.logs.log_format import LogRecord

BLOT = "***"

SHORTEST = 8
"""Characters. A shorter value is no secret, and replacing it would hit ordinary words."""

_LOOKS_SECRET = re.compile(
    r"""(?ix)
    \b(api[_-]?key|api[_-]?secret|x-mbx-apikey|signature|listenkey|secret|passw(?:or)?d|token)
    (["']?\s*[=:]\s*["']?)
    ([^\s"'&,;})\]]{8,})
    """
)
_MENTIONS = re.compile(r"(?i)key|secret|signature|passw|token")
"""A cheap first test, because every logged line is searched."""


def _beginning(secret: str) -> str:
    """Pattern of a secret's beginning: a text may have been cut in the middle of the secret."""
    more = ""
    for character in reversed(secret[SHORTEST:]):
        more = f"(?:{re.escape(character)}{more})?"
    return re.escape(secret[:SHORTEST]) + more


@attrs.define(eq=False)
class Redactor:
    """Removes known and probable secrets. May be called from any thread."""

    _known: re.Pattern[str] | None = attrs.field(default=None, init=False, repr=False)
    _values: frozenset[str] = attrs.field(default=frozenset(), init=False, repr=False)

    def add(self, *values: str) -> None:
        """Add secrets to be removed from now on; those shorter than `SHORTEST` are ignored."""
        self._values |= {value for value in values if len(value) >= SHORTEST}
        # The longest first: one may be the beginning of another.
        longest_first = sorted(self._values, key=len, reverse=True)
        if longest_first:
            patterns = [*map(re.escape, longest_first), *map(_beginning, longest_first)]
            self._known = re.compile("|".join(patterns), re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return the text with each secret replaced by `BLOT`."""
        if self._known is not None:
            text = self._known.sub(BLOT, text)
        if _MENTIONS.search(text) is not None:
            text = _LOOKS_SECRET.sub(rf"\1\2{BLOT}", text)
        return text

    def value(self, value: object) -> object:
        """Return a copy of plain data with all texts redacted, keys included."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.value(key): self.value(item) for key, item in value.items()}
            case list() | tuple():
                return [self.value(item) for item in value]
            case _:
                return value

    def record(self, record: LogRecord) -> LogRecord:
        """Return a log record without secrets."""
        fields = {self.text(key): self.value(item) for key, item in record.fields.items()}
        return attrs.evolve(record, event=self.text(record.event), fields=fields)
