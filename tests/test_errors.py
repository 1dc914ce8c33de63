"""The error tree: who is whose child, what each carries and says."""

import copy
import pickle
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from scanqueue import errors
from scanqueue.errors import (
    LibraryUnavailable,
    QueueClosedError,
    QueueFullError,
    ScanCancelled,
    ScanQueueError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
    TaskNotCancellableError,
    TaskNotFoundError,
)
from scanqueue.models import ScanTask, TaskPriority, TaskStatus

TASK_ID = UUID("8c3ac4a1-7a3c-4d67-9f0e-0123456789ab")
TASK = ScanTask(
    id=TASK_ID,
    library_id="music",
    priority=TaskPriority.NORMAL,
    status=TaskStatus.COMPLETED,
    created_at=datetime(2000, 1, 1, tzinfo=UTC),
)

EVERY_ERROR: list[BaseException] = [
    ScanQueueError("something"),
    TaskNotFoundError(TASK_ID),
    TaskNotCancellableError(TASK),
    QueueFullError(50),
    QueueClosedError("the queue was shut down"),
    StoreError("it failed"),
    StoreBusyError("locked for 5 s"),
    StoreFullError("no space left"),
    StoreCorruptError("no such table"),
    StoreReadOnlyError("permission denied"),
    StoreVersionError("version 9"),
    LibraryUnavailable("unplugged"),
    ScanCancelled("stopped"),
]

each_error = pytest.mark.parametrize(
    "error", [pytest.param(error, id=type(error).__name__) for error in EVERY_ERROR]
)


class TestTree:
    """Who is whose child."""

    def test_every_public_class_is_tested_here(self) -> None:
        """A new error does not slip in untested."""
        assert {type(error).__name__ for error in EVERY_ERROR} == set(errors.__all__)

    @pytest.mark.parametrize(
        ("kind", "parents"),
        [
            pytest.param(kind, parents, id=kind.__name__)
            for kind, parents in {
                ScanQueueError: (Exception,),
                TaskNotFoundError: (ScanQueueError, LookupError),
                TaskNotCancellableError: (ScanQueueError,),
                QueueFullError: (ScanQueueError,),
                QueueClosedError: (ScanQueueError,),
                StoreError: (ScanQueueError,),
                StoreBusyError: (StoreError,),
                StoreFullError: (StoreError,),
                StoreCorruptError: (StoreError,),
                StoreReadOnlyError: (StoreError,),
                StoreVersionError: (StoreError,),
                LibraryUnavailable: (ScanQueueError,),
                ScanCancelled: (BaseException,),
            }.items()
        ],
    )
    def test_each_class_has_its_parents(
        self, kind: type[BaseException], parents: tuple[type[BaseException], ...]
    ) -> None:
        """As the contract has it."""
        assert kind.__bases__ == parents

    def test_a_cancel_is_not_an_exception(self) -> None:
        """`except Exception` around each file must not swallow it."""
        assert not issubclass(ScanCancelled, Exception)

    def test_a_task_that_is_not_found_is_a_lookup_error_but_no_key_error(self) -> None:
        """A `KeyError` would show its message in quotes."""
        assert not issubclass(TaskNotFoundError, KeyError)

    def test_the_docstring_shows_the_tree(self) -> None:
        """Every class, as deep as it is in the code."""
        shown = {
            name: len(branches) // 4
            for branches, name in re.findall(
                r"^ *([│├└─ ]*?)(?<![`\w])([A-Z][a-z]+[A-Z]\w+)(?:\(| |$)",
                errors.__doc__ or "",
                re.MULTILINE,
            )
        }
        assert shown == {
            type(error).__name__: sum(k.__name__ in errors.__all__ for k in type(error).__mro__) - 1
            for error in EVERY_ERROR
        }


class TestData:
    """What each carries."""

    def test_a_missing_task_is_named(self) -> None:
        """By its id."""
        assert TaskNotFoundError(TASK_ID).task_id == TASK_ID

    def test_an_ended_task_is_carried(self) -> None:
        """As it is, so that an adapter can show it."""
        assert TaskNotCancellableError(TASK).task is TASK

    def test_the_limit_is_carried(self) -> None:
        """The one that was reached."""
        assert QueueFullError(50).max_pending == 50

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            pytest.param(error, message, id=type(error).__name__)
            for error, message in (
                (
                    TaskNotFoundError(TASK_ID),
                    f"there is no task {TASK_ID}: it never existed, or its history was pruned",
                ),
                (
                    TaskNotCancellableError(TASK),
                    f"task {TASK_ID} cannot be cancelled: it is completed already",
                ),
                (
                    QueueFullError(50),
                    "the queue is full: it takes 50 pending tasks; try again later",
                ),
                (QueueClosedError("the queue was shut down"), "the queue was shut down"),
                (StoreFullError("no space left"), "no space left"),
                (LibraryUnavailable("unplugged"), "unplugged"),
                (ScanCancelled("stopped"), "stopped"),
            )
        ],
    )
    def test_the_message_says_what_happened(self, error: BaseException, message: str) -> None:
        """In a sentence for people."""
        assert str(error) == message

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            pytest.param(kind, status, id=kind.__name__)
            for kind, status in (
                (ScanQueueError, 500),
                (TaskNotFoundError, 404),
                (TaskNotCancellableError, 409),
                (QueueFullError, 429),
                (QueueClosedError, 503),
                (StoreError, 503),
                (StoreBusyError, 503),
                (StoreFullError, 507),
                (StoreCorruptError, 500),
                (StoreReadOnlyError, 500),
                (StoreVersionError, 500),
                (LibraryUnavailable, 503),
                (ScanCancelled, 409),
            )
        ],
    )
    def test_each_hints_at_an_http_status(
        self, kind: type[ScanQueueError | ScanCancelled], status: int
    ) -> None:
        """An adapter maps it in one line."""
        assert kind.http_status == status


class TestTravel:
    """Errors cross process borders."""

    @each_error
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_a_pickled_error_comes_back(self, error: BaseException, protocol: int) -> None:
        """Of the same class, with the same data and message."""
        back = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes
        assert type(back) is type(error)
        assert (str(back), vars(back), back.args) == (str(error), vars(error), error.args)

    @each_error
    def test_a_copied_error_is_the_same(self, error: BaseException) -> None:
        """Executors and debuggers copy them."""
        back = copy.copy(error)
        assert type(back) is type(error)
        assert (str(back), vars(back)) == (str(error), vars(error))
