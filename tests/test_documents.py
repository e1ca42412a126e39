"""What documents point to exists: relative links, their headings, and paths of the repository."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

DOCUMENTS = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        ROOT / "SECURITY.md",
    ]
)

PATH = re.compile(r"`((?:levitrio|tests|docs|config|examples|benchmarks)/[\w./-]*)`")
"""A path in backticks. One with a placeholder in capitals (`tests/venues/NAME/`) is none."""

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

PLACEHOLDER = re.compile(r"\b(?:NAME|SYMBOL|FILE)\b")


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a document outside of its code blocks, with their numbers."""
    is_code = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def anchors(path: Path) -> set[str]:
    """What `#...` may name in a document: its headings, as forges write them."""
    found: set[str] = set()
    for _, line in prose(path):
        if match := re.match(r"#+ (.*)", line):
            text = re.sub(r"[^\w\- ]", "", match[1].strip().lower())
            found.add(text.replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link names a file of the repository, and a heading that is in it."""
    broken = []
    for number, line in prose(path):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue  # the world outside is not ours to test
            name, _, heading = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.exists() or not file.is_relative_to(ROOT):
                broken.append(f"{path.name}:{number}: no {target}")
            elif heading and heading not in anchors(file):
                broken.append(f"{path.name}:{number}: no heading {target}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_paths_exist(path: Path) -> None:
    """Each path of the repository in backticks exists, as a file or as a folder."""
    broken = [
        f"{path.name}:{number}: no {name}"
        for number, line in prose(path)
        for name in PATH.findall(line)
        if not PLACEHOLDER.search(name) and not (ROOT / name).exists()
    ]
    assert not broken, "\n".join(broken)


def test_the_test_can_fail(tmp_path: Path) -> None:
    """A path that is missing and a link to nothing are found; code blocks are left alone."""
    text = "# A `b` heading!\n`levitrio/none.py` [x](none.md#y)\n```\n`docs/none.md`\n```\n"
    document = tmp_path / "some.md"
    document.write_text(text)
    lines = [line for _, line in prose(document)]
    assert [name for line in lines for name in PATH.findall(line)] == ["levitrio/none.py"]
    assert [name for line in lines for name in LINK.findall(line)] == ["none.md#y"]
    assert anchors(document) == {"a-b-heading"}
