"""The queue for asyncio: every call of a `ScanQueueService` as a coroutine.

Imported by its own name: `import scanqueue` does not load asyncio.
"""

from scanqueue.aio._queue import AsyncScanQueue

__all__ = ["AsyncScanQueue"]
