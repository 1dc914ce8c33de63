"""How addresses are written, and which methods they have."""

from uuid import UUID

import pytest

from tests.servers.conftest import Server
from tests.servers.drivers import BEARER

UNKNOWN = str(UUID(int=0xABCD))
METHODS = {
    "/api/libraries": {"GET", "HEAD"},
    "/api/libraries/1/scan": {"POST"},
    "/api/libraries/4/scan": {"POST"},
    "/api/files": {"GET", "HEAD"},
    "/api/scan-tasks": {"GET", "HEAD"},
    "/api/scan-tasks/events": {"GET", "HEAD"},
    f"/api/scan-tasks/{UNKNOWN}": {"GET", "HEAD", "DELETE"},
    "/api/scan-queue": {"GET", "HEAD"},
    "/api/scan-queue/pause": {"POST"},
    "/api/scan-queue/resume": {"POST"},
    "/api/session": {"POST", "DELETE"},
    "/index.html": {"GET", "HEAD"},
}
"""Of each address, those that it has."""
ALL = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


@pytest.mark.parametrize(("path", "allowed"), METHODS.items())
def test_other_methods_are_405(server: Server, path: str, allowed: set[str]) -> None:
    """With all those that there are, OPTIONS is none: other sites have nothing to ask for."""
    for method in sorted(set(ALL) - allowed - {"HEAD"}):
        answer = server.driver.ask(method, path)
        assert answer.problem() == (405, "about:blank"), method
        assert set(answer.headers["allow"].split(", ")) == allowed
    if "HEAD" not in allowed:
        assert server.driver.ask("HEAD", path).status == 405
    assert server.service.list_tasks() == []
    assert not server.service.is_paused


def test_head_is_get_without_the_body(server: Server) -> None:
    """All else of the answer is the same."""
    server.service.pause()
    task_id = server.service.submit_task(1)
    paths = ["libraries", "files", "scan-tasks", f"scan-tasks/{task_id}", f"scan-tasks/{UNKNOWN}"]
    for path in [f"/api/{path}" for path in paths] + ["/", "/index.html", "/page.js"]:
        get, head = (server.driver.ask(method, path) for method in ("GET", "HEAD"))
        assert head.text == ""
        assert head.status == get.status != 308
        same = ("content-type", "content-length", "etag")
        assert [head.headers.get(name) for name in same] == [get.headers.get(name) for name in same]
    tag = server.driver.ask("GET", f"/api/scan-tasks/{task_id}").headers["etag"]
    known = BEARER | {"If-None-Match": tag}
    assert server.driver.ask("HEAD", f"/api/scan-tasks/{task_id}", headers=known).status == 304


def test_head_of_the_stream_ends(server: Server) -> None:
    """It has no body that could go on for ever, and holds no place."""
    for _ in range(20):
        answer = server.driver.ask("HEAD", "/api/scan-tasks/events")
        assert (answer.status, answer.text) == (200, "")
        assert answer.headers["content-type"].startswith("text/event-stream")


def test_an_address_has_one_form(server: Server) -> None:
    """404 for any other, with no redirect, which would make a GET of a POST in some clients."""
    for path in METHODS:
        if path.startswith("/api/"):
            for wrong in (f"{path}/", f"{path}%0A", path.replace("/api/", "/api//"), path.upper()):
                for method in ("GET", "POST", "DELETE"):
                    answer = server.driver.ask(method, wrong)
                    assert answer.problem() == (404, "about:blank"), (method, wrong)
    assert server.service.list_tasks() == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_task_has_one_address(server: Server, method: str) -> None:
    """Its id as answers have it, in small letters or capitals."""
    server.service.pause()
    task_id = str(server.service.submit_task(1))
    wrong = [task_id.replace("-", ""), f"{{{task_id}}}", f"urn:uuid:{task_id}", task_id[:-1]]
    for text in (*wrong, f"%20{task_id}", task_id.replace("-", "", 1), f"{task_id}0"):
        answer = server.driver.ask(method, f"/api/scan-tasks/{text}")
        assert answer.problem() == (404, "about:blank"), text
    answer = server.driver.ask(method, f"/api/scan-tasks/{task_id.upper()}")
    assert (answer.status, answer.json()["id"]) == (200, task_id)


def test_of_a_repeated_parameter_the_last_one_counts(server: Server) -> None:
    """Of all but `status`, which is a list; unknown ones mean nothing."""
    server.service.pause()
    ids = [str(server.service.submit_task(library_id)) for library_id in (1, 2)]

    def ask(query: str) -> list[str]:
        answer = server.driver.ask("GET", f"/api/scan-tasks?{query}")
        return [task["id"] for task in answer.json()["pending"]]

    assert ask("limit=1&limit=2") == ask("limit=x&limit=2") == ask("limit=2&colour=red") == ids
    assert ask("library_id=1&library_id=2") == ids[1:]
    assert ask("library_id=") == []
    assert server.driver.ask("GET", "/api/scan-tasks?limit=2&limit=x").problem()[0] == 400
    assert server.driver.ask("GET", "/api/files?search=a&limit=x&limit=1").json() == []


def test_a_number_is_written_in_digits(server: Server) -> None:
    """And in nothing else that some parser takes for a number."""
    paths = ("/api/scan-tasks?limit=", "/api/files?limit=", "/api/scan-tasks/events?after=")
    for text in ("1.0", "%2B1", "-0", "1_0", "%201", "1e2", "0x1", "%D9%A3", "nan", "", "0" * 20):
        for path in paths:
            answer = server.driver.ask("GET", path + text)
            assert answer.problem() == (400, "urn:scanqueue:invalid-argument"), (path, text)
