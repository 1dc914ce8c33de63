"""Whatever OpenAPI allows is tried on the FastAPI server, and much that it does not."""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import settings as configure
from schemathesis import GenerationMode
from schemathesis.checks import negative_data_rejection
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from fastapi_app.app import create_app
from medialibrary import Settings
from scanqueue import ScanQueueService
from scanqueue.testing import FakeScanner
from tests.servers.drivers import BEARER

pytestmark = pytest.mark.slow

CASES = 20
"""Of each operation that has parameters, in each mode, with a known id and with any."""


def test_the_server_does_what_openapi_says(settings: Settings) -> None:
    """In some 500 requests it never fails, and all answers are as documented."""
    service = ScanQueueService(FakeScanner())
    app = create_app(settings, service)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    task_id = str(service.submit_task(1))
    known = {"library_id": "2", "task_id": task_id}
    statuses = Counter[int]()

    def try_out(
        operation: APIOperation[Any, Any, Any, Any],
        mode: GenerationMode,
        ids: dict[str, str] | None,
    ) -> None:
        @configure(max_examples=CASES)
        @given(case=operation.as_strategy(mode, path_parameters=ids))
        def ask(case: schemathesis.Case[Any]) -> None:
            answer = case.call(headers=BEARER)
            # This check is against it that of a parameter that is there twice the last one counts,
            # and does not know that a list with too many items can make too long a body.
            is_unfit = operation.method == "get" or answer.status_code == 413
            unfit = [negative_data_rejection] if is_unfit else []
            case.validate_response(answer, excluded_checks=unfit)
            statuses[answer.status_code] += 1

        ask()

    # A stream has no end: it has tests of its own.
    for found in schema.exclude(path="/api/scan-tasks/events").get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        ids = {name: value for name, value in known.items() if f"{{{name}}}" in operation.path}
        has_input = list(operation.iter_parameters()) or operation.body
        for mode in GenerationMode:
            if has_input or mode is GenerationMode.POSITIVE:
                try_out(operation, mode, None)
            if ids:
                try_out(operation, mode, ids)
    service.shutdown()
    assert statuses.total() >= 500
    assert statuses.keys() >= {200, 202, 204, 400, 401, 404, 409}
