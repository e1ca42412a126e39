"""Grids of settings."""

from decimal import Decimal
from pathlib import Path

import pytest

from levitrio.config.loader import load
from levitrio.config.overrides import parse_override
from levitrio.errors import UsageError
from levitrio.replay.run import Options
from levitrio.replay.sweep import Point, grid, sweep
from tests.replay.files import quote_line, trade_line, write_fleet, write_lines


def test_a_grid_has_every_combination() -> None:
    """The last key changes fastest; commas inside brackets and quotes do not split."""
    assert list(grid(["a.b=1,2", 'c=["x,y"],"p,q"'])) == [
        ("a.b=1", 'c=["x,y"]'),
        ("a.b=1", 'c="p,q"'),
        ("a.b=2", 'c=["x,y"]'),
        ("a.b=2", 'c="p,q"'),
    ]


@pytest.mark.parametrize("text", ["a", "a=", "a=1,,2", "=1", "a b=1,2"])
def test_what_is_no_sweep_is_refused(text: str) -> None:
    """In one line that says what was expected."""
    with pytest.raises(UsageError, match="expected"):
        list(grid([text]))


def test_a_grid_may_not_explode() -> None:
    """A typo must not start a million replays."""
    many = ",".join(map(str, range(200)))
    with pytest.raises(UsageError, match="at most 10000 combinations, got 40000"):
        list(grid([f"a={many}", f"b={many}"]))


@pytest.mark.slow
def test_points_come_back_in_the_order_of_the_grid(tmp_path: Path) -> None:
    """Each is replayed in a worker process, which finds strategies of one's own."""
    lines = [quote_line(99, 101, at=0)]
    lines += [trade_line(100 + n % 7, at=n * 100, number=n) for n in range(300)]
    path = write_lines(tmp_path / "r.jsonl", lines)
    write_fleet(tmp_path, '[engines.BTCUSDT]\nstrategy = "replayed:Flip"\n')
    points = [
        Point(settings, load(tmp_path / "fleet.toml", overrides=[parse_override(settings[0])]))
        for settings in grid(["broker.fee=0,0.001,0.002"])
    ]
    done: list[int] = []
    rows = sweep(
        points,
        [str(path)],
        options=Options(),
        spread=Decimal(0),
        workers=2,
        on_done=done.append,
    )
    assert [row["set"] for row in rows] == [
        ["broker.fee=0"],
        ["broker.fee=0.001"],
        ["broker.fee=0.002"],
    ]
    assert done == [1, 2, 3]
    returns = [row["return"] for row in rows]
    assert returns == sorted(returns, reverse=True)
    assert len(set(returns)) == 3
