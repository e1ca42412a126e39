"""A progress bar on a terminal."""

import sys

import attrs

WIDTH = 40


@attrs.define(eq=False)
class Progress:
    """One line on standard error, redrawn when it changes; nothing when that is no terminal."""

    label: str = ""
    _shown: tuple[str, int] | None = None

    def show(self, fraction: float) -> None:
        """Draw how much is done, from 0 to 1."""
        percent = int(min(1.0, max(0.0, fraction)) * 100)
        if self._shown == (self.label, percent) or not self._has_terminal():
            return
        self._shown = (self.label, percent)
        filled = percent * WIDTH // 100
        bar = "#" * filled + "." * (WIDTH - filled)
        sys.stderr.write(f"\r\x1b[K{self.label} [{bar}] {percent:3}%")
        sys.stderr.flush()

    def show_step(self, step: str, fraction: float) -> None:
        """Draw the progress of a step that has a label of its own."""
        self.label = step
        self.show(fraction)

    def end(self) -> None:
        """Clear the line."""
        if self._shown is not None and self._has_terminal():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    @staticmethod
    def _has_terminal() -> bool:
        return sys.stderr is not None and sys.stderr.isatty()
