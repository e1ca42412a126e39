"""A fleet.toml for a test, and what is wrong with it."""

from pathlib import Path

import pytest

from levitrio.config.engine_sections import CheckStrategy
from levitrio.config.loader import load
from levitrio.errors import ConfigError

SIMULATED = "[simulator]\n[engines.BTCUSDT]\n"
"""The smallest fleet; what a test adds goes behind it."""


def write(folder: Path, content: str | bytes) -> Path:
    """fleet.toml in a folder, as only its owner may write it."""
    path = folder / "fleet.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


def problems_of(path: Path, check_strategy: CheckStrategy | None = None) -> list[str]:
    """What `load` refuses the file for, without the name of the file in front."""
    with pytest.raises(ConfigError) as caught:
        load(path, check_strategy=check_strategy)
    return [problem.removeprefix(str(path)).lstrip(":") for problem in caught.value.problems]


def only_problem_of(path: Path, check_strategy: CheckStrategy | None = None) -> str:
    """The one problem of a file that has just one."""
    problems = problems_of(path, check_strategy)
    assert len(problems) == 1, problems
    return problems[0]
