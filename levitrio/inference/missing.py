"""What stands where a number should: nothing, and why. Pure.

A model that does not answer must never look like one that answers 0.5.
"""

import attrs


@attrs.frozen(kw_only=True)
class Missing:
    """No number. A value, because it is part of normal work."""

    code: str
    """The reason as one word: told again only when it changes."""
    reason: str
    """The reason for people."""
    is_error: bool = False
    """The engine absorbs it as an error (late, died, wrong answer); over `max_errors` in a row
    is a crash. Warming up, or a part that is not installed, is none."""
