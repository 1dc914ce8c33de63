"""What is FastAPI's own: the lifespan, the event loop, and OpenAPI."""

import asyncio
import mimetypes
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from attrs import evolve
from blockbuster import BlockBuster, BlockingError, blockbuster_ctx
from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

import fastapi_app.scan_queue
from fastapi_app.app import create_app
from fastapi_app.scan_queue import EXCEPTION_HANDLERS, routes, running
from fastapi_app.scan_queue.models import ScanRequest, TaskLists
from medialibrary import Settings
from scanqueue import QueueClosedError, ScanQueueService, ScanScope, ScanTask
from scanqueue.aio import AsyncScanQueue
from scanqueue.testing import FakeClock, FakeScanner
from scanqueue.wire import TaskDict, task_to_dict
from tests.servers.drivers import BEARER, TOKEN


@pytest.fixture
def blockbuster() -> Iterator[BlockBuster]:
    """Have whatever blocks an event loop raise: files, sockets, databases, sleeps."""
    mimetypes.init()  # which reads the table of the system, once in a process
    with blockbuster_ctx() as blockbuster:
        # A lock that is held for moments, without I/O, blocks nobody.
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            blockbuster.functions[name].deactivate()
        yield blockbuster


def use(client: TestClient) -> None:
    """Ask for everything that there is, and end with the event stream."""
    task = client.post("/api/libraries/1/scan").json()["task"]
    for path in ("libraries", "files", "scan-tasks", "scan-queue", f"scan-tasks/{task['id']}"):
        assert client.get(f"/api/{path}").status_code == 200
    assert client.get("/").status_code == 200
    assert client.post("/api/session", json={"token": TOKEN}).status_code == 204
    assert client.post("/api/scan-queue/pause").status_code == 200
    assert client.post("/api/scan-queue/resume").status_code == 200
    assert client.delete(f"/api/scan-tasks/{task['id']}").status_code in (200, 409)


@pytest.mark.usefixtures("blockbuster")
def test_nothing_blocks_the_event_loop(settings: Settings) -> None:
    """With a queue in a file, and from the start to the end of the server."""
    service = settings.make_service(settings.open_catalogue())
    with TestClient(create_app(settings, service), headers=BEARER) as client:
        use(client)
        service.shutdown()
        assert client.get("/api/scan-tasks/events").status_code == 200


