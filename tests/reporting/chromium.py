"""A headless Chromium for the tests of reports, and for the pictures of the documentation."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

__all__ = ["CHROMIUM", "DRIVER", "Browser", "emulate", "open_browser"]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run")
QUIET = ("disable-background-networking", "disable-component-update", "disable-sync")

Browser = webdriver.Chrome


def open_browser(profile: Path, *more: str) -> Browser:
    """Return a browser that keeps what it logs.

    Args:
        profile: an empty folder.
        more: more flags.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, *QUIET, *more, f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, Service(str(DRIVER)))
    browser.get("about:blank")  # away from the browser's own first page
    browser.get_log("performance")
    return browser


def emulate(browser: Browser, width: int, height: int, dark: bool) -> None:
    """Give pages a window of a size, and readers who prefer light or dark."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
