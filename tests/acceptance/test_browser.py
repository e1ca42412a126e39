"""The page in a real headless Chromium, driven as a person would; pictures go to artifacts/."""

import base64
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from levitrio.app.fleet_run import HEAP_SETTLED
from tests.acceptance.pages import EXAMPLE, PageFleet, thousand
from tests.paths import ROOT

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(find_spec("selenium") is None, reason="needs selenium"),
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="needs a browser (Debian: chromium chromium-driver)",
    ),
]

ARTIFACTS = ROOT / "artifacts"
PATIENCE = 20.0
SHOWN_WITHIN = 1.0
"""Seconds from a crash to the page."""

WIDTHS = (
    ("desktop-light", 1440, 1000, False),
    ("desktop-dark", 1440, 1000, True),
    ("tablet-light", 820, 1180, False),
    ("phone-light", 390, 844, False),
    ("phone-dark", 390, 844, True),
)
"""Name, width, height, dark."""

LIVE = """
    const pill = document.getElementById("mode");
    pill.textContent = "LIVE · Binance production";
    pill.dataset.mode = "live";
    document.body.classList.add("real");
"""

LATE_SHARE = 0.01
"""Of the looks at the loop, at most, may come over 10 ms late: a p99 under 10 ms."""
WATCHED = 60.0
"""Seconds: six hundred looks."""

BARE_LOOP = """
import sys, trio
async def main():
    due = trio.current_time()
    end, looks, late = due + float(sys.argv[1]), 0, 0
    while due < end:
        due = max(due, trio.current_time()) + 0.097
        await trio.sleep_until(due)
        looks, late = looks + 1, late + (trio.current_time() - due > 0.01)
    print(late / looks)
trio.run(main)
"""
"""Looks as a fleet does, in a process that does nothing else: what the machine alone is late."""

PATIENT_STRATEGY = '\n[engines.XRPUSDT]\nstrategy = "own_pages:OnCall"\n'


class Page:
    """One tab."""

    def __init__(self, driver: Any, fleet: PageFleet) -> None:
        self.driver, self.fleet = driver, fleet

    def open(self, width: int, height: int, *, dark: bool = False) -> None:
        """Load it anew at this size; fails when the browser complains about anything."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.driver.get(self.fleet.url + "/")
        self.until(lambda: self.run("return document.documentElement.dataset.charts"))
        self.until(lambda: self.text("#link") == "connected")

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent", selector))

    def symbols(self) -> list[str]:
        """Of the rows that are there, from top to bottom."""
        script = (
            "return [...document.querySelectorAll('tr[data-symbol]')].map(r => r.dataset.symbol)"
        )
        return list(self.run(script))

    def until(self, condition: Callable[[], Any], patience: float = PATIENCE) -> float:
        """Seconds until the condition held."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < patience, self.complaints()
            time.sleep(0.02)
        return time.monotonic() - begun

    def complaints(self) -> list[str]:
        """What the browser wrote to its console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def outside(self, width: int) -> list[str]:
        """What of the head and the cards stands over the edge of a screen that wide."""
        script = """
            const parts = [...document.querySelectorAll('.top *, .card, .card-head *, .figure *')];
            return parts.filter(part => part.getBoundingClientRect().right > arguments[0] + 0.5)
                .map(part => part.outerHTML.slice(0, 80));
        """
        return list(self.run(script, width))

    def picture(self, name: str) -> None:
        """Keep what is to be seen."""
        ARTIFACTS.mkdir(exist_ok=True)
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        (ARTIFACTS / f"page-{name}.png").write_bytes(base64.b64decode(data))


@contextmanager
def browser(niceness: int = 0) -> Iterator[Any]:
    """A headless Chromium, which takes the cores when more urgent processes leave them."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(DRIVER, popen_kw={"preexec_fn": partial(os.nice, niceness)})
    running = webdriver.Chrome(options=options, service=service)
    try:
        yield running
    finally:
        running.quit()


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """One browser for all tests of this file but the last."""
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageFleet]:
    """The fifteen engines of the example, one of which crashes on call."""
    folder = tmp_path_factory.mktemp("page")
    text = EXAMPLE.replace("\n[engines.XRPUSDT]\n", PATIENT_STRATEGY)
    with PageFleet(folder, folder, text + '[control]\nsocket = "ctl/s"\n') as running:
        yield running


