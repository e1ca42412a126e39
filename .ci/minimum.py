"""Runs the fast suite with the lowest versions that pyproject.toml declares.

A lower bound that is not tested is a guess. This script turns every `name>=X` of the project's
dependencies and of the extras below into `name==X`, installs exactly these into a fresh virtual
environment, and runs pytest there. The test tools themselves come in their newest versions: they
are required by this project alone.

    python .ci/minimum.py                # build the environment, run the fast suite
    python .ci/minimum.py --print        # only print the pins
    python .ci/minimum.py tests/trading  # everything else goes to pytest

Use the oldest Python that pyproject.toml declares; newer ones may have no wheels of old versions.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

EXTRAS = ("http", "tui", "charts", "alerts", "ed25519")
"""Not `ml`: 350 MB, and its tests are skipped where it is missing. `dev` holds tools only."""

TOOLS = ("hypothesis", "pytest", "pytest-trio", "pytest-xdist")
"""Of the extra `dev`, what the fast suite cannot run without."""

_LOWER = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?P<extras>\[[^]]*])?\s*>=\s*(?P<bound>[0-9][0-9.]*)"
)


def lowest(requirements: Sequence[str]) -> Iterator[str]:
    """`attrs>=25.3,<27` as `attrs==25.3`; raises ValueError for one without a lower bound."""
    for requirement in requirements:
        match = _LOWER.match(requirement)
        if match is None:
            raise ValueError(f"expected a lower bound such as name>=1.2, came {requirement!r}")
        yield f"{match['name']}{match['extras'] or ''}=={match['bound']}"


def pins(project: dict[str, object]) -> list[str]:
    """Every dependency of a user at its lowest version."""
    dependencies, extras = project["dependencies"], project["optional-dependencies"]
    assert isinstance(dependencies, list)
    assert isinstance(extras, dict)
    return [*lowest(dependencies), *(pin for extra in EXTRAS for pin in lowest(extras[extra]))]


def tools(project: dict[str, object]) -> list[str]:
    """The test tools, as the extra `dev` asks for them."""
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    return [line for line in extras["dev"] if line.partition(">=")[0] in TOOLS]


def main(arguments: list[str]) -> int:
    """Returns pytest's exit code, or pip's when a pin cannot be installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = pins(project)
    print(*lines, sep="\n", flush=True)
    if arguments == ["--print"]:
        return 0
    with tempfile.TemporaryDirectory(prefix="levi-minimum-") as folder:
        listed = Path(folder) / "pins.txt"
        listed.write_text("\n".join([*lines, *tools(project), ""]))
        venv.create(Path(folder) / "venv", with_pip=True)
        python = str(Path(folder) / "venv/bin/python")
        install = [python, "-m", "pip", "install", "-q", "-r", str(listed), "-e", str(ROOT)]
        if code := subprocess.run(install, check=False).returncode:
            return code
        environment = {**os.environ, "PATH": f"{folder}/venv/bin:{os.environ['PATH']}"}
        suite = [
            python,
            "-m",
            "pytest",
            "-n",
            "auto",
            "--dist",
            "worksteal",
            "-p",
            "no:cacheprovider",
        ]
        return subprocess.run(
            [*suite, *arguments], cwd=ROOT, env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
