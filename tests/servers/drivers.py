"""One way to speak with both servers, each through the test client of its framework."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Protocol, TypeAlias

from attrs import frozen
from fastapi.testclient import TestClient
from flask.testing import FlaskClient

import fastapi_app.app
import flask_app.app
from flask_app.app import scan_queue
from medialibrary import Settings
from scanqueue import ScanQueueService

Json: TypeAlias = Any

TOKEN = "to-be-let-in"  # noqa: S105 - of the tests
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@frozen
class Answer:
    """What a server has answered."""

    status: int
    headers: dict[str, str]
    """By names in lower case."""
    text: str

    def json(self) -> Json:
        """Return the body."""
        return json.loads(self.text)

    def problem(self) -> tuple[int, str]:
        """Return the status and the type of an error, and make sure that it is a whole one."""
        assert self.headers["content-type"] == "application/problem+json", self.text
        members = self.json()
        assert members["status"] == self.status
        assert members["title"]
        return self.status, members["type"]


class Driver(Protocol):
    """Speaks with one server."""

    host: str
    """What it believes to be called."""

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Json = ...,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a request, which shows the token unless it has other headers."""

    def send_in_chunks(self, path: str, body: bytes) -> Answer:
        """Post a body without saying how long it is."""


def encode(json_body: Json, body: bytes | None, headers: dict[str, str]) -> bytes | None:
    """Return the body of a request, and add its type."""
    if json_body is ...:
        return body
    headers.setdefault("Content-Type", "application/json")
    return json.dumps(json_body).encode()


class FlaskDriver:
    """Speaks with the server on Flask."""

    host = "localhost"

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Json = ...,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a request."""
        sent = dict(BEARER if headers is None else headers)
        data = encode(json, body, sent)
        with self._client.open(path, method=method, data=data, headers=sent) as response:
            received = {name.lower(): value for name, value in response.headers}
            return Answer(response.status_code, received, response.get_data(as_text=True))

    def send_in_chunks(self, path: str, body: bytes) -> Answer:
        """Post a body without saying how long it is, as gunicorn passes it on."""
        with self._client.post(
            path,
            input_stream=BytesIO(body),
            headers={**BEARER, "Content-Type": "application/json"},
            environ_overrides={"wsgi.input_terminated": True},
        ) as response:
            received = {name.lower(): value for name, value in response.headers}
            return Answer(response.status_code, received, response.get_data(as_text=True))


class FastAPIDriver:
    """Speaks with the server on FastAPI, whose lifespan is entered already."""

    host = "testserver"

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Json = ...,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a request."""
        sent = dict(BEARER if headers is None else headers)
        data = encode(json, body, sent)
        response = self._client.request(method, path, content=data, headers=sent)
        return Answer(response.status_code, dict(response.headers), response.text)

    def send_in_chunks(self, path: str, body: bytes) -> Answer:
        """Post a body without saying how long it is."""
        headers = {**BEARER, "Content-Type": "application/json"}
        response = self._client.post(path, content=iter([body]), headers=headers)
        return Answer(response.status_code, dict(response.headers), response.text)


@contextmanager
def driving(framework: str, settings: Settings, service: ScanQueueService) -> Iterator[Driver]:
    """Serve the example of a framework until the block ends."""
    if framework == "flask":
        flask = flask_app.app.create_app(settings, service)
        scan_queue.start(flask)
        yield FlaskDriver(flask.test_client())
        scan_queue.shut_down(flask)
    else:
        fastapi = fastapi_app.app.create_app(settings, service)
        with TestClient(fastapi, raise_server_exceptions=False, follow_redirects=False) as client:
            yield FastAPIDriver(client)
