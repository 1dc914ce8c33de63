"""Run the media server: ``python -m fastapi_app --port 8000``."""

import argparse
import os
import secrets

import uvicorn


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; what is scanned then goes on at the next start."""
    parser = argparse.ArgumentParser(prog="python -m fastapi_app")
    parser.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
    options = parser.parse_args()
    if not os.environ.get("MEDIASERVER_TOKEN"):
        os.environ["MEDIASERVER_TOKEN"] = secrets.token_urlsafe()
        print(f"The token, until the server stops: {os.environ['MEDIASERVER_TOKEN']}", flush=True)
    uvicorn.run(
        "fastapi_app.app:create_app",
        factory=True,
        host=options.host,
        port=options.port,
        timeout_graceful_shutdown=10,  # longer than the queue needs to shut down
    )


if __name__ == "__main__":
    main()
