"""What is kept of an exception."""

import gc
import time
import weakref
from typing import Any

import pytest

from levitrio.supervision.crash import MAX_DESCRIPTION, Crash, Sealed, capture, describe


def raised(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:  # noqa: BLE001  the test's own
        return caught


class BadText(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Strange(str):
    __slots__ = ()

    def __getitem__(self, key: Any) -> str:
        raise ZeroDivisionError


class StrangeText(Exception):
    def __str__(self) -> str:
        return Strange("strange")


class BadName(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit


class Nameless(Exception, metaclass=BadName):
    pass


def deep_group(depth: int) -> BaseException:
    exc: BaseException = ValueError("leaf")
    for _ in range(depth):
        exc = BaseExceptionGroup("g", [exc])
    return exc


def deep_recursion() -> None:
    deep_recursion()


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        (ValueError("boom"), "ValueError: boom"),
        (ValueError(), "ValueError"),
        (ValueError(1, "a"), "ValueError: (1, 'a')"),
        (KeyError("BTC"), "KeyError: 'BTC'"),
        (
            FileNotFoundError(2, "No such file", "x"),
            "FileNotFoundError: [Errno 2] 'No such file': 'x'",
        ),
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (BadText(), "BadText: (its text could not be taken: KeyboardInterrupt)"),
        (StrangeText(), "StrangeText: strange"),
        (Nameless("x"), "BaseException: x"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
        (ExceptionGroup("g", [ValueError("a"), KeyError("b")]), "ValueError: a"),
        (Sealed(Crash(kind="Inner", text="t")), "Inner: t"),
        (ExceptionGroup("g", [Sealed(Crash(kind="Inner"))]), "Inner"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__qualname__,
)
def test_the_words(exc: BaseException, error: str) -> None:
    """Type and text, whatever the type answers when it is asked."""
    assert capture(exc).error == error


@pytest.mark.parametrize(
    "exc",
    [
        ValueError("x" * 100_000_000),
        ValueError(list(range(1_000_000))),
        KeyError(list(range(1_000_000))),
        OSError(1, "x", list(range(1_000_000))),
        ValueError("é" * 10_000, "\ud800" * 10_000),
        deep_group(5_000),
        BaseExceptionGroup("wide", [ValueError("leaf")] * 100_000),
        type("N" * 1_000_000, (Exception,), {})("x"),
    ],
    ids=["long", "list", "key", "os", "surrogates", "deep", "wide", "name"],
)
def test_bounded_whatever_was_raised(exc: BaseException) -> None:
    """At most 2,000 characters, 64 KiB and 100 ms."""
    began = time.perf_counter()
    crash = capture(raised(exc))
    text = describe(crash)
    assert time.perf_counter() - began < 0.1
    assert len(crash.error) <= 2_000
    assert len(text.encode()) <= MAX_DESCRIPTION


def test_deep_and_wide_groups_tell_their_leaf() -> None:
    """The leaf is found without recursion, and its siblings are counted."""
    assert capture(deep_group(5_000)).error == "ValueError: leaf"
    wide = capture(BaseExceptionGroup("w", [KeyError("a")] * 100_000))
    assert (wide.error, wide.others) == ("KeyError: 'a'", 99_999)
    assert "and 99999 more" in describe(wide)


def test_a_recursion_error_keeps_both_ends() -> None:
    """Of a thousand frames 40 are kept."""
    with pytest.raises(RecursionError) as info:
        deep_recursion()
    crash = capture(info.value)
    assert crash.kind == "RecursionError"
    assert len(crash.frames) == 40
    assert crash.frames[-1][2] == "deep_recursion"


def test_what_it_was_raised_from() -> None:
    """Three links at most, in the order they happened."""
    exc: BaseException = ValueError("0")
    for number in range(1, 6):
        try:
            try:
                raise exc
            except ValueError as cause:
                raise ValueError(str(number)) from cause
        except ValueError as caught:
            exc = caught
    text = describe(capture(exc))
    assert text.count("which led to") == 3
    assert text.index("ValueError: 4") < text.index("ValueError: 5")


def test_the_description_has_source_lines() -> None:
    """File, line, function and the line itself."""
    text = describe(capture(raised(ValueError("boom"))))
    assert text.startswith("Traceback (most recent call last):\n")
    assert ", in raised\n    raise exc\nValueError: boom" in text


def test_code_that_claims_to_come_from_a_device() -> None:
    """Source is read from regular files only: a pipe or a device would never end."""
    try:
        exec(compile("1 / 0", "/dev/zero", "exec"))
    except ZeroDivisionError as exc:
        crash = capture(exc)
    assert ("/dev/zero", 1, "<module>") in crash.frames
    assert 'File "/dev/zero", line 1' in describe(crash)


def test_no_exception_is_kept() -> None:
    """The exception and its frames are free as soon as the handler is left."""

    class Canary:
        pass

    def fail() -> None:
        canary = Canary()
        seen.append(weakref.ref(canary))
        raise ValueError("boom")

    seen: list[weakref.ref[Canary]] = []
    gc.disable()
    try:
        try:
            fail()
        except ValueError as exc:
            crash = capture(exc)
        assert crash.text == "boom"
        assert seen[0]() is None
    finally:
        gc.enable()


def test_a_description_never_exceeds_its_limit() -> None:
    """Both ends survive the cut."""
    frames = tuple(("/" + "é" * 5_000, 1, "f" * 5_000) for _ in range(40))
    link: Crash | None = None
    for number in range(4):
        link = Crash(kind=f"K{number}", text="é" * 2_000, frames=frames, because=link)
    assert link is not None
    text = describe(link)
    assert len(text.encode()) <= MAX_DESCRIPTION
    assert "[...]" in text
    assert text.endswith("é")
