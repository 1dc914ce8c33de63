"""What is Flask's own: an extension, application factories, and when the queue starts."""

import atexit
import shutil
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from attrs import evolve
from flask import Flask
from werkzeug.exceptions import HTTPException

import flask_app.scan_queue
from flask_app.app import create_app, scan_queue
from flask_app.scan_queue import ScanQueue, explain_http, streams
from flask_app.scan_queue.streams import has_left
from medialibrary import Settings
from scanqueue import QueueClosedError, ScanQueueService, ScanTask
from scanqueue.testing import FakeClock, FakeScanner
from tests.servers.drivers import BEARER


def test_making_an_application_starts_nothing(settings: Settings) -> None:
    """No thread, and no file of the queue: the parent of a reloader or of workers makes one too."""
    threads = set(threading.enumerate())
    app = create_app(settings)
    assert set(threading.enumerate()) <= threads  # those of other tests may end meanwhile
    assert not scan_queue.service_of(app).is_started
    assert [path.name for path in settings.data.iterdir()] == ["catalogue.sqlite3"]
    scan_queue.shut_down(app)


def test_the_first_request_starts_the_queue(settings: Settings) -> None:
    """If nobody has before; one that is refused does not."""
    app = create_app(settings, ScanQueueService(FakeScanner()))
    client = app.test_client()
    assert client.get("/api/scan-queue").status_code == 401
    assert not scan_queue.service_of(app).is_started
    assert client.get("/api/scan-queue", headers=BEARER).get_json()["workers"] == 1
    scan_queue.shut_down(app)


def test_a_queue_that_cannot_start_says_so_everywhere(settings: Settings) -> None:
    """Whatever the first request is for, since that one starts it."""
    app = create_app(settings)
    (settings.data / "queue.sqlite3").write_bytes(b"no database" * 100)
    for path in ("/api/scan-queue", "/api/libraries", "/"):
        answer = app.test_client().get(path, headers=BEARER)
        assert answer.status_code == 500
        assert answer.get_json()["type"] == "urn:scanqueue:store-corrupt"
    scan_queue.shut_down(app)


def test_applications_have_a_queue_each(settings: Settings) -> None:
    """Two in one process, made by the same factory, know nothing of each other."""
    apps = [create_app(evolve(settings, store="memory", scans=scans)) for scans in (1, 2)]
    for app in apps:
        scan_queue.start(app)
    first, second = (app.test_client() for app in apps)
    task = first.post("/api/libraries/1/scan", headers=BEARER).get_json()["task"]
    path = f"/api/scan-tasks/{task['id']}"
    assert first.get(path, headers=BEARER).status_code == 200
    assert second.get(path, headers=BEARER).status_code == 404
    scan_queue.shut_down(apps[0])
    assert second.get("/api/scan-queue", headers=BEARER).get_json()["workers"] == 2
    scan_queue.shut_down(apps[1])


