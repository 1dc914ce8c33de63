"""A Flask extension that puts a scan queue, with its HTTP API, into an application.

This folder is made to be copied into yours as it is:

    scan_queue = ScanQueue()

    def create_app():
        app = Flask(__name__)
        service = ScanQueueService(scanner, store=SQLiteStore("queue.sqlite3"))
        scan_queue.init_app(app, service, find_library)
        return app
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
