"""Who is let in, and who is not."""

import pytest

from medialibrary.access import PAGE_HEADERS, SESSION_PATH, Access
from scanqueue import (
    QueueFullError,
    ScanQueueError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
)
from tests.servers.conftest import Server, ServerMaker
from tests.servers.drivers import BEARER, TOKEN, Json

SCAN = "/api/libraries/1/scan"
REQUESTS = [
    ("POST", SCAN),
    ("GET", "/api/scan-tasks"),
    ("GET", "/api/scan-tasks/events"),
    ("GET", "/api/scan-tasks/00000000-0000-0000-0000-000000000007"),
    ("DELETE", "/api/scan-tasks/00000000-0000-0000-0000-000000000007"),
    ("GET", "/api/scan-queue"),
    ("POST", "/api/scan-queue/pause"),
    ("POST", "/api/scan-queue/resume"),
    ("GET", "/api/libraries"),
    ("GET", "/api/files"),
    ("GET", "/api/there-is-no-such-address"),
]


STRANGERS = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer "},
    {"Authorization": TOKEN},
    {"Authorization": f"Basic {TOKEN}"},
    {"Cookie": "mediaserver_session=wrong"},
    {"Cookie": f"mediaserver_session={TOKEN}"},
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_without_the_token_nothing_is_answered(server: Server, method: str, path: str) -> None:
    """401, whatever is asked for, and before anything looks at it."""
    for headers in STRANGERS:
        kind = {"Content-Type": "application/json"}
        answer = server.driver.ask(method, path, headers=headers | kind, body=b"{")
        assert answer.problem() == (401, "about:blank"), headers
        assert answer.headers["www-authenticate"] == "Bearer"
    assert server.service.list_tasks() == []
    assert not server.service.is_paused


def test_there_is_no_way_around_the_guard(server: Server) -> None:
    """Neither by the way that an address is written, nor by the name of the host."""
    for path in ("//api/scan-tasks", "/%61pi/scan-tasks", "/x/../api/scan-tasks"):
        answer = server.driver.ask("GET", path, headers={})
        assert answer.status in (401, 404), path
    for host in ("a/b", "a?b", "a#b", "a/b?"):
        answer = server.driver.ask("GET", "/api/scan-tasks", headers={"Host": host})
        assert answer.status in (400, 401), host


def test_the_page_needs_no_token(server: Server) -> None:
    """It is there to ask for it, and runs nothing but its own scripts."""
    answer = server.driver.ask("GET", "/", headers={})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"
    for path in ("/there-is-no-such-file.js", "/..%2fsettings.py", "/../settings.py"):
        assert server.driver.ask("GET", path, headers={}).problem()[0] == 404


def test_the_page_exchanges_the_token_for_a_cookie(server: Server) -> None:
    """The cookie is for the browser alone, and does not say the token."""
    for token in ("wrong", "", f"{TOKEN} "):
        answer = server.driver.ask("POST", "/api/session", json={"token": token}, headers={})
        assert answer.problem() == (401, "about:blank")
        assert "set-cookie" not in answer.headers
    answer = server.driver.ask("POST", "/api/session", json={"token": TOKEN}, headers={})
    assert (answer.status, answer.text) == (204, "")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {attribute.lower() for attribute in attributes} >= {
        "httponly",
        "path=/",
        "samesite=strict",
    }
    assert TOKEN not in cookie
    assert server.driver.ask("GET", "/api/libraries", headers={"Cookie": cookie}).status == 200
    assert server.driver.ask("POST", SCAN, headers={"Cookie": cookie}).status == 202
    gone = server.driver.ask("DELETE", "/api/session", headers={})
    assert gone.status == 204
    assert gone.headers["set-cookie"].startswith(
        ('mediaserver_session="";', "mediaserver_session=;")
    )


def test_a_session_needs_a_token(server: Server) -> None:
    """And nothing else."""
    bodies: list[Json] = [{}, [], {"token": 1}, {"token": TOKEN, "user": "me"}]
    for body in bodies:
        answer = server.driver.ask("POST", "/api/session", json=body, headers={})
        assert answer.problem() == (400, "urn:scanqueue:invalid-argument"), body
    empty = server.driver.ask("POST", "/api/session", headers={})
    assert empty.problem() == (400, "urn:scanqueue:invalid-argument")


@pytest.mark.parametrize("length", ["-1", "+5", "0x5", "x", "\u0663", "1, 1"])
def test_a_length_that_is_no_number_is_400(length: str) -> None:
    """Servers that do not look at it themselves would read no body."""
    refusal = Access(TOKEN, "9/day").refuse(
        "POST", SESSION_PATH, {"Content-Length": length}, {}, ""
    )
    assert refusal is not None
    assert refusal.status == 400


