"""Run the media server: ``python -m flask_app --port 8000``."""

from __future__ import annotations

import signal
from threading import Event, Thread

from werkzeug.serving import make_server

from flask_app.app import create_app, scan_queue
from medialibrary.options import read_options


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; what is scanned then goes on at the next start."""
    options = read_options("python -m flask_app")

    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    app = create_app()
    server = make_server(options.host, options.port, app, threaded=True)
    scan_queue.start(app)
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"Serving on http://{server.host}:{server.port}", flush=True)
    stop.wait()
    scan_queue.shut_down(app)  # first: it ends the event streams
    server.shutdown()


if __name__ == "__main__":
    main()
