"""A progress bar, on a terminal only."""

import sys

import attrs

WIDTH = 40


@attrs.define(eq=False)
class Progress:
    """One line on standard error that is drawn anew when it changes; nothing elsewhere."""

    label: str
    _shown: int = -1

    def show(self, fraction: float) -> None:
        """How much is done, from 0 to 1."""
        percent = int(min(1.0, max(0.0, fraction)) * 100)
        if percent == self._shown or not self._is_seen():
            return
        self._shown = percent
        filled = percent * WIDTH // 100
        bar = "#" * filled + "." * (WIDTH - filled)
        sys.stderr.write(f"\r{self.label} [{bar}] {percent:3}%")
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away, so that what follows begins on a clean one."""
        if self._shown >= 0 and self._is_seen():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    @staticmethod
    def _is_seen() -> bool:
        return sys.stderr is not None and sys.stderr.isatty()
