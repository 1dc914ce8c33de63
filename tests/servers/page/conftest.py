"""Set-up: a browser, and the page of each server in it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest
from attrs import evolve, frozen
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from medialibrary import Settings
from medialibrary.access import COOKIE, Access
from scanqueue import ScanQueueService
from scanqueue.testing import FakeScan
from tests.servers.drivers import TOKEN
from tests.servers.page.host import Host

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 20_000.0
"""Milliseconds to wait for what comes at once, unless the machine is busy."""


@pytest.fixture(
    scope="module"
)  # not longer: it has an event loop, and tests of asyncio have theirs
def browser() -> Iterator[Browser]:
    """A real browser without a window."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@frozen
class Site:
    """The page in a browser, and what is behind it."""

    page: Page
    host: Host

    @property
    def service(self) -> ScanQueueService:
        """The queue that the server has now."""
        return self.host.service

    def next_scan(self) -> FakeScan:
        """Return the scan that begins next."""
        return self.host.scanner.next_scan()

    def rows(self, section: str) -> Locator:
        """Return the rows of a part of the page, by its heading."""
        return self.page.get_by_role("region", name=section).locator(".rows > li")

    def button(self, name: str) -> Locator:
        """Return a button, by the whole name that a screen reader reads out."""
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def bar(self) -> Locator:
        """The one bar on the page."""
        return self.page.get_by_role("progressbar")

    def log_in(self) -> None:
        """Have the browser be known to the server."""
        cookie = Access(TOKEN, self.host.settings.rate).cookie
        self.page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": self.host.address}])

    def open(self) -> None:
        """Open the page, and wait until it shows the queue."""
        self.page.goto(self.host.address)
        expect(self.page.get_by_role("heading", name="Libraries")).to_be_visible()


SiteMaker: TypeAlias = Callable[..., Site]


@pytest.fixture
def make_site(browser: Browser, settings: Settings) -> Iterator[SiteMaker]:
    """Give what opens pages: of a framework, with other settings and options of the browser.

    No script may have failed at the end, and nothing may have been refused by the policy.
    """
    with ExitStack() as stack:
        wrong: list[str] = []

        def make(
            framework: str = "flask",
            changes: dict[str, Any] | None = None,
            *,
            known: bool = True,
            **options: Any,  # noqa: ANN401 - Playwright's
        ) -> Site:
            host = Host(framework, evolve(settings, **{"store": "memory", **(changes or {})}))
            stack.callback(host.stop)
            context = browser.new_context(**options)
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on(
                "console",
                lambda said: wrong.append(said.text) if "Content Security" in said.text else None,
            )
            site = Site(page, host)
            if known:
                site.log_in()
                site.open()
            return site

        yield make
        assert wrong == []


@pytest.fixture(params=["flask", "fastapi"])
def site(request: pytest.FixtureRequest, make_site: SiteMaker) -> Site:
    """The page of each server."""
    return make_site(request.param)
