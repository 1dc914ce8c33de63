"""How the page gets to the server, and back to it."""

import re

import pytest
from attrs import evolve
from playwright.sync_api import Page, Request, Route, expect

from medialibrary.access import COOKIE
from scanqueue import TaskPriority, TaskResult
from scanqueue.testing import FakeClock
from tests.servers.drivers import TOKEN
from tests.servers.page.conftest import Site, SiteMaker

pytestmark = pytest.mark.slow

LOST = re.compile("The connection is lost")
POLLED = re.compile("There are no live updates now")


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_the_token_is_asked_for_once(framework: str, make_site: SiteMaker) -> None:
    """A cookie stands for it from then on, which no script can read; logging out removes it."""
    site = make_site(framework, known=False)
    page = site.page
    page.goto(site.host.address)
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("this is not the token")
    expect(page.get_by_role("region")).to_have_count(0)

    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    expect(site.rows("Libraries")).to_have_count(3)
    heading = page.get_by_role("heading", name="Libraries")
    expect(heading).to_be_focused()
    expect(heading).to_have_css("outline-style", "none")  # or it would look like an input
    page.reload()
    expect(site.rows("Libraries")).to_have_count(3)
    assert [cookie["name"] for cookie in page.context.cookies()] == [COOKIE]
    assert page.evaluate("document.cookie") == ""

    site.button("Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.context.cookies() == []


def test_nothing_is_missed_between_the_lists_and_the_events(make_site: SiteMaker) -> None:
    """The stream begins where the lists end."""
    site = make_site(known=False)
    site.service.submit_task(1)
    site.next_scan()
    site.log_in()
    with (
        site.page.expect_request("**/events?*") as stream,
        site.page.expect_response("**/api/scan-tasks?*") as lists,
    ):
        site.open()
    revision = lists.value.json()["revision"]
    assert revision >= site.service.list_running()[0].revision
    assert stream.value.url.endswith(f"?after={revision}")


def test_events_alone_put_tasks_where_they_belong(make_site: SiteMaker) -> None:
    """While the lists are on their way, which takes long here."""
    site = make_site()
    site.page.route("**/api/scan-tasks?*", lambda _: None)
    site.service.submit_task(1)
    scan = site.next_scan()
    site.service.submit_task(2, TaskPriority.LOW)
    site.service.submit_task(3)
    expect(site.rows("Queue")).to_contain_text(["books", "Music"])
    site.service.submit_task(2, TaskPriority.HIGH)
    expect(site.rows("Queue")).to_contain_text(["Music", "books"])
    scan.release()
    site.next_scan().fail(ValueError("broken"))
    expect(site.rows("Running")).to_contain_text(["books"])
    expect(site.rows("History")).to_contain_text(["broken", "films"])


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_the_page_survives_a_restart(framework: str, make_site: SiteMaker) -> None:
    """It says that it is cut off, goes on behind the last event, and tells what has ended."""
    site = make_site(framework, {"store": "sqlite"})
    site.service.submit_task(1)
    site.next_scan().release(TaskResult(added_count=7))
    site.service.submit_task(2)
    site.next_scan().report(3, 10)
    expect(site.rows("Running")).to_contain_text("3 of 10 items")
    site.service.submit_task(3)

    asked = list[Request]()
    site.page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - no built-ins
    site.host.stop()
    expect(site.page.get_by_text(LOST)).to_be_visible()
    site.button("Scan films").click()
    expect(site.page.get_by_text("the server cannot be reached")).to_be_visible()
    site.host.start()
    site.next_scan().release(TaskResult(removed_count=4))
    site.next_scan().report(5, 10)
    expect(site.page.locator("#connection")).to_be_empty()
    expect(site.rows("Running")).to_contain_text("5 of 10 items (50 %)")
    expect(site.rows("History")).to_contain_text(["4 removed", "7 added"])
    expect(site.page.locator("#news")).to_contain_text("4 removed")
    assert any("last-event-id" in request.all_headers() for request in asked)


def test_the_page_goes_on_with_a_new_queue(make_site: SiteMaker) -> None:
    """What was in the old one is gone, also if the clock was set back and revisions are lower."""
    site = make_site(changes={"store": "sqlite"})
    site.service.submit_task(1)
    site.next_scan().release(TaskResult(added_count=7))
    site.service.submit_task(2)
    expect(site.rows("Running")).to_have_count(1)
    expect(site.rows("History")).to_have_count(1)
    site.host.stop()
    site.host.settings = evolve(site.host.settings, store="memory")
    site.host.clock = FakeClock()
    site.host.start()
    expect(site.page.get_by_text("Nothing has ended of late.")).to_be_visible()
    expect(site.rows("Running")).to_have_count(0)
    expect(site.page.get_by_text(LOST)).to_be_hidden()
    site.button("Scan films").click()
    site.next_scan()
    expect(site.rows("Running")).to_contain_text("films")


def test_a_hidden_page_lets_go_of_its_stream(make_site: SiteMaker) -> None:
    """So another one gets in that was refused; the first catches up when it is seen again."""
    site = make_site("fastapi", {"streams": 1})
    second = Site(site.page.context.new_page(), site.host)
    second.page.clock.install()
    second.open()
    expect(second.page.get_by_text(POLLED)).to_be_visible()
    expect(second.page.get_by_text(LOST)).to_be_hidden()
    expect(second.rows("Libraries")).to_have_count(3)

    set_hidden(site.page, is_hidden=True)
    with second.page.expect_response(lambda found: "events" in found.url and found.ok):
        second.page.clock.fast_forward(3_000)
    expect(second.page.get_by_text(POLLED)).to_be_hidden()
    second.button("Scan Music").click()
    expect(second.rows("Running")).to_contain_text("Music")
    expect(site.rows("Running")).to_have_count(0)

    set_hidden(second.page, is_hidden=True)
    set_hidden(site.page, is_hidden=False)
    expect(site.rows("Running")).to_contain_text("Music")


def test_a_page_that_is_hidden_while_it_reads_opens_no_stream(make_site: SiteMaker) -> None:
    """What it reads comes too late; it reads again when it is seen."""
    site = make_site(known=False)
    site.log_in()
    held = list[Route]()
    site.page.route("**/api/libraries", lambda route: held.append(route))  # noqa: PLW0108 - same
    opened = list[Request]()
    site.page.on(
        "request", lambda request: opened.append(request) if "events" in request.url else None
    )
    with site.page.expect_request("**/api/libraries"):
        site.page.goto(site.host.address)
    set_hidden(site.page, is_hidden=True)
    with site.page.expect_response("**/api/libraries"):
        held[0].continue_()
    site.page.unroute("**/api/libraries")
    site.page.evaluate("fetch('/icon.svg')")  # whose answer comes after it
    assert opened == []
    set_hidden(site.page, is_hidden=False)
    expect(site.rows("Libraries")).to_have_count(3)


def test_a_page_without_a_stream_works_and_says_so(make_site: SiteMaker) -> None:
    """It reads the lists again and again, and knows when the server has gone."""
    site = make_site(changes={"streams": 0})
    expect(site.page.get_by_text(POLLED)).to_be_visible()
    site.service.submit_task(1)
    site.next_scan()
    expect(site.rows("Running")).to_contain_text("films")
    expect(site.page.get_by_text(POLLED)).to_be_visible()
    site.host.stop()
    expect(site.page.get_by_text(LOST)).to_be_visible()


def set_hidden(page: Page, *, is_hidden: bool) -> None:
    """Have a page believe that another tab is in front of it: without a window, none ever is."""
    page.evaluate(
        """(isHidden) => {
            Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def test_a_server_in_trouble_is_no_reason_to_give_up(make_site: SiteMaker) -> None:
    """What it says is shown, until it answers again."""
    site = make_site(known=False)
    site.page.clock.install()
    site.log_in()
    site.open()
    trouble = {"title": "Disk full", "detail": "<b>no space left</b>"}
    site.page.route("**/api/scan-tasks?*", lambda route: route.fulfill(status=503, json=trouble))
    site.page.clock.fast_forward(10_000)
    told = site.page.get_by_text("The server is in trouble: <b>no space left</b>.")
    expect(told).to_be_visible()
    site.page.unroute("**/api/scan-tasks?*")
    site.page.clock.fast_forward(10_000)
    expect(told).to_be_hidden()


def test_a_token_that_is_changed_is_asked_for_again(make_site: SiteMaker) -> None:
    """The cookie of the old one is worth nothing."""
    site = make_site()
    site.host.stop()
    site.host.settings = evolve(site.host.settings, token="another")  # noqa: S106 - of the test
    site.host.start()
    expect(site.page.get_by_label("Token")).to_be_focused()
    site.page.keyboard.type("another")
    site.page.keyboard.press("Enter")
    expect(site.rows("Libraries")).to_have_count(3)
    expect(site.page.get_by_text(LOST)).to_be_hidden()
