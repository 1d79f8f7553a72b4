"""A running site and a real Chromium for the journeys. The console must stay silent in every one.

Knows the command line and Playwright; Chromium comes from the system's packages.
"""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.site import Site

# As root and without a network: no sandbox, and nothing of Chromium's own that phones home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Chromium is missing: apt install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Site]:
    running = Site(tmp_path_factory.mktemp("site"), switches="delay=0.5")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory) -> Iterator[Site]:
    """A site with Ada, Ben and Mo and Ada's gallery."""
    running = Site(tmp_path_factory.mktemp("demo"), switches="delay=0.2")
    running.start()
    seeded = running.command("seed_demo")
    assert seeded.returncode == 0, seeded.stderr
    yield running
    running.stop()


def watched(context: BrowserContext) -> list[str]:
    """Everything the console complains about: errors, and breaches of the content policy."""
    complaints: list[str] = []

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and "status of 4" not in message.text
                else None
            ),
        )

    context.on("page", listen)
    return complaints


@pytest.fixture
def open_context(chromium) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts; at the end none of their consoles may have complained."""
    opened: list[tuple[BrowserContext, list[str]]] = []

    def make(**options) -> BrowserContext:
        context = chromium.new_context(**options)
        context.set_default_timeout(15_000)
        opened.append((context, watched(context)))
        return context

    yield make
    for context, complaints in opened:
        context.close()
        assert complaints == []