@pytest.mark.parametrize("length", ["262145", "9" * 5000])
def test_a_length_that_is_too_long_is_413(length: str) -> None:
    """Also one that Python turns into no number, and of whoever has no token."""
    refusal = Access(TOKEN, "9/day").refuse(
        "POST", SESSION_PATH, {"Content-Length": length}, {}, ""
    )
    assert refusal is not None
    assert refusal.status == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
        {"Origin": "http://HOST.evil.example"},
        {"Origin": "http://HOST:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://HOST", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_another_site_may_only_look(server: Server, headers: dict[str, str]) -> None:
    """403 although the token is right: a browser may have added it by itself."""
    sent = {name: value.replace("HOST", server.driver.host) for name, value in headers.items()}
    for method in ("POST", "DELETE", "PUT", "HEAD", "OPTIONS"):
        for path in (SCAN, "/api/session"):
            answer = server.driver.ask(method, path, headers=BEARER | sent)
            assert answer.status == 403
            assert method == "HEAD" or answer.problem() == (403, "about:blank")
    assert server.service.list_tasks() == []
    assert server.driver.ask("GET", "/api/libraries", headers=BEARER | sent).status == 200


def test_the_site_itself_may_ask(server: Server) -> None:
    """By its own origin, whether it is called by http or https."""
    for scheme in ("http", "https"):
        headers = {"Origin": f"{scheme}://{server.driver.host}", "Sec-Fetch-Site": "same-origin"}
        answer = server.driver.ask("POST", "/api/scan-queue/pause", headers=BEARER | headers)
        assert answer.status == 200


def test_who_asks_too_often_has_to_wait(make_server: ServerMaker) -> None:
    """429, with how long; looking is free."""
    server = make_server(rate="2/hour")
    server.scanner.hold()
    assert [server.driver.ask("POST", SCAN).status for _ in range(2)] == [202, 200]
    strangers = [server.driver.ask("POST", SCAN, headers={}).status for _ in range(3)]
    assert strangers == [401, 401, 429]  # they have a share of their own
    assert server.driver.ask("GET", "/", headers={}).status == 200
    for headers in (BEARER, {}):
        answer = server.driver.ask("POST", SCAN, headers=headers)
        assert answer.problem() == (429, "about:blank")
        assert 0 < int(answer.headers["retry-after"]) <= 3600
    for method in ("GET", "HEAD"):
        assert server.driver.ask(method, "/api/scan-tasks").status == 200


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_nobody_may_try_many_tokens(make_server: ServerMaker, headers: dict[str, str]) -> None:
    """By no method, in no header; who has the token is not held up by those who have not."""
    server = make_server(rate="4/hour")
    path = "/api/libraries"
    methods = ("GET", "HEAD", "GET", "DELETE", "GET", "HEAD", "POST")
    statuses = [server.driver.ask(method, path, headers=headers).status for method in methods]
    assert statuses == [401] * 4 + [429] * 3
    answer = server.driver.ask("GET", path, headers=headers)
    assert answer.problem() == (429, "about:blank")
    assert 0 < int(answer.headers["retry-after"]) <= 3600
    assert {server.driver.ask("GET", path).status for _ in range(10)} == {200}


def test_a_full_queue_says_when_to_come_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429, with the limit. Nobody who asks by HTTP meets it, since all of that is urgent."""

    def refuse(*_: object, **__: object) -> None:
        raise QueueFullError(3)

    monkeypatch.setattr(server.service, "submit", refuse)
    answer = server.driver.ask("POST", SCAN)
    assert answer.problem() == (429, "urn:scanqueue:queue-full")
    assert answer.json()["max_pending"] == 3
    assert int(answer.headers["retry-after"]) > 0


def test_a_queue_that_is_shut_down_says_so(server: Server) -> None:
    """503, and when to come again; looking goes on."""
    server.service.shutdown(interrupt_running=True)
    answer = server.driver.ask("POST", SCAN)
    assert answer.problem() == (503, "urn:scanqueue:queue-closed")
    assert int(answer.headers["retry-after"]) > 0
    assert server.driver.ask("GET", "/api/scan-tasks").status == 200


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (StoreBusyError, (503, "urn:scanqueue:store-busy")),
        (StoreError, (503, "urn:scanqueue:store-error")),
        (StoreFullError, (507, "urn:scanqueue:store-full")),
        (StoreCorruptError, (500, "urn:scanqueue:store-corrupt")),
        (StoreReadOnlyError, (500, "urn:scanqueue:store-read-only")),
        (StoreVersionError, (500, "urn:scanqueue:store-version")),
    ],
)
def test_a_store_that_fails_says_how(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[StoreError],
    problem: tuple[int, str],
) -> None:
    """And when to come again, if that is of use; the file that it is about is for the log."""

    def fail() -> None:
        raise error("/srv/queue.sqlite3 is broken")

    monkeypatch.setattr(server.service, "stats", fail)
    answer = server.driver.ask("GET", "/api/scan-queue")
    assert answer.problem() == problem
    assert ("retry-after" in answer.headers) == (answer.status == 503)
    assert "/srv" not in answer.text
    assert "/srv/queue.sqlite3 is broken" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError, ValueError, ScanQueueError])
def test_a_crash_tells_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """500; what went wrong is for the log."""

    def crash() -> None:
        raise error("the password is swordfish") if error is not ScanQueueError else error

    monkeypatch.setattr(server.service, "stats", crash)
    answer = server.driver.ask("GET", "/api/scan-queue")
    assert answer.problem()[0] == 500
    assert "swordfish" not in answer.text
    assert {name.lower() for name in PAGE_HEADERS} <= answer.headers.keys()
