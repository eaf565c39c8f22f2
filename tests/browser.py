"""What tests of pages in a real browser share."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

AXE = Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
WIDTHS = {"telephone": (390, 844), "screen": (1280, 900)}


def needed(found, what):
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is missing (see .ci/run)")
    return found


@contextlib.contextmanager
def started(tmp_path_factory):
    """A browser that logs what pages say and ask for."""
    chromium, driver = (needed(shutil.which(name), name) for name in ("chromium", "chromedriver"))
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path_factory.mktemp("downloads"))})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as browser:
        browser.get("about:blank")
        yield browser


def show(browser, page, size, scheme):
    """Opens a page, a file, at a size of `WIDTHS` and in a colour scheme."""
    width, height = WIDTHS[size]
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "telephone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())


def wait(browser, condition):
    return WebDriverWait(browser, 20, 0.05).until(lambda _: condition())


def requests(browser):
    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent if not one["request"]["url"].startswith(("data:", "chrome:"))]


def check_width(browser, size):
    """Nothing scrolls sideways but what has its own box."""
    page = "document.documentElement"
    within, shown, viewport = browser.execute_script(f"return [{page}.scrollWidth, {page}.clientWidth, innerWidth]")
    assert within == shown
    assert viewport == WIDTHS[size][0]


def check_accessibility(browser, scheme):
    """axe finds no serious fault in a page that is shown in a colour scheme."""
    axe = needed(AXE.exists() and AXE.read_text(encoding="utf-8"), "axe-core")
    dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    assert dark == (scheme == "dark")
    browser.execute_script(axe)
    found = browser.execute_async_script("axe.run({iframes: false}).then(arguments[0])")
    assert len(found["passes"]) > 20
    serious = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"][:3]])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []
