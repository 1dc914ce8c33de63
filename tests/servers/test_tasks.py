"""Looking at tasks, cancelling them, and the queue as a whole."""

from datetime import timedelta
from uuid import UUID

import pytest

from scanqueue import LibraryUnavailable, ScanTask, TaskResult, TaskStatus
from scanqueue.wire import stats_from_dict, task_to_dict
from tests.servers.conftest import Server
from tests.servers.drivers import BEARER

UNKNOWN = UUID(int=7)
HOSTILE = '<script>alert("1")</script>\n\x1b[31m \u202e \U0001f600 \N{LATIN SMALL LETTER E}\u0301'


@pytest.mark.requirement("2.1")
def test_a_task_is_shown_as_it_is(server: Server) -> None:
    """With its progress, and at its end with what was found."""
    task_id = server.service.submit_task(1)
    scan = server.scanner.next_scan()
    scan.report(3, 10, HOSTILE)
    answer = server.driver.ask("GET", f"/api/scan-tasks/{task_id}")
    assert answer.status == 200
    assert answer.json()["progress"]["scanned_paths"] == 3
    assert answer.json()["progress"]["total_paths"] == 10
    scan.release(TaskResult(added_count=10))
    task = server.service.wait(task_id, quiet=True)
    answer = server.driver.ask("GET", f"/api/scan-tasks/{task_id}")
    assert answer.json() == task_to_dict(task)
    assert answer.json()["result"]["added_count"] == 10


@pytest.mark.requirement("6.2")
def test_an_error_is_passed_on_letter_by_letter(server: Server) -> None:
    """JSON knows no HTML: it is the page's to show text as text."""
    task_id = server.service.submit_task(1)
    server.scanner.next_scan().fail(LibraryUnavailable(HOSTILE))
    task = server.service.wait(task_id, quiet=True)
    answer = server.driver.ask("GET", f"/api/scan-tasks/{task_id}")
    assert answer.json()["error"] == task.error
    assert "<script>" in answer.json()["error"]


def test_a_client_that_has_it_already_is_told(server: Server) -> None:
    """304 while nothing has changed, by the revision as the entity tag."""
    server.service.pause()
    task_id = server.service.submit_task(1)
    path = f"/api/scan-tasks/{task_id}"
    first = server.driver.ask("GET", path)
    tag = first.headers["etag"]
    assert tag == f'"{first.json()["revision"]}"'
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = server.driver.ask("GET", path, headers={**BEARER, "If-None-Match": known})
        assert (answer.status, answer.text, answer.headers["etag"]) == (304, "", tag)
    for known in (tag.strip('"'), tag[:-1], f'"1, {tag[1:]}', '"*"'):  # none of which is its tag
        answer = server.driver.ask("GET", path, headers={**BEARER, "If-None-Match": known})
        assert answer.status == 200, known
    server.service.cancel_task(task_id)
    for known in (tag, '"other"', tag.strip('"')):
        answer = server.driver.ask("GET", path, headers={**BEARER, "If-None-Match": known})
        assert (answer.status, answer.json()["status"]) == (200, "cancelled")
        assert answer.headers["etag"] != tag


def test_no_other_condition_is_asked(server: Server) -> None:
    """Nor are parts: a task is short, and changes all the time."""
    task_id = server.service.submit_task(1)
    for name, value in [("If-Match", '"x"'), ("Range", "bytes=0-1")]:
        answer = server.driver.ask(
            "GET", f"/api/scan-tasks/{task_id}", headers={**BEARER, name: value}
        )
        assert (answer.status, answer.json()["id"]) == (200, str(task_id))


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_task_is_404(server: Server, method: str) -> None:
    """With its id, if it could be one."""
    answer = server.driver.ask(method, f"/api/scan-tasks/{UNKNOWN}")
    assert answer.problem() == (404, "urn:scanqueue:task-not-found")
    assert answer.json()["task_id"] == str(UNKNOWN)
    for text in ("7", "a" * 36, "%00"):
        answer = server.driver.ask(method, f"/api/scan-tasks/{text}")
        assert answer.problem() == (404, "about:blank")


@pytest.mark.requirement("3.1", "3.2", "3.3")
def test_a_task_is_cancelled_once(server: Server) -> None:
    """Pending or running; one that has ended is a conflict, and comes with the task."""
    running = server.service.submit_task(1)
    scan = server.scanner.next_scan()
    scan.ignore_cancel()
    pending = server.service.submit_task(2)
    for task_id, holds_slot in ((pending, False), (running, True)):
        answer = server.driver.ask("DELETE", f"/api/scan-tasks/{task_id}")
        assert answer.status == 200
        assert (answer.json()["status"], answer.json()["holds_slot"]) == ("cancelled", holds_slot)
        again = server.driver.ask("DELETE", f"/api/scan-tasks/{task_id}")
        assert again.problem() == (409, "urn:scanqueue:task-not-cancellable")
        assert again.json()["task"] == answer.json()
    scan.release()


