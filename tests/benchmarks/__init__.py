"""How fast the queue is, side by side with others: ``python -m tests.benchmarks``.

`harness` says what a case is and how it is measured, `table` shows what came out; every other
module holds cases. The minimal queue that one would write in an afternoon is in `minimal`.
"""
