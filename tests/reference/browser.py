"""A real browser for tests: Chromium without a window, of this machine or of playwright."""

import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_MS = 240_000  # on a busy machine, where the first import of everything alone may take a minute
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@contextmanager
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="no browser test without playwright")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if installed is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium here: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser, url, size="desktop", scheme="light", motion="no-preference"):
    """A page of its own; ``asked`` are the addresses that it asked for, ``broken`` what went wrong in its scripts."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.asked, page.broken = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.broken.append(str(error)))
    page.on("console", lambda message: page.broken.append(message.text) if message.type == "error" else None)
    page.goto(url)
    yield page
    context.close()


def wait_until(page, condition):
    """Wait for an expression to be true; also on pages that forbid playwright to leave a script of its own there."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never true: {condition}"
        page.wait_for_timeout(20)
