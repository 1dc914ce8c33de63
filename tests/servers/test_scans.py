"""Asking for a scan."""

import pytest

from scanqueue import ScanScope, TaskPriority
from scanqueue.wire import submission_from_dict, task_to_dict
from tests.servers.conftest import Server
from tests.servers.drivers import BEARER, Json

SCAN = "/api/libraries/1/scan"
JSON = {"Content-Type": "application/json"}


@pytest.mark.requirement("1.1", "5.1")
def test_a_scan_is_queued(server: Server) -> None:
    """202, where to look for it, and what was queued: a task of high priority."""
    server.service.pause()
    answer = server.driver.ask("POST", SCAN)
    assert answer.status == 202
    submission = submission_from_dict(answer.json())
    assert submission.outcome == "created"
    assert answer.headers["location"] == f"/api/scan-tasks/{submission.task_id}"
    assert submission.task == server.service.get_task(submission.task_id)
    assert submission.task.priority is TaskPriority.HIGH
    assert submission.task.scope == ScanScope()
    assert submission.task.library_id == 1


@pytest.mark.requirement("4.1", "4.2", "4.3")
def test_what_will_do_is_answered_with_200(server: Server) -> None:
    """Joined or upgraded, with the address of the task that is there."""
    server.service.pause()
    task_id = server.service.submit_task(1, TaskPriority.LOW)
    upgraded, joined = server.driver.ask("POST", SCAN), server.driver.ask("POST", SCAN)
    server.service.resume()
    server.scanner.next_scan()
    running = server.driver.ask("POST", SCAN)
    for answer, outcome in [(upgraded, "upgraded"), (joined, "joined"), (running, "joined")]:
        assert (answer.status, answer.json()["outcome"]) == (200, outcome)
        assert answer.headers["location"] == f"/api/scan-tasks/{task_id}"
    assert running.json()["task"]["status"] == "running"


def test_a_follow_up_is_queued_behind_a_running_scan(server: Server) -> None:
    """202: it is a task of its own."""
    task_id = server.service.submit_task(1)
    server.scanner.next_scan()
    answer = server.driver.ask("POST", SCAN, json={"when_running": "follow_up"})
    assert (answer.status, answer.json()["outcome"]) == (202, "follow_up")
    assert answer.json()["task"]["id"] != str(task_id)


def test_the_body_says_what_to_scan(server: Server) -> None:
    """Paths, and whether to read everything again."""
    server.service.pause()
    answer = server.driver.ask("POST", SCAN, json={"paths": ["a/b/", "a", "\u00fc"], "deep": True})
    scope = ScanScope(paths=["a", "\u00fc"], deep=True)
    assert submission_from_dict(answer.json()).task.scope == scope


def test_as_many_paths_are_taken_as_a_scope_has(server: Server) -> None:
    """More are refused, before anything looks at them: it would take its time."""
    server.service.pause()
    paths = [f"{number}" for number in range(1000)]
    answer = server.driver.ask("POST", SCAN, json={"paths": paths})
    assert answer.status == 202
    assert len(answer.json()["task"]["scope"]["paths"]) == 1000
    answer = server.driver.ask("POST", SCAN, json={"paths": [*paths, "1000"]})
    assert answer.problem() == (400, "urn:scanqueue:invalid-argument")
    assert "1000" in answer.json()["detail"]


def test_an_unknown_library_is_404(server: Server) -> None:
    """Before anything is queued."""
    for library in ("4", "0", "-1", "1.0", "01", "films", "%20", "9" * 30):
        answer = server.driver.ask("POST", f"/api/libraries/{library}/scan")
        assert answer.problem() == (404, "about:blank"), library
    assert server.service.list_tasks() == []


def test_an_unknown_library_is_404_whatever_the_body_is(server: Server) -> None:
    """Its name comes first, and nobody reads the rest."""
    kinds = ("application/json", "text/plain")
    for body in (b"{", b"null", b'{"paths": 1}', b"[" * 100_000, b" ", b'{"deep": true}'):
        for headers in [{**BEARER, "Content-Type": kind} for kind in kinds]:
            answer = server.driver.ask("POST", "/api/libraries/4/scan", body=body, headers=headers)
            assert answer.problem() == (404, "about:blank"), body[:10]
    assert server.driver.send_in_chunks("/api/libraries/4/scan", b"{").status == 404


