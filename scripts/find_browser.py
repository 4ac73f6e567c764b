"""Finds the Chromium for browser tests, benchmarks and screenshots, or installs one.

python -m scripts.find_browser

prints its path. If there is none, that is an error under ``CI=true``, and else only a message.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "no Chromium or Chrome found: install one, or name yours in CNNVIZ_BROWSER; "
    "without it the browser tests do not run"
)


def find_browser() -> str | None:
    """The path of a Chromium or Chrome: CNNVIZ_BROWSER, else a system's, else Playwright's own.

    Raises:
        SystemExit: CNNVIZ_BROWSER is not a program.
    """
    browser = os.environ.get("CNNVIZ_BROWSER")
    if browser and not shutil.which(browser):
        raise SystemExit(f"CNNVIZ_BROWSER={browser} is not a program")
    if browser:
        return shutil.which(browser)
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    return installed or _playwright_browser()


def install_browser() -> None:
    """Tries Debian's package manager if this is root on Debian, then Playwright's download."""
    for command in _installers():
        if find_browser():
            return
        print("$", *command, flush=True)
        try:
            subprocess.run(command, timeout=600, check=False)
        except subprocess.TimeoutExpired:
            print("gave up after 10 minutes")


def _installers() -> list[list[str]]:
    playwright = [sys.executable, "-m", "playwright", "install", "chromium"]
    if not (_is_debian() and os.geteuid() == 0):
        return [playwright]
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
    return [["apt-get", "update", "-q"], install, playwright]


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except OSError:
        return False


def _playwright_browser() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def main() -> int:
    """Prints the browser's path; 1 where CI has none."""
    install_browser()
    browser = find_browser()
    print(browser or MISSING)
    return int(browser is None and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
