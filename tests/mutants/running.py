"""A pytest plugin: it collects the tests once, and runs them for each mutant.

First without a mutant, to see that all pass, how long each takes, and which functions it calls. For
each mutant a fork then runs tests that call its function until one fails: those first that killed
another mutant of the function, then those that call little else, as long as the time lasts. Then it
counts as a survivor, though a test that was left out might have killed it.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import NoReturn

import attrs
import pytest
from mutmut.mutation import trampoline

from tests.mutants.making import Mutant
from tests.mutants.report import Outcome

AT_ONCE = 2
"""Mutants under test at the same time."""

HANGING = 5.0
"""Seconds after which a test that takes no time hangs; 20 times what it takes come on top of it."""

SURVIVED, KILLED, HANGS = 0, 1, 2
OUTCOMES = {SURVIVED: "survived", KILLED: "killed", HANGS: "timeout", -signal.SIGKILL: "timeout"}
"""What the status says with which the fork of a mutant ends."""


class _NoCallStack:
    """Stands in for mutmut's stack of calls, in which CPython 3.11 crashed, in a thread."""

    @staticmethod
    def get() -> tuple[None, int]:
        return None, 0

    @staticmethod
    def set(value: object) -> None:
        pass

    @staticmethod
    def reset(token: None) -> None:
        pass


@attrs.frozen
class _Baseline:
    """What the tests do without a mutant: failures, CPU seconds by test, tests by function."""

    failed: list[str] = attrs.Factory(list)
    seconds: dict[str, float] = attrs.Factory(dict)
    tests: dict[str, list[str]] = attrs.Factory(dict)

    def distance(self, test: str) -> tuple[int, float]:
        """Return how far away from the code a test is: through how much it goes, and how long."""
        return self.breadth[test], self.seconds[test]

    @cached_property
    def breadth(self) -> Counter[str]:
        """How many functions each test calls."""
        return Counter(test for tests in self.tests.values() for test in tests)


@attrs.define
class _Child:
    """A fork that tests one mutant."""

    mutant: Mutant
    folder: Path
    deadline: float


