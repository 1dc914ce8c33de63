"""Settings of gunicorn for `gunicorn_app.py`: each process starts and ends its own service."""

from __future__ import annotations

from pathlib import Path

wsgi_app = "gunicorn_app:app"
pythonpath = str(Path(__file__).parent)
workers = 3
threads = 4


def post_worker_init(_worker: object) -> None:
    """Start the queue: after the fork, and as soon as the process is there.

    So what was left by the last run goes on without a request.
    """
    from gunicorn_app import queue  # noqa: PLC0415 - in the worker, not in gunicorn itself

    queue.start()


def worker_exit(_server: object, _worker: object) -> None:
    """End the queue of this process: a running scan goes back, and begins again elsewhere."""
    from gunicorn_app import queue  # noqa: PLC0415 - see above

    queue.shutdown(timeout=5, interrupt_running=True)