@pytest.mark.usefixtures("blockbuster")
def test_what_blocks_the_event_loop_would_be_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a property of the queue, which asks the store on the spot."""

    async def ask_on_the_spot(queue: AsyncScanQueue) -> int:
        return queue.revision

    monkeypatch.setattr(routes, "get_revision", ask_on_the_spot)
    with (
        TestClient(create_app(settings), headers=BEARER) as client,
        pytest.raises(BlockingError),
    ):
        use(client)


def test_a_server_has_no_body_to_drop_from_the_answer_to_head(settings: Settings) -> None:
    """One that gets one nevertheless warns of it in its log, such as gunicorn."""
    app = create_app(settings)
    bodies = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            bodies.append(message.get("body", b""))
            await send(message)

        await app(scope, receive, note)

    with TestClient(watched, headers=BEARER) as client:
        for path in ("/api/libraries", "/api/scan-tasks/events", "/api/nowhere", "/"):
            assert "content-type" in client.head(path).headers
    assert set(bodies) == {b""}


def test_a_listing_is_written_on_a_thread(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be long, and its JSON would hold all other clients up."""
    written = []

    def write(task: ScanTask) -> TaskDict:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        written.append(task)
        return task_to_dict(task)

    app = create_app(settings, ScanQueueService(FakeScanner()))
    with TestClient(app, headers=BEARER) as client:
        client.post("/api/libraries/1/scan")
        monkeypatch.setattr(routes, "task_to_dict", write)
        answer = client.get("/api/scan-tasks")
        assert TaskLists.model_validate(answer.json()).model_dump(mode="json") == answer.json()
    assert written


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_queue_before_the_server(number: signal.Signals) -> None:
    """So that streams end, for which the server waits; its own handler is called, too."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    async def serve() -> None:
        scanner = FakeScanner()
        scanner.hold()
        async with running(ScanQueueService(scanner), str) as here:
            revision = here.queue.revision
            task_id = await here.queue.submit_task("music")
            signal.raise_signal(number)
            states = [task async for task in here.queue.changes(revision)]
            assert states[-1].id == task_id
            assert states[-1].reason == "shutdown"
            assert received == [number]
            signal.raise_signal(number)  # an impatient one changes nothing

    before = signal.signal(number, handle)
    try:
        asyncio.run(serve())
        assert signal.getsignal(number) is handle
    finally:
        signal.signal(number, before)


def test_a_scanner_that_does_not_stop_is_waited_for_once() -> None:
    """The signal has ended the queue, and so the lifespan has nothing to wait for."""
    clock, scanner = FakeClock(), FakeScanner()
    scanner.hold()

    async def serve() -> None:
        async with running(ScanQueueService(scanner, clock=clock), str) as here:
            await here.queue.submit_task("music")
            scan = await asyncio.to_thread(scanner.next_scan)
            scan.ignore_cancel()
            signal.raise_signal(signal.SIGTERM)
            await asyncio.to_thread(clock.await_waiters, at_least=5)
            clock.advance(5)

    async def serve_in_time() -> None:
        try:
            await asyncio.wait_for(serve(), 10)
        finally:
            scanner.let_go()

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(serve_in_time())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_start_that_fails_is_an_error() -> None:
    """The lifespan is left, and the server with it."""

    async def serve() -> None:
        service = ScanQueueService(FakeScanner())
        service.shutdown()
        async with running(service, str):
            pytest.fail("it has started")

    with pytest.raises(QueueClosedError):
        asyncio.run(serve())


def test_a_proxy_may_put_something_in_front(settings: Settings) -> None:
    """What it puts there opens no door, and is part of the addresses that are answered."""
    app = create_app(settings, ScanQueueService(FakeScanner()))
    with TestClient(app, root_path="/media") as client:
        assert client.get("/media/api/scan-tasks").status_code == 401
        answer = client.post("/media/api/libraries/1/scan", headers=BEARER)
        assert answer.headers["Location"] == f"/media/api/scan-tasks/{answer.json()['task']['id']}"
        session = client.post("/media/api/session", json={"token": TOKEN})
        assert session.status_code == 204


@pytest.mark.parametrize("name", ["Origin", "Authorization"])
def test_of_two_headers_neither_is_passed_over(settings: Settings, name: str) -> None:
    """The good one opens no door for the other; WSGI makes one of them, too."""
    values = {"Origin": "http://testserver", **BEARER}
    headers = [*(values | BEARER).items(), (name, values[name]), (name, "http://evil.example")]
    app = create_app(settings, ScanQueueService(FakeScanner()))
    with TestClient(app) as client:
        answer = client.post("/api/scan-queue/pause", headers=headers)
    assert answer.status_code == {"Origin": 403, "Authorization": 401}[name]


def test_a_client_that_leaves_while_it_sends_is_no_error() -> None:
    """Nothing is logged, and nobody reads the answer."""
    app = FastAPI(exception_handlers=EXCEPTION_HANDLERS)

    @app.post("/")
    async def read(request: Request) -> None:
        await request.body()

    async def serve() -> None:
        begun: Message = {"type": "http.request", "body": b"1", "more_body": True}
        messages = iter([begun, {"type": "http.disconnect"}])

        async def receive() -> Message:
            return next(messages)

        async def send(_message: Message) -> None:
            """Nobody is there."""

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
        await app(scope, receive, send)

    asyncio.run(serve())


def test_openapi_has_the_models_and_the_errors(settings: Settings) -> None:
    """Types for clients to be made from, two ways to show the token, and problem details."""
    schema: dict[str, Any] = create_app(evolve(settings, store="memory")).openapi()
    scan = schema["paths"]["/api/libraries/{library_id}/scan"]["post"]
    for status in ("200", "202"):
        shown = scan["responses"][status]["content"]["application/json"]["schema"]
        assert shown == {"$ref": "#/components/schemas/Submission"}
    assert {"HTTPBearer", "APIKeyCookie"} == {name for way in scan["security"] for name in way}
    task = schema["components"]["schemas"]["Task"]["properties"]
    assert task["created_at"] == {"format": "date-time", "title": "Created At", "type": "string"}
    operations = [entry for path in schema["paths"].values() for entry in path.values()]
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["4XX"]["content"]
        assert "422" not in operation["responses"]
    assert len(operations) == 12


@given(st.text("a./\0\n", max_size=8))
@example("..")
@example("../a")
@example("a/..")
@example("...")
@example("..a/.../..\n")
def test_openapi_knows_which_paths_are_taken(path: str) -> None:
    """The pattern says what the scope does."""
    schema = ScanRequest.model_json_schema()["properties"]["paths"]["items"]
    try:
        ScanScope(paths=[path])
        is_taken = True
    except ValueError:
        is_taken = False
    assert bool(re.search(schema["pattern"].replace("$", r"\Z"), path)) is is_taken


def test_the_router_works_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder, as it is, under another name in another application."""
    source = Path(str(fastapi_app.scan_queue.__file__)).parent
    shutil.copytree(source, tmp_path / "copied_router")
    monkeypatch.syspath_prepend(tmp_path)
    import copied_router  # type: ignore[import-not-found]

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        service = ScanQueueService(FakeScanner())
        async with copied_router.running(service, {"music": "music"}.get) as scan_queue:
            yield {"scan_queue": scan_queue}

    app = FastAPI(
        lifespan=lifespan,
        exception_handlers=copied_router.EXCEPTION_HANDLERS,
    )
    app.include_router(copied_router.router, prefix="/media", max_body_size=100)
    app.mount("/", StaticFiles(directory=tmp_path))  # takes every address, and few methods
    with TestClient(app) as client:
        answer = client.post("/media/libraries/music/scan")
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"/media/scan-tasks/{answer.json()['task']['id']}"
        refused = client.post("/media/libraries/films/scan")
        assert refused.headers["Content-Type"] == "application/problem+json"
        refused = client.post("/media/libraries/music/scan", json=["a" * 100])
        assert refused.status_code == 413
        refused = client.put("/media/scan-queue")
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