class Plugin:
    """Runs the mutants, and keeps what became of each in a file.

    Args:
        mutants: Those to test.
        results: The file, a JSON object in a line for each.
        seconds: CPU time of the tests for one mutant, as measured without.
    """

    def __init__(self, mutants: list[Mutant], results: Path, seconds: float) -> None:
        self._mutants = mutants
        self._results = results
        self._seconds = seconds
        self._killers: dict[str, list[str]] = {}
        self._on_report: Callable[[pytest.TestReport], None] = lambda report: None
        self._children: dict[int, _Child] = {}
        self._done = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell the fork of a test that is over."""
        self._on_report(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests without a mutant, and then those that may kill, for each mutant."""
        items = {item.nodeid: item for item in session.items}
        gc.freeze()  # so that forks share the memory
        baseline = self._baseline(session.items)
        for mutant in self._mutants:
            if mutant.switch not in baseline.tests:
                self._note(mutant, "no test", "")
                continue
            while len(self._children) >= AT_ONCE:
                self._wait()
            tests = self._choose(mutant, baseline)
            chosen = [(items[test], HANGING + 20 * baseline.seconds[test]) for test in tests]
            folder, pid = self._fork(partial(self._run_mutant, mutant, chosen))
            deadline = time.monotonic() + 60 + 20 * self._seconds
            self._children[pid] = _Child(mutant, folder, deadline)
        while self._children:
            self._wait()
        return True

    # --- in the parent ---

    def _baseline(self, items: list[pytest.Item]) -> _Baseline:
        folder, pid = self._fork(partial(self._run_baseline, items))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            pytest.exit(f"without a mutant, the tests ended with {status}", returncode=2)
        baseline = _Baseline(**json.loads((folder / "baseline").read_text("utf-8")))
        shutil.rmtree(folder, ignore_errors=True)
        if baseline.failed:
            pytest.exit("failed without a mutant:\n" + "\n".join(baseline.failed), returncode=2)
        took = sum(baseline.seconds.values())
        print(f"\n{len(items)} tests pass without a mutant, in {took:.0f} s", flush=True)
        return baseline

    def _choose(self, mutant: Mutant, baseline: _Baseline) -> list[str]:
        killers = self._killers.get(mutant.switch, [])
        others = set(baseline.tests[mutant.switch]).difference(killers)
        chosen: list[str] = []
        seconds = 0.0
        for test in [*killers, *sorted(others, key=baseline.distance)]:
            if not chosen or seconds + baseline.seconds[test] <= self._seconds:
                chosen.append(test)
                seconds += baseline.seconds[test]
        return chosen

    def _fork(self, run: Callable[[Path], NoReturn]) -> tuple[Path, int]:
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            try:
                os.setpgid(0, 0)  # what it starts can be ended with it
                os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
                tempfile.tempdir = str(folder)
                run(folder)
            finally:
                os._exit(3)
        return folder, pid

    def _wait(self) -> None:
        """Wait until a fork has ended, or its time is over."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                break
            for late, child in self._children.items():
                if time.monotonic() > child.deadline:
                    os.killpg(late, signal.SIGKILL)
            time.sleep(0.01)
        child = self._children.pop(pid)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what it has left behind
        code = os.waitstatus_to_exitcode(status)
        outcome = OUTCOMES.get(code, f"exit {code}")
        killer = child.folder / "killer"
        by = killer.read_text("utf-8") if killer.exists() else ""
        if code == KILLED:
            killers = self._killers.setdefault(child.mutant.switch, [])
            if by in killers:
                killers.remove(by)
            killers.insert(0, by)
        self._note(child.mutant, outcome, by)
        shutil.rmtree(child.folder, ignore_errors=True)

    def _note(self, mutant: Mutant, outcome: str, by: str) -> None:
        self._done += 1
        noted = Outcome(mutant.name, mutant.function, mutant.change, outcome, by)
        with self._results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(attrs.asdict(noted), ensure_ascii=False) + "\n")
        if outcome != "killed" or not self._done % 50:
            print(f"{self._done}/{len(self._mutants)} {outcome}: {mutant.name}", flush=True)

    # --- in a fork ---

    def _run_baseline(self, items: list[pytest.Item], folder: Path) -> NoReturn:
        baseline = _Baseline()
        hits: set[str] = set()
        forked, process = folder / "forked", os.getpid()

        def record(name: str, **_: object) -> None:
            if os.getpid() == process:
                hits.add(name)
            else:  # a fork that the test has made
                with forked.open("a", encoding="utf-8") as file:
                    file.write(f"{name}\n")

        vars(trampoline).update(MutmutCallStack=_NoCallStack, record_trampoline_hit=record)
        trampoline.set_mutant_under_test("stats")

        def on_report(report: pytest.TestReport) -> None:
            if report.failed:
                baseline.failed.append(f"{report.nodeid}\n{report.longreprtext}")

        self._on_report = on_report
        for item, following in zip(items, [*items[1:], None], strict=True):
            hits.clear()
            began = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            baseline.seconds[item.nodeid] = time.process_time() - began
            if forked.exists():
                hits.update(forked.read_text("utf-8").split())
                forked.unlink()
            for name in tuple(hits):
                baseline.tests.setdefault(name, []).append(item.nodeid)
        (folder / "baseline").write_text(json.dumps(attrs.asdict(baseline)), "utf-8")
        os._exit(0)

    def _run_mutant(
        self, mutant: Mutant, chosen: list[tuple[pytest.Item, float]], folder: Path
    ) -> NoReturn:
        def on_report(report: pytest.TestReport) -> None:
            if report.failed:
                (folder / "killer").write_text(report.nodeid, "utf-8")
                os._exit(HANGS if "Timeout (>" in report.longreprtext else KILLED)

        self._on_report = on_report
        trampoline.set_mutant_under_test(mutant.name)  # also in processes that tests start
        vars(trampoline).update(get_mutant_under_test=lambda: mutant.name)  # in no time
        items = [item for item, _ in chosen]
        items[0].config.pluginmanager.unregister(name="terminalreporter")
        for (item, seconds), following in zip(chosen, [*items[1:], None], strict=True):
            item.add_marker(pytest.mark.timeout(seconds))
            try:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            except BaseException:  # an interrupt, which pytest lets through
                (folder / "killer").write_text(item.nodeid, "utf-8")
                os._exit(KILLED)
        os._exit(SURVIVED)
