"""What the page shows of scans, and what its buttons do, on both servers."""

import re

import pytest
from playwright.sync_api import Route, expect

from scanqueue import LibraryUnavailable, ScanScope, TaskPriority, TaskResult
from tests.servers.page.conftest import Site

pytestmark = pytest.mark.slow


def test_a_scan_is_followed_to_its_end(site: Site) -> None:
    """From the button by the bar to the counts in history."""
    site.button("Scan Music").click()
    scan = site.next_scan()
    assert scan.task.priority is TaskPriority.HIGH
    expect(site.page.get_by_role("status")).to_contain_text(["", "added to the queue", ""])
    expect(site.rows("Libraries").nth(2)).to_contain_text("scanning")

    scan.report(3, 12, "Bach/Prelude.flac")
    expect(site.bar).to_have_accessible_name(re.compile("Scan of .Music"))
    expect(site.bar).to_have_js_property("position", 0.25)
    row = site.rows("Running")
    expect(row).to_contain_text("3 of 12 items (25 %)")
    expect(row).to_contain_text("Bach/Prelude.flac")

    scan.release(TaskResult(added_count=1200, failed_count=2))
    expect(site.rows("History")).to_contain_text("Completed")
    expect(site.rows("History")).to_contain_text("1,200 added, 2 failed")
    expect(site.rows("History")).to_contain_text(re.compile(r"in (less than )?\d+(\.\d)? s"))
    expect(site.rows("History").locator("time")).to_have_attribute("datetime", re.compile("^20.*Z"))
    expect(site.page.get_by_text("Nothing is being scanned.")).to_be_visible()


def test_an_unknown_total_is_shown_as_unknown(site: Site) -> None:
    """There is a number and no share: not nothing, and not all."""
    site.service.submit_task(2)
    site.next_scan().report(12_345)
    expect(site.rows("Running")).to_contain_text("12,345 items")
    expect(site.rows("Running")).not_to_contain_text("%")
    expect(site.bar).to_have_js_property("position", -1)


def test_the_queue_is_shown_in_order(site: Site) -> None:
    """With priorities, scopes and follow-ups; and what is cancelled in it goes to history."""
    site.service.submit_task(2)
    site.next_scan()
    site.service.submit_task(1, TaskPriority.LOW, scope=ScanScope(paths=["new", "old"]))
    site.button("Deep scan of <b>books").click()
    rows = site.rows("Queue")
    expect(rows).to_contain_text(
        [re.compile("<b>books.*high priority.*deep"), re.compile("films.*low.*only 2 paths")]
    )
    site.button("Scan again afterwards Music").click()
    expect(rows).to_contain_text(["books", re.compile("Music.*high.*follow-up"), "films"])

    site.button("Cancel the waiting scan of Music").click()
    expect(rows).to_contain_text(["books", "films"])
    expect(site.rows("History")).to_contain_text(["Cancelled"])
    expect(site.rows("History")).to_contain_text(["never started"])
    expect(site.rows("Running")).to_contain_text(["Music"])


def test_a_scan_that_is_cancelled_is_stopping_until_it_has_stopped(site: Site) -> None:
    """It is not in history before."""
    site.button("Scan films").click()
    scan = site.next_scan()
    scan.ignore_cancel()
    site.button("Cancel the scan of films").click()
    expect(site.rows("Running")).to_contain_text("Cancelled, stopping…")
    expect(site.rows("History")).to_have_count(0)
    expect(site.button("Cancel the scan of films")).to_have_count(0)
    scan.release()
    expect(site.rows("History")).to_contain_text("Cancelled")
    expect(site.rows("Running")).to_have_count(0)


def test_failures_say_what_has_happened(site: Site) -> None:
    """Short errors are shown, long ones when they are asked for."""
    site.service.submit_task(1)
    site.next_scan().fail(LibraryUnavailable("Input/output error: /mnt/usb"))
    expect(site.rows("History")).to_contain_text("Not available")
    expect(site.rows("History")).to_contain_text("Input/output error: /mnt/usb")

    site.service.submit_task(2)
    site.next_scan().fail(ValueError("what a long story " * 50 + "end"))
    latest = site.rows("History").first
    expect(latest).to_contain_text("Failed")
    expect(latest.get_by_text(re.compile("end$"))).to_be_hidden()
    latest.locator("summary").click()
    expect(latest.get_by_text(re.compile("end$"))).to_be_visible()


def test_a_paused_queue_starts_nothing(site: Site) -> None:
    """The page says so, until it is resumed."""
    site.button("Pause the queue").click()
    expect(site.page.get_by_text("Paused: no new scan starts.")).to_be_visible()
    site.button("Scan Music").click()
    expect(site.rows("Queue")).to_contain_text("Music")
    site.button("Resume the queue").click()
    expect(site.page.get_by_text("Paused: no new scan starts.")).to_be_hidden()
    expect(site.rows("Running")).to_contain_text("Music")


def test_what_does_not_work_is_said(site: Site) -> None:
    """The scan ends while the button is pressed: too late for a cancel."""
    task_id = site.service.submit_task(1)
    scan = site.next_scan()

    def end_first(route: Route) -> None:
        scan.release()
        site.service.wait(task_id)
        route.continue_()

    site.page.route(f"**/api/scan-tasks/{task_id}", end_first)
    site.button("Cancel the scan of films").click()
    expect(site.page.get_by_text("That did not work: ")).to_be_visible()
    expect(site.rows("History")).to_contain_text("Completed")