NONSENSE: list[Json] = [
    None,
    [],
    "all",
    1,
    {"path": ["a"]},
    {"paths": "a"},
    {"paths": None},
    {"paths": {"a": 1}},
    {"paths": [1]},
    {"paths": ["../a"]},
    {"paths": ["/a"]},
    {"paths": ["a\0"]},
    {"paths": ["\ud800"]},
    {"deep": "true"},
    {"deep": 1},
    {"deep": None},
    {"deep": 1.0},
    {"paths": ["a"] * 1001},
    {"when_running": "later"},
    {"when_running": "JOIN"},
    {"when_running": []},
    {"when_running": None},
]


def test_a_body_that_makes_no_sense_is_400(server: Server) -> None:
    """With what is wrong with it, and nothing is queued."""
    for body in NONSENSE:
        answer = server.driver.ask("POST", SCAN, json=body)
        assert answer.problem() == (400, "urn:scanqueue:invalid-argument"), body
        assert answer.json()["detail"]
    assert server.service.list_tasks() == []


def test_what_is_no_json_is_400(server: Server) -> None:
    """However it is broken."""
    number = b"1" * 5000  # more digits than Python turns into a number
    for body in (b"{", b"\xff", b"{} {}", b" ", b"[" * 100_000, b'{"deep": %s}' % number):
        for path in (SCAN, "/api/session"):
            answer = server.driver.ask("POST", path, body=body, headers=BEARER | JSON)
            assert answer.problem() == (400, "urn:scanqueue:invalid-argument"), body[:10]
    assert server.service.list_tasks() == []


def test_a_body_of_another_type_is_415(server: Server) -> None:
    """It is what a form of another site could send."""
    body = b'{"deep": true}'
    assert server.driver.ask("POST", SCAN, body=body).problem() == (415, "about:blank")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ";"):
        headers = BEARER | {"Content-Type": kind}
        answer = server.driver.ask("POST", SCAN, body=body, headers=headers)
        assert answer.problem() == (415, "about:blank"), kind
    assert server.service.list_tasks() == []


def test_json_has_several_names(server: Server) -> None:
    """All of them are taken."""
    server.service.pause()
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/scan+json"):
        headers = BEARER | {"Content-Type": kind}
        answer = server.driver.ask("POST", SCAN, body=b'{"deep": true}', headers=headers)
        assert answer.json()["task"]["scope"]["deep"] is True, kind


def test_a_long_body_is_413(server: Server) -> None:
    """Whether it says how long it is or not; one that is just short enough is read."""
    long = b'{"paths": ["%s"]}' % (b"a" * 262_144)
    headers = BEARER | JSON
    answer = server.driver.ask("POST", SCAN, body=long, headers=headers)
    assert answer.problem() == (413, "about:blank")
    assert answer.json()["detail"] == "the body is too long"
    chunked = server.driver.send_in_chunks(SCAN, long)
    assert chunked.json() == answer.json()
    padded = b'{"paths": ["Bach"]}' + b" " * len(long)
    for path in (SCAN, "/api/session"):
        assert server.driver.send_in_chunks(path, padded).problem() == (413, "about:blank"), path
    for path in ("/api/libraries", "/api/session"):
        answer = server.driver.ask("POST", path, body=long, headers=headers)
        assert answer.problem() == (413, "about:blank"), path
    assert server.driver.ask("GET", "/page.js", body=long).status == 200  # nobody reads it
    assert server.service.list_tasks() == []
    short = b'{"deep": true}'.ljust(262_144)
    assert server.driver.ask("POST", SCAN, body=short, headers=headers).status == 202


def test_the_task_is_that_of_the_wire(server: Server) -> None:
    """Key by key, and value by value."""
    server.service.pause()
    answer = server.driver.ask("POST", SCAN)
    (task,) = server.service.list_pending()
    assert answer.json()["task"] == task_to_dict(task)
