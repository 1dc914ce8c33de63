"""Run the media server: ``python -m fastapi_app --port 8000``."""

import uvicorn

from medialibrary.options import read_options


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; what is scanned then goes on at the next start."""
    options = read_options("python -m fastapi_app")
    uvicorn.run(
        "fastapi_app.app:create_app",
        factory=True,
        host=options.host,
        port=options.port,
        timeout_graceful_shutdown=10,  # longer than the queue needs to shut down
    )


if __name__ == "__main__":
    main()
