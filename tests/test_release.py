"""The scripts behind `just release` and `just minimum`: their rules, without building anything."""

import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    """A script of .ci, which is no package."""
    spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_changelog_is_dated() -> None:
    """What was unreleased gets the version and the day; an empty section stands above it."""
    before = (
        "# Changelog\n\n## Unreleased\n\n### Added\n\n- One.\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n"
    )
    after = script("release").dated(before, "0.2.0", "2026-02-03")
    assert after == before.replace("## Unreleased\n", "## Unreleased\n\n## 0.2.0 - 2026-02-03\n")


@pytest.mark.parametrize(
    "changelog",
    ["# Changelog\n", "## Unreleased\n\n## 0.1.0 - 2026-01-01\n\n- Old.\n", "## Unreleased\n"],
)
def test_nothing_new_is_no_release(changelog: str) -> None:
    """Entries of the version before do not count."""
    release = script("release")
    with pytest.raises(release.NotReleased, match="expected entries under"):
        release.dated(changelog, "0.2.0", "2026-02-03")


def test_the_order_of_versions() -> None:
    """Numbers are compared as numbers, and candidates come before their release."""
    release = script("release")
    versions = ["1.0.0", "0.10.0", "0.2.0", "0.2.0rc10", "0.2.0rc2", "0.2.0a1"]
    assert sorted(versions, key=release.order) == versions[::-1]
    for wrong in ("1.0", "v1.0.0", "1.0.0-rc1", "1.0.0\n", ""):
        with pytest.raises(release.NotReleased, match="expected a version"):
            release.order(wrong)


def test_the_version_stands_once() -> None:
    """Only the project's own version changes, not `minversion` or that of a tool."""
    text = (ROOT / "pyproject.toml").read_text()
    changed = tomllib.loads(script("release").versioned(text, "9.8.7"))
    assert changed["project"].pop("version") == "9.8.7"
    old = tomllib.loads(text)
    del old["project"]["version"]
    assert changed == old


def test_every_dependency_has_a_lowest_version() -> None:
    """`just minimum` can pin all that a user may install, each once."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    minimum = script("minimum")
    names = [pin.partition("==")[0] for pin in minimum.pins(project)]
    assert {"trio", "textual", "starlette"} < set(names)
    assert len(names) == len(set(names))
    assert {tool.partition(">=")[0] for tool in minimum.tools(project)} == set(minimum.TOOLS)
    with pytest.raises(ValueError, match="expected a lower bound"):
        list(minimum.lowest(["attrs<27"]))
