"""Makes a release of what is checked out; pushes nothing.

    just release 0.2.0

1. The tree is clean, the version is none that was tagged and not lower than the last one.
2. pyproject.toml gets the version; "Unreleased" of CHANGELOG.md becomes the version with today's
   date (UTC), and an empty "Unreleased" is put above it.
3. Lint, types and the fast suite pass.
4. Both archives are built; the wheel is installed into a fresh environment, and says the version.
5. Commit, tag, and what to push is printed.

When a step fails, the two files are put back and nothing is committed.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT, CHANGELOG, DIST = ROOT / "pyproject.toml", ROOT / "CHANGELOG.md", ROOT / "dist"

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:(a|b|rc)(\d+))?")
UNRELEASED = "## Unreleased"
IN_THE_SDIST = (
    "levitrio/py.typed",
    "tests/conftest.py",
    "docs/contracts.md",
    "examples/fleet.toml",
)
"""One file of each folder that a packager needs."""


class NotReleased(Exception):
    """A step failed; its text says what was expected and what came."""


def run(*words: str, cwd: Path = ROOT) -> None:
    """Run a program, with this environment's others first on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    code = subprocess.run(words, cwd=cwd, env={**os.environ, "PATH": path}, check=False).returncode
    if code:
        raise NotReleased(f"`{' '.join(words)}` ended with {code}")


def output(*words: str, cwd: Path = ROOT) -> str:
    """What a program prints."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReleased(
            f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout.strip()


def order(version: str) -> tuple[int, int, int, str, int]:
    """What versions are compared by; a release comes after its candidates."""
    match = VERSION.fullmatch(version)
    if match is None:
        raise NotReleased(f"expected a version such as 0.2.0 or 0.2.0rc1, came {version!r}")
    major, minor, patch, stage, number = match.groups()
    return int(major), int(minor), int(patch), stage or "z", int(number or 0)


def check_state(version: str) -> None:
    """The tree is clean, and the version is new."""
    last = tomllib.loads(PROJECT.read_text())["project"]["version"]
    if order(version) < order(last):
        raise NotReleased(f"expected {last} or later, came {version}")
    if changed := output("git", "status", "--porcelain"):
        raise NotReleased(f"expected a clean tree, came:\n{changed}")
    if output("git", "tag", "--list", f"v{version}"):
        raise NotReleased(f"expected a new version, came {version}: the tag is there already")


def dated(changelog: str, version: str, today: str) -> str:
    """The changelog with its "Unreleased" dated, and a new empty one."""
    before, heading, rest = changelog.partition(f"{UNRELEASED}\n")
    news = rest.partition("\n## ")[0]
    if not heading or not re.search(r"^- ", news, re.MULTILINE):
        raise NotReleased(f'expected entries under "{UNRELEASED}" of CHANGELOG.md, came none')
    return f"{before}{UNRELEASED}\n\n## {version} - {today}\n{rest}"


def versioned(project: str, version: str) -> str:
    """pyproject.toml with another version."""
    changed, count = re.subn(r'(?m)^version = "[^"]*"$', f'version = "{version}"', project)
    if count != 1:
        raise NotReleased(f"expected one line `version = ...` in pyproject.toml, came {count}")
    return changed


def build(version: str) -> list[Path]:
    """Both archives in dist/, looked at and tried out."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="levi-release-") as folder:
        venv.create(Path(folder) / "build", with_pip=True)
        builder = f"{folder}/build/bin/python"
        run(builder, "-m", "pip", "install", "-q", "hatchling>=1.27")
        run(builder, "-m", "hatchling", "build", "-d", str(DIST))
        wheel, sdist = (
            DIST / f"levitrio-{version}-py3-none-any.whl",
            DIST / f"levitrio-{version}.tar.gz",
        )
        built = sorted(path.name for path in DIST.iterdir())
        for archive in (wheel, sdist):
            if not archive.is_file():
                raise NotReleased(f"expected {archive.name} in dist/, came {built}")
        with tarfile.open(sdist) as files:
            names = set(files.getnames())
        if missing := [name for name in IN_THE_SDIST if f"levitrio-{version}/{name}" not in names]:
            raise NotReleased(f"expected in the sdist, came not: {', '.join(missing)}")
        try_out(version, wheel, Path(folder))
    return [wheel, sdist]


def try_out(version: str, wheel: Path, folder: Path) -> None:
    """The wheel in an environment that has nothing else, away from the checkout."""
    venv.create(folder / "user", with_pip=True)
    python = str(folder / "user/bin/python")
    run(python, "-m", "pip", "install", "-q", str(wheel), cwd=folder)
    run(python, "-m", "pip", "check", cwd=folder)
    says = output(str(folder / "user/bin/levi"), "--version", cwd=folder)
    if version not in says.split():
        raise NotReleased(f"expected `levi --version` to say {version}, came {says!r}")
    show = "from importlib.metadata import metadata as m; d = m('levitrio'); print(*map(d.get, {}))"
    wanted = ["Version", "Requires-Python", "License-Expression", "Description-Content-Type"]
    project = tomllib.loads(PROJECT.read_text())["project"]
    expected = f"{version} {project['requires-python']} {project['license']} text/markdown"
    if (came := output(python, "-c", show.format(wanted), cwd=folder)) != expected:
        raise NotReleased(f"expected the metadata {expected!r}, came {came!r}")
    run(str(folder / "user/bin/levi"), "init", str(folder / "fleet"), cwd=folder)
    run(str(folder / "user/bin/levi"), "check", str(folder / "fleet/fleet.toml"), cwd=folder)


def release(version: str) -> None:
    """Every step, in the order of the docstring above."""
    check_state(version)
    project, changelog = PROJECT.read_text(), CHANGELOG.read_text()
    try:
        PROJECT.write_text(versioned(project, version))
        CHANGELOG.write_text(dated(changelog, version, f"{datetime.now(UTC):%Y-%m-%d}"))
        for recipe in ("lint", "type", "test"):
            run("just", recipe)
        archives = build(version)
        run("git", "commit", "-q", "-m", f"Release {version}", str(PROJECT), str(CHANGELOG))
    except BaseException:
        PROJECT.write_text(project)
        CHANGELOG.write_text(changelog)
        raise
    run("git", "tag", "-a", f"v{version}", "-m", f"levitrio {version}")
    branch = output("git", "branch", "--show-current") or "HEAD"
    print(f"\nlevitrio {version} is committed and tagged; nothing was pushed. To publish:\n")
    print(f"    git push origin {branch} v{version}")
    print(f"    upload {' '.join(str(path.relative_to(ROOT)) for path in archives)}")


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if len(arguments) != 1:
        print("usage: just release VERSION", file=sys.stderr)
        return 2
    try:
        release(arguments[0])
    except NotReleased as reason:
        print(f"not released: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
