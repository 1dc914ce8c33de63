"""What both servers are told on the command line; the rest is in the environment."""

from __future__ import annotations

import argparse
import os
import re
import secrets

from medialibrary.variables import read_duration

MAX_PORT = 65535


def read_options(program: str) -> argparse.Namespace:
    """Return `host` and `port`; the others are put into the environment, with a token.

    Args:
        program: How it was started.
    """
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    parser.add_argument("--port", type=read_port, default=8000, help="(default: %(default)s)")
    parser.add_argument(
        "--every", help="scan each library so long after its last scan: 30m, 6h, 7d"
    )
    parser.add_argument("--watch", action="store_true", help="scan the folders that change")
    options = parser.parse_args()
    if options.every:
        try:
            read_duration(options.every)
        except ValueError as error:
            parser.error(f"--every: {error}")
        os.environ["MEDIASERVER_EVERY"] = options.every
    if options.watch:
        os.environ["MEDIASERVER_WATCH"] = "1"
    if not os.environ.get("MEDIASERVER_TOKEN"):
        os.environ["MEDIASERVER_TOKEN"] = secrets.token_urlsafe()
        print(f"The token, until the server stops: {os.environ['MEDIASERVER_TOKEN']}", flush=True)
    return options


def read_port(text: str) -> int:
    """Return the number of a port; 0: the system chooses one.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > MAX_PORT:
        message = f"must be a number from 0 to {MAX_PORT}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)
