"""The page of `levi replay --html` in a real browser: a phone, a desk, light and dark."""

import base64
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from levitrio.cli.application import run_command_line
from tests.paths import ROOT
from tests.replay.files import quote_line, trade_line, write_fleet, write_lines

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(find_spec("selenium") is None, reason="needs selenium"),
    pytest.mark.skipif(find_spec("plotly") is None, reason="needs the extra [charts]"),
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="needs a browser (Debian: chromium chromium-driver)",
    ),
]

ARTIFACTS = ROOT / "artifacts"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a market that goes up and down, with dozens of trades."""
    folder = tmp_path_factory.mktemp("report")
    write_fleet(folder)
    lines = [quote_line(99, 101, at=0)]
    lines += [trade_line(100 + (n // 40) % 2 * 3, at=n * 100, number=n) for n in range(3000)]
    tape = write_lines(folder / "tape.jsonl", lines)
    page = folder / "report.html"
    words = ["replay", str(folder / "fleet.toml"), "--recording", str(tape), "--html", str(page)]
    assert run_command_line(words) == 0
    return page


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """One browser, which tells what it asks of the network."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_needs_nobody(driver: Any, report: Path, width: int, scheme: str) -> None:
    """Nothing wider than the screen, three charts, no complaint and no request but the file."""
    size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.get_log("performance")
    driver.get(report.as_uri())
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert (
        driver.execute_script("return document.querySelectorAll('.scatterlayer .trace').length")
        == 3
    )
    ground = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 21, 24)") is (scheme == "dark")
    assert driver.get_log("browser") == []
    asked = [entry["message"] for entry in driver.get_log("performance")]
    assert not [text for text in asked if "requestWillBeSent" in text and '"url":"http' in text]
    ARTIFACTS.mkdir(exist_ok=True)
    picture = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    (ARTIFACTS / f"report-{width}-{scheme}.png").write_bytes(base64.b64decode(picture))
