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

RETRY_AFTER = 2.0
"""Seconds after which a start that failed is tried again."""


def on_starting(_server: Any) -> None:  # noqa: ANN401 - gunicorn has no types
    """Say what is wrong with the settings once, and before there are workers to say it."""
    from medialibrary import load_settings  # noqa: PLC0415 - its folder is not known above

    load_settings()


def post_worker_init(worker: Any) -> None:  # noqa: ANN401 - same
    """Start the queue: after the fork, and as soon as the process is there."""
    Thread(target=attend, args=[worker, start_queue(worker)], daemon=True).start()


def start_queue(worker: Any) -> bool:  # noqa: ANN401 - same
    """Start the queue, and return whether it is; an exception would end all of gunicorn here."""
    from flask_app.app import scan_queue  # noqa: PLC0415 - in the worker, not in gunicorn itself

    try:
        scan_queue.start(worker.wsgi)
    except Exception as error:  # noqa: BLE001 - it may pass; until then requests are told
        worker.log.warning("The queue cannot be started; trying again: %s", error)
        return False
    return True


def attend(worker: Any, is_started: bool) -> None:  # noqa: ANN401, FBT001 - same; a state
    """Start the queue when that failed, and end it when the worker stops.

    The worker waits for the event streams, which end with the queue.
    """
    from flask_app.app import scan_queue  # noqa: PLC0415 - same

    while worker.alive:
        time.sleep(0.2 if is_started else RETRY_AFTER)
        if worker.alive and not is_started:
            is_started = start_queue(worker)
    scan_queue.shut_down(worker.wsgi)


def worker_exit(_server: Any, worker: Any) -> None:  # noqa: ANN401 - same
    """Have it ended when the process does, however the worker was stopped."""
    from flask_app.app import scan_queue  # noqa: PLC0415 - same

    if hasattr(worker, "wsgi"):  # it was not killed before it was ready
        scan_queue.shut_down(worker.wsgi)
