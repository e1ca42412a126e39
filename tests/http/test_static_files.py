"""The files of the page: all there, nothing foreign in them, nothing else served."""

import gzip
import re
from pathlib import Path

import pytest
from trio.testing import MockClock

from levitrio.http import static_files
from levitrio.http.live_updates import COLUMNS
from tests.http.fakes import browsing, make_fleet


def test_every_file_has_its_type() -> None:
    """What lies in the folder is served, and nothing else."""
    assert {path.name for path in static_files.PAGE.iterdir()} == set(static_files.TYPES)


@pytest.mark.parametrize("name", sorted(static_files.TYPES))
def test_nothing_comes_from_elsewhere(name: str) -> None:
    """No address of another host, no HTML made from text, nothing inline that the policy stops."""
    text = (static_files.PAGE / name).read_text()
    addresses = set(re.findall(r"https?://[^\s\"')]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in text
    if name.endswith(".html"):
        assert not re.search(r"\son[a-z]+=|style=|<style|javascript:", text)
        assert re.findall(r"<script[^>]*>", text) == ['<script type="module" src="/page/main.js">']


def test_the_page_knows_the_columns() -> None:
    """Rows are sent without names, so both sides must agree on the order."""
    text = (static_files.PAGE / "main.js").read_text()
    block = re.search(r"const COLUMNS = \[(.*?)\]", text, re.DOTALL)
    assert block is not None
    assert tuple(re.findall(r'"([a-z_]+)"', block[1])) == COLUMNS


async def test_a_known_file_is_not_sent_again(autojump_clock: MockClock) -> None:
    """The tag of the first answer saves the second one its body."""
    async with browsing(make_fleet()) as browser:
        first = await browser.ask("GET", "/")
        again = await browser.ask("GET", "/", if_none_match=first.headers["etag"])
    assert first.headers["content-type"].startswith("text/html")
    assert (again.status, again.body) == (304, b"")


async def test_charts_without_plotly(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty script, which is no error in any browser's console."""
    monkeypatch.setattr(static_files, "plotly_script", lambda: None)
    static_files._packed.cache_clear()
    async with browsing(make_fleet()) as browser:
        answer = await browser.ask("GET", "/charts/plotly.js", accept_encoding="gzip")
    static_files._packed.cache_clear()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert gzip.decompress(answer.body) == b""


async def test_charts_with_plotly(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The installed script, packed, behind placeholders for the style elements it would add."""
    script = tmp_path / "plotly.min.js"
    script.write_bytes(b'document.getElementById("' + b"0f" * 32 + b'");')
    monkeypatch.setattr(static_files, "plotly_script", lambda: script)
    static_files._packed.cache_clear()
    async with browsing(make_fleet()) as browser:
        packed = await browser.ask("GET", "/charts/plotly.js", accept_encoding="gzip, br")
        plain = await browser.ask("GET", "/charts/plotly.js")
    static_files._packed.cache_clear()
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert plain.body.startswith(b'for (const id of ["' + b"0f" * 32 + b'"])')
    assert plain.body.endswith(script.read_bytes())
