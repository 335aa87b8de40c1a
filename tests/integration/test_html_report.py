"""The HTML report in a browser: Chromium, headless, with the file opened from disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from vmdev.replay.activity import Activity
from vmdev.replay.devices import i8254
from vmdev.replay.machines import build
from vmdev.replay.replayer import Replayer
from vmdev.replay.report import html
from vmdev.replay.trace.reader import TraceReader

pytestmark = pytest.mark.integration

TRACE = Path(__file__).parents[2] / "traces" / "linux-pc.db"
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1280,1000",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver, which script/bootstrap --tests installs")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as chrome:
        yield chrome


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A verdict on a timer whose counters start one too low; the address of its report."""
    write = i8254._Counter.write

    def write_off_by_one(counter: i8254._Counter, value: int, now_ns: int) -> bool:
        loaded = write(counter, value, now_ns)
        counter.count -= loaded
        return loaded

    monkeypatch.setattr(i8254._Counter, "write", write_off_by_one)
    with TraceReader(TRACE) as trace:
        replayer = Replayer(trace, build(trace.guest), name=TRACE.name)
        activity = Activity(trace.packed_sites, trace.first_exit, trace.exit_count, replayer.claim)
        verdict = replayer.run(observe=activity)
    path = tmp_path / "verdict.html"
    path.write_text(html.render(verdict, activity), encoding="utf-8")
    return path.as_uri()


def requests(browser: webdriver.Chrome) -> list[str]:
    """The addresses of everything that the page asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


def test_a_divergence_that_is_clicked_shows_its_register_and_values(browser: webdriver.Chrome, report: str) -> None:
    requests(browser)
    browser.get(report)
    browser.find_element(By.CSS_SELECTOR, "svg a.root").click()
    article = browser.switch_to.active_element
    assert article.tag_name == "article"
    assert article.find_element(By.TAG_NAME, "h3").text == "Root: pit.Counter 2"
    cells = [
        cell.text for cell in article.find_elements(By.CSS_SELECTOR, "table:first-of-type tbody tr:first-child td")
    ]
    assert cells[:3] == ["value", "0xff", "0xfe"]
    assert "in al, 0x42" in article.text
    assert article.rect["y"] - browser.execute_script("return window.scrollY") < 100
    assert browser.get_log("browser") == []
    assert [url for url in requests(browser) if not url.startswith(("file:", "data:"))] == []


def test_the_keyboard_is_enough(browser: webdriver.Chrome, report: str) -> None:
    browser.get(report)
    headings = []
    for key in ("j", "j", "k"):
        browser.switch_to.active_element.send_keys(key)
        headings.append(browser.switch_to.active_element.get_attribute("id"))
    assert headings == ["d0", "d1", "d0"]
    browser.get(report)
    for _ in range(20):  # a mark is a link, which Tab reaches and Enter follows
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.tag_name == "a":
            break
    assert browser.switch_to.active_element.get_attribute("aria-label").startswith("root pit.Counter 2")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "d0"


def test_every_device_has_a_lane_and_its_registers(browser: webdriver.Chrome, report: str) -> None:
    browser.get(report)
    lanes = [lane.text for lane in browser.find_elements(By.CSS_SELECTOR, "svg g text")]
    assert {"pit", "rtc", "com1", "(no device)"} <= set(lanes)
    com1 = next(one for one in browser.find_elements(By.TAG_NAME, "details") if one.text.startswith("com1:"))
    com1.find_element(By.TAG_NAME, "summary").click()
    assert "LSR" in com1.text
    assert "IIR/FCR" in com1.text
