"""Who the page can be read and used by: with a phone, in the dark, with the keyboard, by ear."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from medialibrary import Settings
from scanqueue import ScanScope, TaskPriority, TaskResult
from tests.servers.page.conftest import Site, SiteMaker

pytestmark = pytest.mark.slow

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "مكتبة الموسيقى (12)",
    "👩‍👩‍👧‍👦 films 🎞️",
    "W" * 200,
)
"""Names of libraries: HTML, from right to left, emoji, and a word that fits on no line."""


def hostile(site_changes: Path) -> dict[str, list[Path]]:
    """Return the settings for libraries with such names."""
    folders = [site_changes / "hostile" / name for name in HOSTILE]
    for folder in folders:
        folder.mkdir(parents=True)
    return {"folders": folders}


def fill(site: Site) -> None:
    """Have something in each part of the page."""
    service = site.service
    service.submit_task(1)
    site.next_scan().release(TaskResult(added_count=1))
    service.submit_task(2)
    site.next_scan().fail(ValueError("<b>not bold</b> " + "x" * 1_000))
    service.submit_task(3)
    site.next_scan().report(7, 20, "<i>not italic</i>/" + "y" * 500)
    service.submit_task(1, TaskPriority.HIGH, scope=ScanScope(deep=True))
    service.submit_task(2, TaskPriority.LOW, scope=ScanScope(paths=["<u>" + "z" * 200]))
    expect(site.rows("Queue")).to_have_count(2)
    expect(site.rows("History")).to_have_count(2)
    expect(site.rows("Running")).to_contain_text("7 of 20")


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_names_and_errors_stay_text(framework: str, make_site: SiteMaker, tmp_path: Path) -> None:
    """On a phone, where nothing is wider than the screen; nothing of them becomes an element."""
    site = make_site(framework, hostile(tmp_path), viewport={"width": 360, "height": 740})
    fill(site)
    for name in HOSTILE:
        expect(
            site.rows("Libraries").locator("strong").get_by_text(name, exact=True)
        ).to_be_visible()
    expect(site.rows("History").first).to_contain_text("<b>not bold</b>")
    expect(site.rows("Running")).to_contain_text("<i>not italic</i>")
    assert site.page.locator("main :is(img, b, i, u, script)").count() == 0
    expect(site.rows("Libraries").locator("strong").get_by_text(HOSTILE[1])).to_have_css(
        "unicode-bidi", "isolate"
    )
    assert site.page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(scheme: str, make_site: SiteMaker) -> None:
    """In both schemes axe finds nothing wrong, with the contrast of the colours or else."""
    site = make_site(color_scheme=scheme, reduced_motion="reduce")
    fill(site)
    site.button("Pause the queue").click()
    expect(site.page.get_by_text("Paused: ")).to_be_visible()
    expect(site.page.get_by_text("The queue is paused.")).to_be_visible()
    brightness = site.page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]"
    )
    assert (int(brightness) > 128) == (scheme == "light")
    found = Axe().run(site.page)
    assert found.violations_count == 0, found.generate_report()


def test_asking_for_the_token_is_accessible(make_site: SiteMaker) -> None:
    """The field has a name, and what is wrong is said with it."""
    site = make_site(known=False)
    site.page.goto(site.host.address)
    site.page.get_by_label("Token").fill("not this one")
    site.button("Log in").click()
    expect(site.page.get_by_label("Token")).to_have_accessible_description(
        re.compile("not the token")
    )
    found = Axe().run(site.page)
    assert found.violations_count == 0, found.generate_report()


def test_bars_move_only_for_those_who_like_it(make_site: SiteMaker) -> None:
    """Stripes show an unknown total, and rest when the system says so."""
    site = make_site()
    site.service.submit_task(1)
    expect(site.bar).to_have_css("animation-name", "pass")
    site.page.emulate_media(reduced_motion="reduce")
    expect(site.bar).to_have_css("animation-name", "none")


def test_everything_can_be_done_with_the_keyboard(make_site: SiteMaker) -> None:
    """The focus stays with a task when its row moves, and is never lost."""
    site = make_site()
    keyboard = site.page.keyboard
    site.page.get_by_role("link", name="Libraries").focus()
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(site.button("Scan <b>books")).to_be_focused()
    keyboard.press("Enter")
    scan = site.next_scan()
    expect(site.button("Scan <b>books")).to_be_focused()
    for _ in range(2):  # over the deep scan
        keyboard.press("Tab")
    expect(site.button("Scan films")).to_be_focused()
    keyboard.press("Space")
    expect(site.rows("Queue")).to_have_count(1)

    waiting = site.button("Cancel the waiting scan of films")
    waiting.focus()
    site.service.submit_task(2, TaskPriority.HIGH)
    site.service.submit_task(2, TaskPriority.HIGH, scope=ScanScope(deep=True))
    expect(site.rows("Queue")).to_contain_text(["films", "Music"])
    expect(waiting).to_be_focused()
    scan.release()
    expect(site.button("Cancel the scan of films")).to_be_focused()
    keyboard.press("Enter")
    expect(site.rows("Running")).to_contain_text("Music")
    expect(site.page.locator(":focus")).to_have_count(1)
    expect(site.rows("History")).to_have_count(2)


def test_the_focus_goes_to_the_heading_when_its_row_goes(make_site: SiteMaker) -> None:
    """And not to the next row, whose scan would be cancelled by the same key once more."""
    site = make_site()
    for library_id in (1, 2, 3):
        site.service.submit_task(library_id)
    expect(site.rows("Queue")).to_have_count(2)
    site.button("Cancel the waiting scan of Music").focus()
    site.page.keyboard.press("Enter")
    expect(site.page.get_by_role("heading", name="Queue")).to_be_focused()
    site.page.keyboard.press("Enter")
    expect(site.rows("Queue")).to_contain_text(["books"])


def test_a_long_name_stays_beside_its_number(make_site: SiteMaker, settings: Settings) -> None:
    """Which is at the left of the line."""
    folder = settings.folders[0].with_name("long " * 40)
    folder.mkdir()
    site = make_site(changes={"folders": [*settings.folders, folder]})
    site.service.submit_task(1)
    expect(site.rows("Running")).to_have_count(1)
    site.service.submit_task(4)
    expect(site.rows("Queue")).to_have_count(1)
    line = site.rows("Queue").locator(".line").first
    name, whole = line.locator("strong").bounding_box(), line.bounding_box()
    assert name is not None
    assert whole is not None
    assert name["x"] > whole["x"] + 5


def test_endings_are_told_to_those_who_listen(make_site: SiteMaker) -> None:
    """What each has found; many of them in one sentence, so that nobody is read a list."""
    site = make_site(known=False)
    site.page.clock.install()
    site.log_in()
    site.open()
    told = site.page.locator("#news[role=status]")
    for library_id in range(1, 12):
        site.service.submit_task(library_id)
    site.next_scan().release(TaskResult(added_count=1200, failed_count=2))
    expect(site.rows("History")).to_have_count(1)
    site.page.clock.fast_forward(1_500)
    expect(told).to_have_text(re.compile("Scan of .films.: Completed, 1,200 added, 2 failed."))
    for task in site.service.list_pending():
        site.service.cancel_task(task.id)
    expect(site.rows("History")).to_have_count(10)
    expect(told).not_to_contain_text("10")
    site.page.clock.fast_forward(1_500)
    expect(told).to_have_text("9 scans have ended.")


def test_thousands_of_tasks_do_not_freeze_it(make_site: SiteMaker) -> None:
    """The first ones are shown, the others are counted, and buttons work at once."""
    site = make_site()
    for library_id in range(1, 5_002):
        site.service.submit_task(library_id)
    expect(site.page.get_by_text("… and 4,950 more")).to_be_visible()
    expect(site.rows("Queue")).to_have_count(50)
    expect(site.page.get_by_role("link", name="Queue 5,000")).to_be_visible()
    site.button("Cancel the waiting scan of Music").click()
    expect(site.page.get_by_text("… and 4,949 more")).to_be_visible()
    expect(site.rows("Queue").last).to_contain_text("library 52")


def test_a_library_can_be_found_among_many(make_site: SiteMaker, tmp_path: Path) -> None:
    """A field appears when there are more than are shown."""
    folders = [tmp_path / f"{number:03} Films" for number in range(60)]
    site = make_site(changes={"folders": folders})
    expect(site.rows("Libraries")).to_have_count(25)
    expect(site.page.get_by_text("… and 35 more")).to_be_visible()
    site.page.get_by_label("Find a library").fill("047 film")
    expect(site.rows("Libraries")).to_contain_text(["047 Films"])
    site.page.get_by_label("Find a library").fill("books")
    expect(site.page.get_by_text("No library has this in its name.")).to_be_visible()


def test_times_and_rates_go_on_by_themselves(make_site: SiteMaker) -> None:
    """And what no event tells of, a pause by somebody else, is seen a bit later."""
    site = make_site(known=False)
    clock = site.page.clock
    clock.install()
    site.log_in()
    site.open()
    site.service.submit_task(1)
    scan = site.next_scan()
    row = site.rows("Running")
    scan.report(100)
    expect(row).to_contain_text("100 items")
    expect(row).to_contain_text("started just now")
    clock.fast_forward(4_000)
    scan.report(140)
    expect(row).to_contain_text("140 items")
    clock.fast_forward(1_000)
    expect(row).to_contain_text(re.compile(r"(?<![\d.])([5-9](\.\d)?|10) items/s"))

    site.service.pause()
    clock.fast_forward(3 * 60_000)
    expect(row).to_contain_text(re.compile(r"started [34] min\. ago"))
    expect(site.page.get_by_text("Paused: ")).to_be_visible()
