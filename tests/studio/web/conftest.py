"""A real studio in a process of its own, and a real browser. `make test-web` sets HAMSTER_WEB and runs these."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.evaluate.conftest import finished

__all__ = ["finished"]  # a fixture

CHROMIUM = os.environ.get("CHROMIUM") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
SCREENSHOTS = Path(os.environ.get("HAMSTER_WEB_SCREENSHOTS", "outputs/web"))
WIDE, PHONE = (1400, 900), (390, 844)
START_S = 300


def pytest_collection_modifyitems(items):
    reason = None
    if not os.environ.get("HAMSTER_WEB"):
        reason = "drives a browser for minutes: make test-web"
    elif CHROMIUM is None:
        reason = "no Chromium on the PATH: apt-get install chromium, or name it in CHROMIUM"
    for item in items:
        if reason and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


class Server:
    """`hamster studio` with a free port.

    Attributes:
        link: with the token.
    """

    def __init__(self, out, *arguments):
        self.out = out
        command = [sys.executable, "-m", "hamster", "studio", "--port", "0", "--out", str(out), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(START_S, self.process.kill)
        watchdog.start()
        self.link = self.process.stdout.readline().strip()
        watchdog.cancel()
        assert self.link.startswith("http://127.0.0.1:"), "the studio did not start"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("studio") / "kept")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def is_own(url):
    return url.startswith(("http://127.0.0.1:", "blob:", "data:", "file:"))


@pytest.fixture
def new_page(browser):
    """Opens an empty page in a browser of its own, with axe-core in what it shows: new_page(size, dark=False)."""
    from axe_playwright_python.base import AXE_SCRIPT

    contexts, faults = [], []

    def new_page(size=WIDE, dark=False):
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            has_touch=size == PHONE,
            device_scale_factor=2 if size == PHONE else 1,
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        context.add_init_script(AXE_SCRIPT)  # which the page's content security policy does not keep out
        context.set_default_timeout(300_000)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: is_own(request.url) or faults.append(f"loads {request.url}"))
        return page

    yield new_page
    for context in contexts:
        context.close()
    assert not faults, faults


@pytest.fixture
def open_file(new_page):
    """Opens a page that is a file: open_file(file, size, dark=False)."""

    def open_file(file, size=WIDE, dark=False):
        page = new_page(size, dark)
        page.goto(file.as_uri())
        return page

    return open_file


@pytest.fixture
def open_page(new_page, server):
    """Opens the studio in a browser of its own: open_page(size, dark=False)."""

    def open_page(size=WIDE, dark=False, link=None):
        page = new_page(size, dark)
        page.goto(link or server.link)
        # No `wait_for_function`: it evaluates text, which the page's content security policy forbids.
        page.wait_for_selector("#status[data-status=ready]", timeout=600_000)
        page.wait_for_selector("#view[data-images]")
        return page

    return open_page