@pytest.fixture
def page(driver: Any, fleet: PageFleet) -> Iterator[Page]:
    """A tab on the page; the browser must have had nothing to complain about."""
    tab = Page(driver, fleet)
    tab.complaints()
    yield tab
    assert tab.complaints() == []


def test_fifteen_engines_at_every_width(page: Page) -> None:
    """Loads without a complaint, shows everything, scrolls sideways nowhere."""
    for name, width, height, dark in WIDTHS:
        page.open(width, height, dark=dark)
        page.until(lambda: len(page.symbols()) == 15)
        page.until(lambda: page.run("return !!document.querySelector('#equity-chart svg')"))
        assert page.text("#up") == "15"
        assert page.text("#trading") == "active"
        assert page.text("#mode") == "paper"
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        assert page.outside(width) == []
        page.picture(name)
        # As it would look with real orders, until the next picture from the fleet.
        page.run(LIVE)
        assert page.outside(width) == []
        page.picture(f"live-{name}")


def test_filter_and_sort(page: Page) -> None:
    """Typing keeps what matches; a click on a heading sorts, another turns it round."""
    page.open(1440, 1000)
    page.until(lambda: len(page.symbols()) == 15)
    field = page.find("#filter")
    field.send_keys("sol")
    page.until(lambda: page.symbols() == ["SOLUSDT"])
    assert page.text("#shown") == "1 of 15"
    field.clear()
    field.send_keys("x")
    field.send_keys("\ue00c")  # Escape empties it
    page.until(lambda: len(page.symbols()) == 15)
    heading = page.find("th[data-name=symbol] button")
    heading.click()
    page.until(lambda: page.symbols() == sorted(page.symbols()))
    assert page.run("return document.querySelector('th[data-name=symbol]').ariaSort") == "ascending"
    heading.click()
    page.until(lambda: page.symbols() == sorted(page.symbols(), reverse=True))


def test_a_crash_appears_within_a_second(page: Page) -> None:
    """In the feed and in the table; its text is text, whatever it looks like."""
    page.open(1440, 1000)
    page.until(lambda: len(page.symbols()) == 15)
    page.fleet.crash("XRPUSDT")
    # The order is a file that is seen at the next trade; the page's second begins with the crash.
    page.fleet.until(lambda: page.fleet.json("/engines/incidents/XRPUSDT")["incidents"] != [])
    crashed = "return [...document.querySelectorAll('#feed li[data-kind=crashed]')].length > 0"
    assert page.until(lambda: page.run(crashed)) < SHOWN_WITHIN
    page.until(lambda: "onerror" in page.text("tr[data-symbol=XRPUSDT] .error-cell"))
    assert page.run("return document.querySelector('#feed img') === null")
    page.picture("crash")


def test_restart_with_the_token(page: Page) -> None:
    """A wrong token is refused in words; the right one makes a new incarnation."""
    page.open(1440, 1000)
    page.until(lambda: "SOLUSDT" in page.symbols())
    page.run("sessionStorage.clear()")
    before = page.fleet.json("/engines/status/SOLUSDT")["incarnation"]
    page.find("tr[data-symbol=SOLUSDT] button.symbol").click()
    page.until(lambda: page.run("return !!document.querySelector('[data-verb=restart]')"))
    for token in ("wrong-token-altogether", page.fleet.token):
        page.find("[data-verb=restart]").click()
        page.find("#ask-token").send_keys(token)
        page.picture("ask")
        page.find("#ask-yes").click()
        page.until(lambda: "SOLUSDT: " in page.text("#detail-answer"))
        if token != page.fleet.token:
            assert "expected Authorization" in page.text("#detail-answer")
            # The one complaint a browser has about an answer that says no.
            assert all("401" in complaint for complaint in page.complaints())
            page.run("document.getElementById('detail-answer').textContent = ''")
    assert page.text("#detail-answer") == "SOLUSDT: restarted"
    assert page.fleet.json("/engines/status/SOLUSDT")["incarnation"] == before + 1
    page.until(lambda: page.run("return !!document.querySelector('#price-chart svg')"))
    page.picture("engine")


