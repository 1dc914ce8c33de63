"""A Flask extension that puts a scan queue, with its HTTP API, into an application.

This folder is made to be copied into yours as it is:

    scan_queue = ScanQueue()

    def create_app():
        app = Flask(__name__)
        app.config["MAX_CONTENT_LENGTH"] = 256 * 1024  # bytes of a body
        app.register_error_handler(HTTPException, explain_http)  # also of addresses that are none
        service = ScanQueueService(scanner, store=SQLiteStore("queue.sqlite3"))
        scan_queue.init_app(app, service, find_library)
        return app

Some helpers are in the router for FastAPI once more: that is the price of a folder which can be
copied without the other.
"""

from .extension import ScanQueue
from .problems import explain_http, problem
from .requests import InvalidArgument, parameters, read_number, read_object

__all__ = [
    "InvalidArgument",
    "ScanQueue",
    "explain_http",
    "parameters",
    "problem",
    "read_number",
    "read_object",
]
