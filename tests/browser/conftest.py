"""JupyterLab in headless Chromium. The tests of a module share a browser, and all tests share a server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from lab_server import LabServer
from notebook_page import PICTURES, NotebookPage
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

SIZE = {"width": 1280, "height": 900}
"""The size of a page, in pixels."""


@pytest.fixture(autouse=True)
def _nothing_left_by_the_test() -> None:
    """Looks for nothing: the sessions of these tests run in kernels, and the browser's driver starts threads here."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    server = LabServer(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium here. Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = _launched(playwright.chromium)
        yield browser
        browser.close()


def _launched(chromium: BrowserType, *arguments: str) -> Browser:
    of_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
    return chromium.launch(executable_path=_CHROMIUM, args=[*_ARGUMENTS, *of_root, *arguments])


@pytest.fixture
def rebound(browser: Browser) -> Iterator[Browser]:
    """A browser whose name server says that rebound.example is this machine."""
    other = _launched(browser.browser_type, "--host-resolver-rules=MAP rebound.example 127.0.0.1")
    yield other
    other.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own for a test, whose picture is kept in `build/browser` at the end."""
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())  # the page asks before it is left with unsaved changes
    yield page
    PICTURES.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(context.pages):
        each.screenshot(path=PICTURES / f"{_file_name(request)}{number or ''}.png")
    context.close()


def _file_name(request: pytest.FixtureRequest) -> str:
    """Return a file name after the test."""
    return re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture
def notebook(page: Page, lab: LabServer, request: pytest.FixtureRequest) -> Iterator[Callable[..., NotebookPage]]:
    """Opens a notebook with the given cells; its kernel ends with the test."""
    yield lambda *cells, app="lab": NotebookPage(page, lab, f"{_file_name(request)}.ipynb", list(cells), app)
    lab.end_kernels()