@pytest.mark.requirement("2.3")
def test_all_tasks_are_listed_in_order(server: Server) -> None:
    """Running, pending, history; and the revision that the events go on from."""
    ended = [server.service.submit_task(1), server.service.submit_task(2)]
    for task_id in ended:
        server.scanner.next_scan().release()
        server.service.wait(task_id, quiet=True)
    running = server.service.submit_task(2)
    server.scanner.next_scan()
    pending = [server.service.submit_task(3), server.service.submit_task(1)]
    lists = server.driver.ask("GET", "/api/scan-tasks").json()
    assert lists.pop("revision") == server.service.revision
    ids = {name: [UUID(task["id"]) for task in tasks] for name, tasks in lists.items()}
    assert ids == {"running": [running], "pending": pending, "history": ended[::-1]}

    def ask(query: str) -> dict[str, list[UUID]]:
        found = server.driver.ask("GET", f"/api/scan-tasks?{query}").json()
        return {name: [UUID(task["id"]) for task in found[name]] for name in ids}

    assert ask("library_id=2") == {"running": [running], "pending": [], "history": ended[1:]}
    assert ask("library_id=two") == {"running": [], "pending": [], "history": []}
    assert ask("status=pending") == {"running": [], "pending": pending, "history": []}
    both = ask("status=pending&status=running&limit=1")
    assert both == {"running": [running], "pending": pending[:1], "history": []}
    assert ask("limit=1") == {"running": [running], "pending": pending[:1], "history": ended[1:]}
    assert ask("limit=0&other=1") == {"running": [], "pending": [], "history": []}


@pytest.mark.parametrize("query", ["limit=2", "limit=2&status=pending", "limit=2&library_id=1"])
def test_a_long_history_is_not_listed_for_nothing(
    server: Server, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only as far back as the answer shows it, and yet nothing is left out."""
    server.scanner.let_go()
    for library_id in (1, *[2, 3] * 40):
        server.service.wait(server.service.submit_task(library_id), quiet=True)
    server.service.pause()
    for library_id in (1, 2, 3):
        server.service.submit_task(library_id)
    every = server.service.list_tasks()
    listed: list[int] = []

    def listing(limit: int | None = None) -> list[ScanTask]:
        assert limit is not None
        listed.append(len(every[:limit]))
        return every[:limit]

    monkeypatch.setattr(server.service, "list_tasks", listing)
    lists = server.driver.ask("GET", f"/api/scan-tasks?{query}").json()
    wanted = [task for task in every if "library_id" not in query or task.library_id == 1]
    pending = [str(task.id) for task in wanted if task.status is TaskStatus.PENDING]
    ended = [str(task.id) for task in wanted if task.is_ended and "status" not in query]
    assert [task["id"] for task in lists["pending"]] == pending[:2]
    assert [task["id"] for task in lists["history"]] == ended[:2]
    assert sum(listed) < len(every) or "library_id" in query


def test_a_filter_that_makes_no_sense_is_400(server: Server) -> None:
    """Rather than be ignored."""
    for query in ("limit=-1", "limit=1001", "limit=x", "limit=", "status=paused", "status="):
        answer = server.driver.ask("GET", f"/api/scan-tasks?{query}")
        assert answer.problem() == (400, "urn:scanqueue:invalid-argument"), query


def test_the_queue_is_shown_in_numbers(server: Server) -> None:
    """They are those of the service."""
    server.service.submit_task(1)
    server.scanner.next_scan()
    server.service.submit_task(2)
    answer = server.driver.ask("GET", "/api/scan-queue")
    shown, expected = stats_from_dict(answer.json()), server.service.stats()
    assert (shown.pending, shown.running, shown.busy_workers) == (1, 1, 1)
    assert shown.submitted == expected.submitted
    assert shown.oldest_pending_age is not None
    assert timedelta(0) <= shown.oldest_pending_age <= (expected.oldest_pending_age or timedelta(0))


def test_the_queue_is_paused_and_resumed(server: Server) -> None:
    """Asked twice, it is no error; the answer says how it is now."""
    for action, is_paused in [("pause", True), ("pause", True), ("resume", False)]:
        answer = server.driver.ask("POST", f"/api/scan-queue/{action}")
        assert (answer.status, answer.json()["paused"]) == (200, is_paused)
        assert server.service.is_paused is is_paused
