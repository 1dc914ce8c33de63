"""The pytest plugin: its fixtures, and what it says of workers that a test has left behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scanqueue.testing import _left_behind

PREAMBLE = """
import threading

import pytest

from scanqueue import ScanQueueService, TaskResult, TaskStatus
from scanqueue.testing import FakeClock, FakeScanner


def scan(library_id, context):
    return TaskResult()


def started(scanner=scan, **options):
    queue = ScanQueueService(scanner, **options)
    queue.start()
    return queue


OTHERS = set(threading.enumerate())  # of tests elsewhere, about to end


def names():
    return {thread.name for thread in set(threading.enumerate()) - OTHERS}
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs tests with the plugin, in the order in which they stand there."""
    monkeypatch.setattr(_left_behind, "GRACE", 0.2)
    return Run(pytester)


class JumpingClock:
    """A clock that jumps to what is waited for."""

    def __init__(self) -> None:
        self.moment = 0.0

    def monotonic(self) -> float:
        """Return the moment."""
        return self.moment

    def wait_until(self, condition: object, deadline: float) -> None:
        """Go there."""
        self.moment = deadline


class Run:
    """Runs tests with the plugin, in this process."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester

    def __call__(self, source: str, *arguments: str, without: str = "asyncio") -> pytest.RunResult:
        """Run the tests of a module."""
        self._pytester.makepyfile(PREAMBLE + source)
        others = ("-p", "no:randomly", "-p", f"no:{without}")
        return self._pytester.runpytest_inprocess(*others, *arguments)