def test_the_end_of_the_interpreter_ends_the_queue(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is arranged once, however often the queue is started."""
    arranged: list[tuple[Callable[[Flask], None], Flask]] = []
    monkeypatch.setattr(atexit, "register", lambda *call: arranged.append(call))
    app = create_app(settings, ScanQueueService(FakeScanner()))
    scan_queue.start(app)
    scan_queue.start(app)
    ((function, argument),) = arranged
    function(argument)
    assert scan_queue.service_of(app).is_shut_down


def test_a_scanner_that_does_not_stop_is_waited_for_once(settings: Settings) -> None:
    """However many ask for the end: the hooks of gunicorn do, and the interpreter."""
    clock, scanner = FakeClock(), FakeScanner()
    scanner.hold()
    app = create_app(settings, ScanQueueService(scanner, clock=clock))
    scan_queue.start(app)
    scan_queue.service_of(app).submit_task(1)
    scan = scanner.next_scan()
    scan.ignore_cancel()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(scan_queue.shut_down, app)
        clock.await_waiters(at_least=5)
        second = pool.submit(scan_queue.shut_down, app)
        clock.advance(5)
        first.result(timeout=30)
        third = pool.submit(scan_queue.shut_down, app)
        ended, _ = wait([second, third], timeout=10)
        scan.release()
    assert ended == {second, third}


def test_a_forked_copy_has_nothing_to_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the parent arranged for the end is silent in a child, whose copy is closed."""

    def refuse(*_: object, **__: object) -> None:
        raise QueueClosedError

    app = create_app(settings, ScanQueueService(FakeScanner()))
    with monkeypatch.context() as patch:
        patch.setattr(scan_queue.service_of(app), "shutdown", refuse)
        scan_queue.shut_down(app)
    scan_queue.shut_down(app)


def test_a_silent_stream_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """With comments, by which a server finds out that nobody listens any more."""
    monkeypatch.setattr(streams, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(streams, "HEARTBEAT", 0)
    service = ScanQueueService(FakeScanner())
    stream = streams.events(service, service.revision, lambda: False)
    assert [next(stream) for _ in range(3)] == ["retry: 2000\n\n", ": ping\n\n", ": ping\n\n"]
    service.shutdown()
    assert list(stream) == []


def test_a_stream_ends_when_nobody_listens() -> None:
    """At the next look, and not when something is written in vain: it holds a thread."""
    looks = iter([False, True])
    with ScanQueueService(FakeScanner()) as service:
        service.submit_task(1)
        stream = streams.events(service, 0, lambda: next(looks))
        assert len(list(stream)) > 1


def test_a_stream_ends_after_the_last_scan_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that takes: that a scanner has returned is a change like any other."""
    scanner = FakeScanner()
    scanner.hold()
    service = ScanQueueService(scanner)
    service.start()
    task_id = service.submit_task(1)
    scan = scanner.next_scan()
    scan.ignore_cancel()
    list_changes = service.list_changes

    def wait_in_vain(after: int, *, limit: int, timeout: float | None) -> list[ScanTask]:
        tasks = list_changes(after, limit=limit)
        if tasks or timeout is not None:  # which is over before the scanner returns
            return tasks
        scan.release()
        return list_changes(after, limit=limit, timeout=None)

    monkeypatch.setattr(service, "list_changes", wait_in_vain)
    with ThreadPoolExecutor() as pool:
        pool.submit(service.shutdown, interrupt_running=True)
        service.wait(task_id)
        stream = "".join(streams.events(service, 0, lambda: False))
        scan.release()
    assert stream.count('"holds_slot": true') == stream.count('"holds_slot": false') == 1


def test_who_has_left_is_known_by_the_connection() -> None:
    """It is closed, reset, or open, whether something has come over it or not."""
    server, client = socket.socketpair()
    with server, client:
        assert not has_left(server)
        client.send(b"what a client sends too early")
        assert not has_left(server)
        server.recv(100)
        client.close()
        assert has_left(server)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with server:
            reset_at_once = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_at_once)
            client.close()
            assert has_left(server)


def test_an_encrypted_connection_says_nothing() -> None:
    """Python cannot look at what has come over it, so only writing finds out."""

    class Encrypted(socket.socket):
        def recv(self, *_: object) -> bytes:
            raise ValueError("non-zero flags not allowed")

    server, client = socket.socketpair()
    with client, Encrypted(fileno=server.detach()) as encrypted:
        client.send(b"close notify")
        assert not has_left(encrypted)


def test_errors_of_the_whole_application_are_explained() -> None:
    """If it says so: those of addresses that are none belong to no extension."""
    app = Flask("elsewhere")
    app.register_error_handler(HTTPException, explain_http)
    with ScanQueueService(FakeScanner()) as service:
        ScanQueue().init_app(app, service, str)
        for method, path in [("PUT", "/api/scan-tasks"), ("GET", "/api/nothing")]:
            answer = app.test_client().open(path, method=method)
            assert answer.content_type == "application/problem+json"


def test_the_extension_works_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder, as it is, under another name in another application."""
    source = Path(str(flask_app.scan_queue.__file__)).parent
    shutil.copytree(source, tmp_path / "copied_extension")
    monkeypatch.syspath_prepend(tmp_path)
    import copied_extension  # type: ignore[import-not-found]

    app = Flask("elsewhere")
    app.config["MAX_CONTENT_LENGTH"] = 100
    copy = copied_extension.ScanQueue()
    with ScanQueueService(FakeScanner()) as service:
        copy.init_app(app, service, {"music": "music"}.get, url_prefix="/media")
        client = app.test_client()
        answer = client.post("/media/libraries/music/scan")
        assert answer.status_code == 202
        assert answer.location == f"/media/scan-tasks/{answer.get_json()['task']['id']}"
        refused = client.post("/media/libraries/films/scan")
        assert refused.content_type == "application/problem+json"
        refused = client.post("/media/libraries/music/scan", json=["a" * 100])
        assert (refused.status_code, refused.content_type) == (413, "application/problem+json")
        refused = client.get("/media/scan-tasks?limit=x")
        assert refused.content_type == "application/problem+json"
        assert client.get("/nowhere").content_type != "application/problem+json"
