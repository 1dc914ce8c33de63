"""Settings of gunicorn: each of its workers starts and ends the queue of its process.

MEDIASERVER_TOKEN=... gunicorn --config flask_app/gunicorn_conf.py --bind 127.0.0.1:8000
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread
from typing import Any

wsgi_app = "flask_app.app:create_app()"
pythonpath = str(Path(__file__).parents[1])
workers = 3
threads = 12  # more than the event streams that a process holds open
graceful_timeout = 15  # longer than the queue needs to shut down


def on_starting(_server: Any) -> None:  # noqa: ANN401 - gunicorn has no types
    """Say what is wrong with the settings once, and before there are workers to say it."""
    from medialibrary import load_settings  # noqa: PLC0415 - its folder is not known above

    load_settings()


def post_worker_init(worker: Any) -> None:  # noqa: ANN401 - same
    """Start the queue: after the fork, and as soon as the process is there."""
    from flask_app.app import scan_queue  # noqa: PLC0415 - in the worker, not in gunicorn itself

    scan_queue.start(worker.wsgi)
    Thread(target=shut_down_with, args=[worker], daemon=True).start()


def shut_down_with(worker: Any) -> None:  # noqa: ANN401 - same
    """End the queue when the worker stops: it waits for the event streams, which end with it."""
    from flask_app.app import scan_queue  # noqa: PLC0415 - same

    while worker.alive:
        time.sleep(0.2)
    scan_queue.shut_down(worker.wsgi)


def worker_exit(_server: Any, worker: Any) -> None:  # noqa: ANN401 - same
    """Have it ended when the process does, however the worker was stopped."""
    from flask_app.app import scan_queue  # noqa: PLC0415 - same

    if hasattr(worker, "wsgi"):  # it was not killed before it was ready
        scan_queue.shut_down(worker.wsgi)
