"""The process that scans, where the web server's processes only submit and look.

    MEDIASERVER_TOKEN=... python -m medialibrary

It works on the queue of `MEDIASERVER_DATA`, until it gets SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import signal
from threading import Event

from medialibrary import load_settings
from medialibrary.settings import fail


def main() -> None:
    """Scan what the others submit."""
    settings = load_settings()
    if settings.store == "memory":
        fail("MEDIASERVER_STORE: must be sqlite here: a queue in memory belongs to its process")
    if not settings.scans:
        fail("MEDIASERVER_SCANS: must not be 0 here: nobody would scan")
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    catalogue = settings.open_catalogue()
    queue = settings.make_service(catalogue)
    triggers = settings.make_triggers(catalogue, queue)
    queue.start()
    if triggers is not None:
        triggers.start()
    print(f"scanning what is submitted to {settings.data}", flush=True)
    stop.wait()
    if triggers is not None:
        triggers.stop()
    queue.shutdown(timeout=5, interrupt_running=True)


if __name__ == "__main__":
    main()
