"""Run the media server: ``python -m flask_app --port 8000``."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
from threading import Event, Thread

from werkzeug.serving import make_server

from flask_app.app import create_app, scan_queue


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; what is scanned then goes on at the next start."""
    parser = argparse.ArgumentParser(prog="python -m flask_app")
    parser.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
    options = parser.parse_args()
    if not os.environ.get("MEDIASERVER_TOKEN"):
        os.environ["MEDIASERVER_TOKEN"] = secrets.token_urlsafe()
        print(f"The token, until the server stops: {os.environ['MEDIASERVER_TOKEN']}", flush=True)

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