def test_with_the_keyboard_alone(page: Page) -> None:
    """From the filter to an engine, into its panel and out of it."""
    page.open(1440, 1000)
    page.until(lambda: len(page.symbols()) == 15)
    body = page.find("body")
    body.send_keys("/")
    page.until(lambda: page.run("return document.activeElement.id") == "filter")
    page.run("document.querySelector('tr[data-symbol] button.symbol').focus()")
    first = page.run("return document.activeElement.textContent")
    page.driver.switch_to.active_element.send_keys("\ue015")  # arrow down
    second = page.run("return document.activeElement.textContent")
    assert (first, second) == tuple(page.symbols()[:2])
    page.driver.switch_to.active_element.send_keys("\ue007")  # Enter
    page.until(lambda: page.text("#detail-symbol") == second)
    assert page.run("return document.getElementById('detail').open")
    page.driver.switch_to.active_element.send_keys("\ue00c")  # Escape
    page.until(lambda: not page.run("return document.getElementById('detail').open"))


def test_it_comes_back_by_itself(page: Page) -> None:
    """The fleet is killed and started again: the page says so, and then is live."""
    page.open(1440, 1000)
    page.until(lambda: len(page.symbols()) == 15)
    page.fleet.process.kill()
    page.until(lambda: page.text("#link") != "connected")
    page.fleet.process.start()
    page.until(lambda: page.text("#link") == "connected")
    page.until(lambda: page.text("#up") == "15")
    # Without an answer, a browser writes that down, and rightly so.
    assert all("ERR_" in complaint for complaint in page.complaints())


@pytest.mark.timing
def test_a_thousand_engines(driver: Any, tmp_path: Path, home: Path) -> None:
    """The document holds the rows in sight only, and the page answers while they move."""
    with PageFleet(home, tmp_path, thousand()) as fleet:
        page = Page(driver, fleet)
        for name, width, height, dark in WIDTHS:
            page.open(width, height, dark=dark)
            page.until(lambda: page.text("#shown") == "1000")
            page.until(lambda: page.run("return !!document.querySelector('#equity-chart svg')"))
            assert page.outside(width) == []
            page.picture(f"thousand-{name}")
            page.run("document.getElementById('engines').scrollIntoView()")
            time.sleep(1.5)
            page.picture(f"thousand-table-{name}")
        page.open(1440, 1000)
        page.until(lambda: page.text("#shown") == "1000")
        assert 10 < len(page.symbols()) < 100
        page.run("document.querySelector('th[data-name=symbol] button').click()")
        page.run("document.getElementById('table-scroll').scrollTop = 1e9")
        page.until(lambda: page.symbols() and page.symbols()[-1] == "S0999USDT")
        page.find("#filter").send_keys("S0123")
        page.until(lambda: page.symbols() == ["S0123USDT"])
        page.picture("thousand")
        # How long the page keeps its own thread busy with one picture.
        begun = time.monotonic()
        page.run("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        assert time.monotonic() - begun < SHOWN_WITHIN
        assert page.complaints() == []


@pytest.mark.timing
def test_three_pages_make_no_engine_late(tmp_path: Path, home: Path) -> None:
    """A thousand engines trade on time while three windows show them; beside a bare loop.

    The browser is nice: where it matters it runs on another machine, and takes no core from here.
    """
    with PageFleet(home, tmp_path, thousand()) as fleet, browser(niceness=19) as driver:
        page = Page(driver, fleet)
        for number in range(3):
            if number:
                driver.switch_to.new_window("window")
            page.open(1440, 1000)
            page.until(lambda: page.text("#shown") == "1000")
        time.sleep(HEAP_SETTLED)
        before = fleet.json("/healthz")["loop"]
        command = [sys.executable, "-c", BARE_LOOP, str(WATCHED)]
        bare = float(subprocess.run(command, capture_output=True, check=True).stdout)
        after = fleet.json("/healthz")["loop"]
    looks = after["looks"] - before["looks"]
    late = (after["over_10_ms"] - before["over_10_ms"]) / looks
    assert looks > WATCHED * 5
    said = f"{late:.1%} of {looks} looks came over 10 ms late, {bare:.1%} of a bare loop's"
    print(said)
    assert late <= LATE_SHARE + bare, said
