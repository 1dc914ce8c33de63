"""The scheduler itself: it finds what textbooks warn of, and it can repeat what it did."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from types import ModuleType

import pytest

from tests.simulation import racy
from tests.simulation.primitives import SimCondition, SimEvent, SimLock
from tests.simulation.scheduler import DeadlockError, LivelockError, Scheduler, Strategy
from tests.simulation.strategies import Follow, Priorities, RandomWalk, Search
from tests.simulation.weaving import woven
from tests.simulation.world import World

Story = Callable[[Scheduler], None]

SEEDED: list[Callable[[int], Strategy]] = [RandomWalk, lambda seed: Priorities(seed, 20)]


def run(story: Story, strategy: Strategy, **options: int) -> Scheduler:
    """Run a story to its end."""
    scheduler = Scheduler(strategy, records=True, **options)
    scheduler.run(lambda: story(scheduler))
    return scheduler


def first_failure(story: Story, strategies: list[Strategy]) -> BaseException | None:
    """Return what fails first."""
    for strategy in strategies:
        try:
            run(story, strategy)
        except Exception as error:
            return error
    return None


def all_ways(story: Story, bound: int) -> int:
    """Run a story in all ways, and return how many there are."""
    search = Search(bound)
    ways = 1
    run(story, search)
    while search.again():
        run(story, search)
        ways += 1
    return ways


def two_locks(scheduler: Scheduler) -> None:
    """Take two locks in two orders."""
    first, second = SimLock(scheduler), SimLock(scheduler)

    def take(one: SimLock, other: SimLock) -> None:
        with one, other:
            pass

    scheduler.spawn(lambda: take(first, second), "forward")
    scheduler.spawn(lambda: take(second, first), "backward")


def lost_wake_up(scheduler: Scheduler) -> None:
    """Look without the lock, and wait with it."""
    condition = SimCondition(scheduler, SimLock(scheduler))
    ready: list[bool] = []

    def wait() -> None:
        if not ready:
            with condition:
                condition.wait()

    def tell() -> None:
        with condition:
            ready.append(True)
            condition.notify()

    scheduler.spawn(wait, "waiter")
    scheduler.spawn(tell, "teller")


@pytest.mark.parametrize("story", [two_locks, lost_wake_up])
@pytest.mark.parametrize("make", SEEDED, ids=["walk", "priorities"])
def test_deadlocks_are_found_at_random(story: Story, make: Callable[[int], Strategy]) -> None:
    """Two locks in two orders, and a wake-up that comes before the wait."""
    error = first_failure(story, [make(seed) for seed in range(200)])
    assert isinstance(error, DeadlockError)


@pytest.mark.parametrize("story", [two_locks, lost_wake_up])
def test_deadlocks_are_found_with_one_preemption(story: Story) -> None:
    """And with none they do not happen."""
    all_ways(story, 0)
    with pytest.raises(DeadlockError):
        all_ways(story, 1)


def test_a_deadlock_says_who_waits_for_what_and_where() -> None:
    """For each thread its name, the lock, and the line of its code."""
    error = first_failure(two_locks, [RandomWalk(seed) for seed in range(200)])
    assert error is not None
    (text,) = error.__notes__
    assert "1 forward: lock 2\n" in text
    assert "2 backward: lock 1\n" in text
    assert "test_scheduler.py" in text
    assert "in take" in text


def test_a_livelock_is_found() -> None:
    """Two that turn round and round, and are never done."""

    def turn(scheduler: Scheduler) -> None:
        while True:
            scheduler.point("turn")

    with pytest.raises(LivelockError, match="no end after 101 points"):
        run(turn, RandomWalk(0), step_limit=100)


def test_an_error_of_a_thread_is_that_of_the_run() -> None:
    """Whatever it is, and the others are ended."""
    ended: list[str] = []

    def fail(scheduler: Scheduler) -> None:
        def wait() -> None:
            try:
                SimEvent(scheduler).wait()
            finally:
                ended.append("waiter")

        scheduler.spawn(wait, "waiter")
        scheduler.sleep(1.0)
        raise LookupError("this one")

    with pytest.raises(LookupError, match="this one"):
        run(fail, RandomWalk(0))
    assert ended == ["waiter"]


def test_time_passes_when_all_wait() -> None:
    """To the next deadline, in order, and at once."""
    times: list[float] = []

    def sleep(scheduler: Scheduler) -> None:
        def nap(seconds: float) -> None:
            scheduler.sleep(seconds)
            times.append(scheduler.time)

        for seconds in (3600.0, 0.5, 7.0):
            scheduler.spawn(lambda seconds=seconds: nap(seconds), "sleeper")  # type: ignore[misc]

    run(sleep, Follow(()))
    assert times == [0.5, 7.0, 3600.0]


def test_a_wait_ends_at_its_deadline() -> None:
    """Of a lock, a condition and an event; each says that nothing came."""

    def wait(scheduler: Scheduler) -> None:
        lock = SimLock(scheduler)
        condition = SimCondition(scheduler, SimLock(scheduler))
        lock.acquire()
        assert not lock.acquire(timeout=1.0)
        assert not lock.acquire(blocking=False)
        with condition:
            assert not condition.wait(1.0)
            assert not condition.wait_for(lambda: False, 1.0)
        assert not SimEvent(scheduler).wait(1.0)
        assert scheduler.time == 4.0

    run(wait, Follow(()))


def test_all_ways_are_run_once() -> None:
    """Two threads of two steps each: six orders, of which two need no preemption."""
    orders: list[str] = []

    def two(scheduler: Scheduler) -> None:
        order: list[str] = []

        def step(name: str) -> None:
            order.append(name)
            scheduler.point("step")
            order.append(name)

        threads = [scheduler.spawn(lambda n=n: step(n), n) for n in "ab"]  # type: ignore[misc]
        for thread in threads:
            scheduler.join(thread)
        orders.append("".join(order))

    with_at_most = {}
    for bound in range(4):
        orders.clear()
        all_ways(two, bound)
        with_at_most[bound] = set(orders)
    assert with_at_most[0] == {"aabb", "bbaa"}
    assert with_at_most[3] == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}


@pytest.mark.parametrize("make", SEEDED, ids=["walk", "priorities"])
def test_a_seed_is_run_again_exactly(make: Callable[[int], Strategy]) -> None:
    """And so are the decisions that it took."""

    def busy(scheduler: Scheduler) -> None:
        lock = SimLock(scheduler)

        def work() -> None:
            for _ in range(5):
                with lock:
                    scheduler.sleep(0.1)

        for name in "abc":
            scheduler.spawn(work, name)

    for seed in range(20):
        first, second = run(busy, make(seed)), run(busy, make(seed))
        again = run(busy, Follow(first.decisions, hurries=make(seed).hurries))
        assert first.events == second.events == again.events
    assert run(busy, make(1)).decisions != run(busy, make(2)).decisions


def test_a_calm_part_is_not_preempted() -> None:
    """Nothing is chosen inside."""

    def calm(scheduler: Scheduler) -> None:
        scheduler.spawn(lambda: order.append("other"), "other")
        with scheduler.calm():
            for _ in range(20):
                scheduler.point("calm")
            order.append("calm")

    for seed in range(20):
        order: list[str] = []
        run(calm, Follow([0]) if seed else RandomWalk(0))
        assert "calm" in order


@pytest.mark.parametrize(("modules", "is_found"), [([], False), ([racy], True)])
def test_races_between_statements_are_found_where_points_are_woven_in(
    modules: list[ModuleType], is_found: bool
) -> None:
    """`x += 1` in two threads loses one, and a look before a change comes too late."""

    def race(scheduler: Scheduler) -> None:
        world.begin(scheduler)
        counter = racy.Counter()
        threads = [scheduler.spawn(counter.count, f"counter {n}") for n in range(2)]
        for thread in threads:
            scheduler.join(thread)
        totals.add(counter.total)
        firsts.add(len(counter.firsts))

    world = World()
    totals: set[int] = set()
    firsts: set[int] = set()
    with woven(world, modules):
        for seed in range(200):
            run(race, RandomWalk(seed))
    assert totals == ({1, 2} if is_found else {2})
    assert firsts == ({1, 2} if is_found else {1})
    assert "__point__" not in vars(racy)


def test_woven_code_does_what_the_code_does() -> None:
    """Loops, conditions, exceptions and closures."""
    world = World()
    expected = racy.everything(5)
    with woven(world, [racy]):
        assert racy.everything(5) == expected
        code = racy.everything.__code__
    assert racy.everything.__code__ is not code


def test_a_strategy_of_priorities_changes_them_at_a_few_steps() -> None:
    """Without a change the same thread goes on until it waits."""
    strategy = Priorities(1, 1_000_000)

    def three(scheduler: Scheduler) -> None:
        def ten_steps() -> None:
            for _ in range(10):
                scheduler.point("step")

        for name in "abc":
            scheduler.spawn(ten_steps, name)

    decisions = run(three, strategy).decisions
    changes = sum(
        one != other for one, other in zip(decisions, islice(decisions, 1, None), strict=False)
    )
    assert changes <= 3
