"""Blots secrets out of whatever is about to be written or shown.

The last line of defence: nothing hands a key to a log. It knows the values themselves, learnt
when a key is read, and what secrets look like in requests and addresses.
"""

import re
from collections.abc import Mapping

import attrs

from levitrio.records.logs.log_format import LogRecord

BLOT = "***"

SHORTEST = 8
"""Characters. A shorter value is no secret, and would blot out ordinary words."""

_LOOKS_SECRET = re.compile(
    r"""(?ix)
    \b(api[_-]?key|api[_-]?secret|x-mbx-apikey|signature|listenkey|secret|passw(?:or)?d|token)
    (["']?\s*[=:]\s*["']?)
    ([^\s"'&,;})\]]{8,})
    """
)
_MENTIONS = re.compile(r"(?i)key|secret|signature|passw|token")
"""Cheap, because every line that is logged is looked at."""


def _beginning(secret: str) -> str:
    """Matches as much of a secret as there is: a text may have been cut in the middle of it."""
    more = ""
    for character in reversed(secret[SHORTEST:]):
        more = f"(?:{re.escape(character)}{more})?"
    return re.escape(secret[:SHORTEST]) + more


@attrs.define(eq=False)
class Redactor:
    """Learns secrets, and removes them. May be called from any thread."""

    _known: re.Pattern[str] | None = attrs.field(default=None, init=False, repr=False)
    _values: frozenset[str] = attrs.field(default=frozenset(), init=False, repr=False)

    def add(self, *values: str) -> None:
        """These must never be seen from now on."""
        self._values |= {value for value in values if len(value) >= SHORTEST}
        # The longest first: one may be the beginning of another.
        longest_first = sorted(self._values, key=len, reverse=True)
        if longest_first:
            patterns = [*map(re.escape, longest_first), *map(_beginning, longest_first)]
            self._known = re.compile("|".join(patterns), re.IGNORECASE)

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(BLOT, text)
        if _MENTIONS.search(text) is not None:
            text = _LOOKS_SECRET.sub(rf"\1\2{BLOT}", text)
        return text

    def value(self, value: object) -> object:
        """Plain data, with the texts in it redacted; keys too."""
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
        """A log record without secrets."""
        fields = {self.text(key): self.value(item) for key, item in record.fields.items()}
        return attrs.evolve(record, event=self.text(record.event), fields=fields)
