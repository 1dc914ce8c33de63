"""Following along by server-sent events."""

import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager

import pytest

from scanqueue import StoreError
from scanqueue.protocols import TaskView
from scanqueue.wire import task_to_dict
from tests.servers.conftest import Server, ServerMaker
from tests.servers.drivers import BEARER, Json

EVENTS = "/api/scan-tasks/events"


def read_events(text: str) -> list[tuple[int, Json]]:
    """Return the id and the data of each event of a stream."""
    events = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.partition(": ")[::2] for line in block.splitlines())
        if "data" in lines:
            events.append((int(lines["id"]), json.loads(lines["data"])))
    return events


def test_the_stream_has_what_changed_since_and_ends_with_the_queue(server: Server) -> None:
    """The endings of the shutdown are in it, and its last state of each task is the latest."""
    revision = server.service.revision
    with ThreadPoolExecutor() as pool:
        stream = pool.submit(server.driver.ask, "GET", f"{EVENTS}?after={revision}")
        ids = [server.service.submit_task(library_id) for library_id in (1, 2, 3)]
        server.scanner.next_scan().report(3, 10)
        server.service.shutdown(interrupt_running=True)
        answer = stream.result(timeout=30)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "no-cache" in answer.headers["cache-control"]
    assert answer.headers["x-accel-buffering"] == "no"  # for nginx
    assert answer.text.startswith("retry: 2000\n\n")
    events = read_events(answer.text)
    revisions = [revision for revision, _ in events]
    assert revisions == sorted(set(revisions))
    assert all(data["revision"] == revision for revision, data in events)
    latest = {data["id"]: data for _, data in events}
    for task_id in ids:
        task = server.service.get_task(task_id)
        assert task is not None
        assert latest[str(task_id)] == task_to_dict(task)
        assert task.reason == "shutdown"


def test_a_client_goes_on_where_it_was(server: Server) -> None:
    """By the id of the last event that it saw, which counts for more than its first address."""
    server.service.pause()
    first = server.service.submit(1).task
    second = server.service.submit(2).task
    server.service.shutdown()
    stream = f"{EVENTS}?after={first.revision - 1}"
    ids = [data["id"] for _, data in read_events(server.driver.ask("GET", stream).text)]
    assert ids == [str(first.id), str(second.id)]
    seen = server.service.get_task(first.id)
    assert seen is not None
    for text in (f"{seen.revision}", f"{seen.revision} "):
        headers = BEARER | {"Last-Event-ID": text}
        events = read_events(server.driver.ask("GET", stream, headers=headers).text)
        assert [data["id"] for _, data in events] == [str(second.id)]


def test_without_a_cursor_it_begins_now(server: Server) -> None:
    """What was before is not told."""
    server.service.submit_task(1)
    server.service.shutdown(interrupt_running=True)
    assert read_events(server.driver.ask("GET", EVENTS).text) == []


def test_an_empty_last_event_id_is_none(server: Server) -> None:
    """That of a client which has seen no event: the address counts."""
    task = server.service.submit(1).task
    server.service.shutdown(interrupt_running=True)
    headers = BEARER | {"Last-Event-ID": ""}
    assert read_events(server.driver.ask("GET", EVENTS, headers=headers).text) == []
    stream = f"{EVENTS}?after={task.revision - 1}"
    ((_, data),) = read_events(server.driver.ask("GET", stream, headers=headers).text)
    assert data["id"] == str(task.id)


def test_a_cursor_that_is_none_is_400(server: Server) -> None:
    """In the header as in the address."""
    for text in ("x", "-1", "1.5", "1.0", "1_0", "9" * 19, "9" * 30):
        header = BEARER | {"Last-Event-ID": text}
        for path, headers in [(EVENTS, header), (f"{EVENTS}?after={text}", BEARER)]:
            answer = server.driver.ask("GET", path, headers=headers)
            assert answer.problem() == (400, "urn:scanqueue:invalid-argument"), text
    both = BEARER | {"Last-Event-ID": "1"}  # although the header is the one that counts
    assert server.driver.ask("GET", f"{EVENTS}?after=x", headers=both).problem()[0] == 400


def test_streams_are_counted(make_server: ServerMaker) -> None:
    """One too many is 429, with when to come again; one that has ended makes room."""
    server = make_server(streams=1)
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(server.driver.ask, "GET", EVENTS) for _ in range(2)]
        refused = next(as_completed(asked, timeout=30)).result()
        server.service.shutdown()
        assert sorted(answer.result(timeout=30).status for answer in asked) == [200, 429]
    assert refused.problem() == (429, "about:blank")
    assert int(refused.headers["retry-after"]) > 0
    assert [server.driver.ask("GET", EVENTS).status for _ in range(2)] == [200, 200]


def test_it_ends_when_the_queue_cannot_be_read(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a line in the log, and not with a traceback for each client that comes again."""
    store = server.service._core.store
    read, reads_left = store.read, [1]

    def read_once() -> AbstractContextManager[TaskView]:
        if not reads_left:
            raise StoreError("gone")
        reads_left.pop()
        return read()

    monkeypatch.setattr(store, "read", read_once)
    answer = server.driver.ask("GET", EVENTS)
    assert (answer.status, read_events(answer.text)) == (200, [])
    assert "an event stream ends: StoreError('gone')" in caplog.messages
    for path in (EVENTS, f"{EVENTS}?after=1"):
        answer = server.driver.ask("GET", path)
        assert answer.problem() == (503, "urn:scanqueue:store-error")
    assert [record for record in caplog.records if record.exc_info] == []
    monkeypatch.undo()
