"""Replays one tape with a grid of settings, in worker processes."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from decimal import Decimal
from itertools import product
from typing import Any

import attrs

from levitrio.config.overrides import parse_key
from levitrio.config.sections import FleetConfig
from levitrio.errors import UsageError
from levitrio.replay.data.open_tape import open_tape
from levitrio.replay.report.report import document
from levitrio.replay.run import Options, Replay

MOST_POINTS = 10_000
"""More is a typo; and among so many some combination always fits by chance."""

FIGURES = (
    "return", "pnl", "fees", "max_drawdown", "mean_exposure", "sharpe", "sortino", "orders",
)  # fmt: skip
"""The figures that are kept of each report."""


@attrs.frozen
class Point:
    """One combination of the grid."""

    settings: tuple[str, ...]
    """`KEY=VALUE`, in the order of the `--sweep` options."""
    config: FleetConfig


def grid(sweeps: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every combination of `KEY=a,b,c`, the last key changing fastest.

    A value with a comma in it stands in brackets or quotes.

    Raises:
        UsageError: A sweep has no values, or the grid more than 10,000 points.
    """
    axes = []
    size = 1
    for text in sweeps:
        key, sign, values = text.partition("=")
        found = _split(values)
        if not sign or not all(found):
            raise UsageError(f"--sweep: expected KEY=a,b,c, got {text[:100]!r}")
        parse_key(key)
        axes.append([f"{key.strip()}={value}" for value in found])
        size *= len(found)
    if size > MOST_POINTS:
        raise UsageError(f"--sweep: expected at most {MOST_POINTS} combinations, got {size}")
    return product(*axes)


def sweep(
    points: Sequence[Point],
    recordings: Sequence[str],
    *,
    options: Options,
    spread: Decimal,
    workers: int,
    on_done: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Replay every point; return its settings and figures, in the order of the points.

    Blocks; Ctrl-C ends the workers. Raises what a replay raises.

    Args:
        points: the combinations.
        recordings: files of the tape.
        options: of each replay.
        spread: half of it stands on each side of a candle's close, as a fraction of the price.
        workers: number of processes.
        on_done: called in this process with the number of points that are done.
    """
    # Started anew rather than forked: a fork would copy threads' locks as they happen to be.
    context = multiprocessing.get_context("spawn")
    silent = attrs.evolve(options, on_progress=None, on_signal=None)
    with ProcessPoolExecutor(
        max_workers=min(workers, len(points)),
        mp_context=context,
        initializer=_begin,
        initargs=(list(sys.path),),
    ) as pool:
        futures = [
            pool.submit(_figures, point, tuple(recordings), silent, spread) for point in points
        ]
        try:
            for count, future in enumerate(as_completed(futures), start=1):
                future.result()
                on_done(count)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _begin(path: list[str]) -> None:
    sys.path[:] = path


def _figures(
    point: Point, recordings: Sequence[str], options: Options, spread: Decimal
) -> dict[str, Any]:
    replay = Replay(point.config, open_tape(point.config, recordings, spread=spread), options)
    replay.run()
    report = document(replay, recording=recordings, overrides=point.settings)
    figures = {name: report[name] for name in FIGURES}
    return {"set": list(point.settings), **figures, "trades": report["trades"]["count"]}


def _split(values: str) -> list[str]:
    """Split at the commas outside of quotes and brackets."""
    found, part, depth, quote = [], "", 0, ""
    for character in values:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and not depth:
            found.append(part.strip())
            part = ""
            continue
        part += character
    return [*found, part.strip()]
