"""What `import scanqueue` costs, in fresh interpreters."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.benchmarks import peers
from tests.benchmarks.harness import OURS, Case, Comparison, Contenders, Scale

ALONE = "alone"
"""Ours, after all that it imports."""

_TIME_IMPORT = """
import sys, time
for name in sys.argv[2:]:
    __import__(name)
begin = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - begin)
"""

_LIST_IMPORTED = """
import sys
before = set(sys.modules)
import scanqueue
names = [name for name in sys.modules if name not in before and not name.startswith("scanqueue")]
print(*names)
"""


def _python(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _time(module: str, *imported_before: str) -> dict[str, float]:
    return {"import": float(_python(_TIME_IMPORT, module, *imported_before))}


@contextmanager
def _importing(_: Scale) -> Iterator[Contenders]:
    others = _python(_LIST_IMPORTED).split()
    yield {
        ALONE: partial(_time, "scanqueue", *others),
        OURS: partial(_time, "scanqueue"),
        peers.EXECUTOR: partial(_time, "concurrent.futures.thread"),
        peers.HUEY: partial(_time, "huey"),
        peers.APSCHEDULER: partial(_time, "apscheduler.schedulers.background"),
    }


def _compare(_: Scale) -> Iterator[Comparison]:
    row = partial(Comparison, metric="import")
    yield row(title="import, above what it imports", subject=ALONE, target=0.040)
    for reference in (peers.EXECUTOR, peers.HUEY, peers.APSCHEDULER):
        yield row(title="import, all of it", reference=reference)


CASES = (
    Case(
        name="import",
        prepare=_importing,
        compare=_compare,
        rounds=lambda scale: scale.imports,
    ),
)