class TestFixtures:
    """What a test can ask for."""

    def test_a_service_is_ready(self, run: Run) -> None:
        """Started, in memory, on the clock and with the scanner that the test can ask for too."""
        result = run("""
def test_it(scanqueue_service, scanqueue_scanner, scanqueue_clock):
    assert scanqueue_service.is_started
    scanqueue_scanner.on("music").sleeps(3600).returns(TaskResult(added_count=3))
    task_id = scanqueue_service.submit_task("music")
    scanqueue_clock.await_waiters()
    scanqueue_clock.advance(3600)
    task = scanqueue_service.wait(task_id)
    assert task.result == TaskResult(added_count=3)
    assert task.run_time.total_seconds() == 3600
""")
        result.assert_outcomes(passed=1)

    def test_each_test_has_its_own(self, run: Run) -> None:
        """Queue, clock and scanner."""
        result = run("""
@pytest.mark.parametrize("number", [1, 2])
def test_it(number, scanqueue_service, scanqueue_scanner, scanqueue_clock):
    scanqueue_service.wait(scanqueue_service.submit_task("music"))
    scanqueue_clock.advance(5)
    assert len(scanqueue_service.list_history()) == 1
    assert len(scanqueue_scanner.scans) == 1
    assert scanqueue_clock.monotonic() == 5
""")
        result.assert_outcomes(passed=2)

    def test_more_services_can_be_made(self, run: Run) -> None:
        """With other options, and not started if the test says so."""
        result = run("""
def test_it(scanqueue_make_service, scanqueue_scanner):
    one = scanqueue_make_service(workers=2)
    two = scanqueue_make_service(start=False, scanner=scan, clock=FakeClock(), max_pending=1)
    assert (one.stats().workers, two.is_started) == (2, False)
    one.wait(one.submit_task("music"))
    two.submit_task("films")
    assert two.run_pending() == 1
    assert scanqueue_scanner.scanned_libraries == ["music"]
    with pytest.raises(ValueError, match="scanner must not be None"):
        scanqueue_make_service(scanner=None)
""")
        result.assert_outcomes(passed=1)

    def test_what_runs_is_closed_after_the_test(self, run: Run) -> None:
        """What is held is released, what sleeps is woken, what is pending is cancelled."""
        result = run("""
made = []

def test_one(scanqueue_make_service, scanqueue_scanner, scanqueue_clock):
    scanqueue_scanner.on("held").ignores_cancel().holds()
    scanqueue_scanner.on("asleep").sleeps(3600)
    queue = scanqueue_make_service(workers=2)
    made.append(scanqueue_make_service(start=False))
    made.append(queue)
    for name in ("held", "asleep", "pending"):
        queue.submit_task(name)
    scanqueue_scanner.next_scan()
    scanqueue_scanner.next_scan()
    scanqueue_clock.await_waiters()

def test_two():
    assert [queue.is_shut_down for queue in made] == [True, True]
    assert {task.status for task in made[1].list_history()} == {TaskStatus.CANCELLED}
    assert made[1].stats().stopping == 0
    assert names() == set()
""")
        result.assert_outcomes(passed=2)

    def test_a_scan_that_does_not_stop_fails_its_test(self, run: Run) -> None:
        """The fixture cannot end it either."""
        result = run("""
gate = threading.Event()

def test_one(scanqueue_make_service):
    begun = threading.Event()
    def deaf(library_id, context):
        begun.set()
        gate.wait()
        return TaskResult()
    queue = scanqueue_make_service(scanner=deaf)
    queue.submit_task("music")
    begun.wait()

def test_two():
    gate.set()
""")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(
            [
                "*_ ERROR at teardown of test_one _*",
                "the test has left workers behind:",
                "- * of scanner *.deaf on MemoryStore(): shut down, but a scan of it still runs",
                "  - scanqueue-worker-1 scans library 'music', task *-*",
                "a scan has to end when its context says `cancelled`",
            ]
        )
        result.stdout.no_fnmatch_line("*scanqueue_make_service*")  # it has done its part

    def test_all_that_does_not_stop_is_waited_for_once(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many services there are, and whoever looks."""
        clock = JumpingClock()
        monkeypatch.setattr(_left_behind, "_clock", clock)
        result = run("""
gate = threading.Event()

def deaf(library_id, context):
    begun.release()
    gate.wait()
    return TaskResult()

begun = threading.Semaphore(0)

def test_one(scanqueue_make_service, scanqueue_scanner):
    scanqueue_scanner.always().does(lambda context: deaf(1, context))
    for options in ({"scanner": deaf}, {"scanner": deaf}, {}):
        scanqueue_make_service(**options).submit_task("music")
        begun.acquire()

def test_two():
    gate.set()
""")
        result.assert_outcomes(passed=2, errors=1)
        assert clock.moment == _left_behind.GRACE

    def test_they_are_listed_for_people(self, run: Run) -> None:
        """With what they give."""
        result = run("", "--fixtures", "--markers", "--strict-markers")
        result.stdout.fnmatch_lines(["@pytest.mark.scanqueue_leaves_workers: the test may *"])
        result = run("", "--fixtures")
        result.stdout.fnmatch_lines(
            [
                "scanqueue_clock *",
                "scanqueue_scanner *",
                "scanqueue_make_service *",
                "scanqueue_service *",
            ]
        )


class TestLook:
    """What a test has left behind."""

    def test_a_service_that_was_not_shut_down_fails_the_test(self, run: Run) -> None:
        """The message names it, its threads and what they scan; the next test is not hurt."""
        result = run("""
def test_one():
    scanner = FakeScanner()
    queue = started(scanner, workers=2)
    queue.wait(queue.submit_task("films"))
    scanner.hold()
    queue.submit_task("music")
    scanner.next_scan()
    scanner.next_scan().ignore_cancel()

def test_two():
    assert names() == set()
""")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(
            [
                "*_ ERROR at teardown of test_one _*",
                "the test has left workers behind:",
                "- ScanQueueService of scanner *FakeScanner.scan on *: not shut down",
                "  - scanqueue-worker-? scans library 'music', task *-*",
                "  - scanqueue-worker-? waits for work",
                "call shutdown(), or use the service as a context manager or the fixture *",
            ]
        )

    def test_each_service_is_named(self, run: Run) -> None:
        """In one message."""
        result = run("""
class Scanner:
    def __call__(self, library_id, context):
        return TaskResult()

def test_one():
    started(scan)
    started(Scanner())
""")
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines_random(["*scanner *.scan on *", "*scanner *.Scanner on *"])

    def test_a_clock_that_stands_still_holds_nothing_up(self, run: Run) -> None:
        """A scan that sleeps by it is woken, and no timeout by it is waited for."""
        result = run("""
def test_one():
    clock, scanner = FakeClock(), FakeScanner()
    scanner.always().sleeps(3600)
    queue = started(scanner, clock=clock)
    queue.submit_task("music")
    clock.await_waiters()

def test_two():
    assert names() == set()
""")
        result.assert_outcomes(passed=2, errors=1)

    def test_a_scan_that_goes_on_after_its_shutdown_fails_the_test(self, run: Run) -> None:
        """Once: it is none of the next test's business."""
        result = run("""
gate = threading.Event()
begun = threading.Event()

def deaf(library_id, context):
    begun.set()
    gate.wait()
    return TaskResult()

def test_one():
    queue = started(deaf)
    queue.submit_task("music")
    begun.wait()
    assert not queue.shutdown(timeout=0)

def test_two():
    assert names() == {"scanqueue-worker-1"}
    gate.set()
""")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(
            [
                "*_ ERROR at teardown of test_one _*",
                "*deaf on MemoryStore(): shut down, but a scan of it still runs",
                "  - scanqueue-worker-1 scans library 'music', *",
            ]
        )

    def test_a_scan_that_is_about_to_return_may(self, run: Run) -> None:
        """Between its last step and the record of its end."""
        result = run("""
def test_one():
    scanner = FakeScanner()
    scanner.always().ignores_cancel().holds()
    queue = started(scanner)
    queue.submit_task("music")
    held = scanner.next_scan()
    assert not queue.shutdown(timeout=0)
    held.release()
""")
        result.assert_outcomes(passed=1)

    def test_a_thread_of_the_test_that_scans_counts_too(self, run: Run) -> None:
        """Without a start."""
        result = run("""
gate = threading.Event()
begun = threading.Event()

def deaf(library_id, context):
    begun.set()
    gate.wait()
    return TaskResult()

def test_one():
    queue = ScanQueueService(deaf)
    queue.submit_task("music")
    threading.Thread(target=queue.run_pending, name="helper", daemon=True).start()
    begun.wait()

def test_two():
    gate.set()
""")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(
            [
                "- ScanQueueService on MemoryStore(): not shut down",
                "  - helper scans library 'music', *",
                "call shutdown(), *",
                "a scan has to end when its context says `cancelled`",
            ]
        )

    def test_a_service_without_workers_may_have_a_scan(self, run: Run) -> None:
        """Though it was started."""
        result = run("""
def test_one():
    scanner = FakeScanner()
    scanner.hold()
    queue = started(scanner, workers=0)
    queue.submit_task("music")
    threading.Thread(target=queue.run_pending, name="helper", daemon=True).start()
    scanner.next_scan().ignore_cancel()

def test_two():
    for thread in threading.enumerate():
        if thread.name == "helper":
            thread.join(10)
            assert not thread.is_alive()
""")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(
            ["*FakeScanner.scan on *: not shut down", "  - helper scans library 'music', *"]
        )

    @pytest.mark.parametrize(
        "ending",
        [
            pytest.param("queue.shutdown()", id="shut down"),
            pytest.param("pass", id="never started"),
            pytest.param("queue = started(workers=0)", id="without workers"),
        ],
    )
    def test_what_has_no_workers_is_left_alone(self, run: Run, ending: str) -> None:
        """It is not behind anything."""
        result = run(f"""
kept = []

def test_one():
    queue = ScanQueueService(scan)
    kept.append(queue)
    queue.submit_task("music")
    {ending}
    kept.append(queue)

def test_two():
    assert len(kept[0].list_tasks()) == 1
    kept[1].shutdown()
""")
        result.assert_outcomes(passed=2)

    def test_a_service_that_follows_other_processes_has_a_thread(self, run: Run) -> None:
        """Though it scans nothing itself."""
        result = run("""
from scanqueue import SQLiteStore

def test_one(tmp_path):
    started(None, store=SQLiteStore(tmp_path / "queue.db"))

def test_two():
    assert names() == set()
""")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(
            [
                "- ScanQueueService on SQLiteStore(*): not shut down",
                "  - scanqueue-keeper waits for work",
            ]
        )

    def test_a_test_that_fails_is_looked_at_too(self, run: Run) -> None:
        """It is often why."""
        result = run("""
def test_one():
    queue = started()
    assert queue.is_shut_down
""")
        result.assert_outcomes(failed=1, errors=1)
        result.stdout.fnmatch_lines(["*test has left workers behind:"])

    def test_a_teardown_that_fails_says_both(self, run: Run) -> None:
        """Its own error, and what was left."""
        result = run("""
@pytest.fixture
def queue():
    queue = started()
    yield queue
    raise OSError("no more disks")

def test_one(queue):
    pass

@pytest.fixture
def clean():
    yield
    raise OSError("no disk at all")

def test_two(clean):
    assert names() == set()
""")
        result.assert_outcomes(passed=2, errors=2)
        result.stdout.fnmatch_lines(
            ["*OSError: no more disks", "E *the test has left workers behind:"]
        )
        shown = [line for line in result.outlines if line.startswith("E ")]  # not in the summary
        assert sum("left workers behind" in line for line in shown) == 1


class TestScopes:
    """Only what is made inside a test's own scope is the test's."""

    def test_a_fixture_of_the_test_counts(self, run: Run) -> None:
        """It forgets the second half."""
        result = run("""
@pytest.fixture
def queue():
    return started()

def test_one(queue):
    pass
""")
        result.assert_outcomes(passed=1, errors=1)

    @pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
    def test_a_wider_fixture_does_not(self, run: Run, scope: str) -> None:
        """Also when a test is the first to ask for it, and in the middle."""
        result = run(f"""
@pytest.fixture(scope="{scope}")
def queue():
    with ScanQueueService(scan) as queue:
        yield queue

@pytest.fixture(scope="{scope}")
def late():
    with ScanQueueService(scan) as queue:
        yield queue

class TestIt:
    def test_one(self, queue):
        queue.wait(queue.submit_task("music"))

    def test_two(self, queue, request):
        late = request.getfixturevalue("late")
        assert len(names()) == 1 and not queue.is_shut_down

    def test_three(self, queue, late):
        assert not late.is_shut_down
""")
        result.assert_outcomes(passed=3)

    def test_a_wider_fixture_that_fails_is_not_the_tests(self, run: Run) -> None:
        """It has made a service all the same."""
        result = run("""
kept = []

@pytest.fixture(scope="module")
def queue():
    kept.append(started())
    raise OSError("no disk")

def test_one(queue):
    pass

def test_two():
    kept[0].shutdown()
""")
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.no_fnmatch_line("*left workers behind*")

    def test_the_classes_of_unittest_have_their_services(self, run: Run) -> None:
        """`setUpClass` is wider than a test, `setUp` is not."""
        result = run("""
import unittest

class TestIt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.queue = started()

    @classmethod
    def tearDownClass(cls):
        cls.queue.shutdown()

    def setUp(self):
        self.own = started()

    def test_one(self):
        self.own.shutdown()

    def test_two(self):
        assert not self.queue.is_shut_down
""")
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(["*ERROR at teardown of TestIt.test_two*"])

    def test_a_service_of_the_module_that_a_test_starts_counts(self, run: Run) -> None:
        """Its scans would run into the tests that follow."""
        result = run("""
scanner = FakeScanner()
queue = ScanQueueService(scanner)

def test_one():
    assert not queue.is_started

def test_two():
    scanner.hold()
    queue.start()
    queue.submit_task("music")
    scanner.next_scan()

def test_three():
    assert names() == set()
""")
        result.assert_outcomes(passed=3, errors=1)
        result.stdout.fnmatch_lines(["*ERROR at teardown of test_two*"])

    def test_a_service_of_the_module_may_be_started_by_a_wider_fixture(self, run: Run) -> None:
        """As the start of a whole server does."""
        result = run("""
queue = ScanQueueService(scan)

@pytest.fixture(scope="module")
def server():
    with queue:
        yield queue

def test_one(server):
    assert queue.is_started

def test_two(server):
    assert not queue.is_shut_down
""")
        result.assert_outcomes(passed=2)

    def test_a_service_of_a_wider_fixture_may_be_started_by_a_test(self, run: Run) -> None:
        """Whoever made it sees to its end."""
        result = run("""
@pytest.fixture(scope="module")
def queue():
    queue = ScanQueueService(scan)
    yield queue
    queue.shutdown()

def test_one(queue):
    pass

def test_two(queue):
    queue.start()

def test_three(queue):
    assert not queue.is_shut_down
""")
        result.assert_outcomes(passed=3)


class TestOptingOut:
    """Where workers are meant to stay."""

    def test_a_marker_does_it_for_a_test(self, run: Run) -> None:
        """The next one is looked at, for its own."""
        result = run("""
kept = []

@pytest.mark.scanqueue_leaves_workers
def test_one():
    kept.append(started())

def test_two():
    assert not kept[0].is_shut_down
    started()

def test_three():
    kept[0].shutdown()
""")
        result.assert_outcomes(passed=3, errors=1)
        result.stdout.fnmatch_lines(["*ERROR at teardown of test_two*"])

    def test_a_setting_does_it_for_all(self, run: Run) -> None:
        """The fixtures stay."""
        result = run(
            """
kept = []

def test_one(scanqueue_service):
    kept.append(started())

def test_two():
    kept[0].shutdown()
""",
            *("-o", "scanqueue_check_workers=false"),
        )
        result.assert_outcomes(passed=2)

    def test_pytest_can_do_without(self, run: Run) -> None:
        """By the name under which it is installed."""
        result = run("def test_one(scanqueue_clock): pass", "-p", "no:scanqueue")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*fixture 'scanqueue_clock' not found"])


class TestOtherPlugins:
    """It gets on with those that change how tests are run."""

    def test_asyncio_tests_have_the_fixtures_and_are_looked_at(self, run: Run) -> None:
        """Loops of their own make no difference."""
        result = run(
            """
import asyncio
import pytest_asyncio
from scanqueue.aio import AsyncScanQueue

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wide():
    async with AsyncScanQueue(ScanQueueService(scan)) as queue:
        yield queue

@pytest.mark.asyncio
async def test_one(scanqueue_service, scanqueue_scanner):
    queue = AsyncScanQueue(scanqueue_service)
    scanqueue_scanner.on("music").returns(TaskResult(added_count=1))
    task = await queue.wait(await queue.submit_task("music"))
    assert task.result.added_count == 1

@pytest.mark.asyncio
async def test_two():
    await AsyncScanQueue(ScanQueueService(scan)).start()

@pytest.mark.asyncio(loop_scope="module")
async def test_three(wide):
    assert (await wide.wait(await wide.submit_task(1))).result == TaskResult()
""",
            *("-o", "asyncio_default_fixture_loop_scope=function"),
            without="xdist",
        )
        result.assert_outcomes(passed=3, errors=1)
        result.stdout.fnmatch_lines(["*ERROR at teardown of test_two*"])

    def test_several_processes_and_a_random_order(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each process looks at its own."""
        pytester.makepyfile(f"""{PREAMBLE}
@pytest.mark.parametrize("number", range(6))
def test_good(number, scanqueue_service):
    scanqueue_service.wait(scanqueue_service.submit_task(number))

@pytest.mark.parametrize("number", range(2))
def test_bad(number):
    started()
""")
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        plugins = ("-p", "xdist", "-p", "pytest_randomly", "-p", "_scanqueue_pytest")
        result = pytester.runpytest_subprocess(*plugins, "-n", "2")
        result.assert_outcomes(passed=8, errors=2)
        result.stdout.fnmatch_lines(["*ERROR at teardown of test_bad*"])


class TestLoading:
    """pytest loads the plugin into every suite of an environment that has the library."""

    def test_it_loads_nothing_that_pytest_has_not_loaded(self) -> None:
        """Neither the library nor hypothesis, so it costs less than a millisecond."""
        script = (
            "import sys, pytest; before = set(sys.modules); import _scanqueue_pytest;"
            " print(sorted(set(sys.modules) - before))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
        assert done.stdout.strip() == "['_scanqueue_pytest']"

    def test_a_suite_that_does_not_use_the_library_never_loads_it(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even for the look."""
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of others
        pytester.makepyfile("""
import sys
import pytest

@pytest.fixture(scope="module")
def wide():
    pass

def test_one(wide):
    pass

def test_two(request):
    assert request.config.pluginmanager.hasplugin("scanqueue-watch")
    assert not [name for name in sys.modules if name.partition(".")[0] == "scanqueue"]
    assert "hypothesis" not in sys.modules
""")
        result = pytester.runpytest_subprocess("-p", "_scanqueue_pytest")
        result.assert_outcomes(passed=2)
