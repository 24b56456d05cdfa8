"""Restarts: after which ends an actor starts again, and what becomes of its calls."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.drivers import Drivers
from conformance.restartable import CONSTRUCTED, AsyncRestartable, Restartable
from conformance.subjects import Echo, Gate, Journal, Keeper, is_running

CRASH = "os._exit(1)"
LIMIT_S = 30
"""Seconds for a call that waits for a restart, which takes seconds in Ray."""


@pytest.fixture
def make(ray: Any, journal: Journal) -> Callable[..., Any]:
    """Make an actor with options, by default with one restart."""

    def make(*args: Any, cls: type = Restartable, **options: Any) -> Any:
        options.setdefault("max_restarts", 1)
        return ray.remote(cls).options(**options).remote(journal, *args)

    return make


@pytest.fixture
def answer(ray: Any, eventually: Any) -> Callable[..., Any]:
    """Call a method until the actor is available, and return the answer."""

    def answer(method: Any, *args: Any) -> Any:
        def attempt() -> Any:
            try:
                return [ray.get(method.remote(*args), timeout=LIMIT_S)]
            except ray.exceptions.ActorUnavailableError:
                return None

        return eventually(attempt, LIMIT_S)[0]

    return answer


@pytest.fixture
def crash(ray: Any, eventually: Any, answer: Any) -> Callable[[Any], None]:
    """Kill an actor's process from outside while no call runs, and wait until it is gone."""

    def crash(actor: Any) -> None:
        pid = answer(actor.pid)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(pid))

    return crash


@pytest.fixture
def restarts(journal: Journal, eventually: Any) -> Callable[[int], None]:
    """Wait until as many constructors have begun after the first one."""
    return lambda number: eventually(lambda: journal.lines().count(CONSTRUCTED) == number + 1, LIMIT_S)


@pytest.fixture
def is_unavailable(ray: Any) -> Callable[[Any], None]:
    """Check that a call failed by a crash after which the actor restarts."""

    def check(ref: Any) -> None:
        with pytest.raises(ray.exceptions.ActorUnavailableError, match="unavailable"):
            ray.get(ref, timeout=LIMIT_S)

    return check


@pytest.fixture
def is_dead(ray: Any, eventually: Any) -> Callable[[Any], None]:
    """Check that an actor is dead for good."""

    def check(actor: Any) -> None:
        def has_died() -> bool:
            try:
                ray.get(actor.pid.remote(), timeout=LIMIT_S)
            except ray.exceptions.ActorUnavailableError:
                return False  # in Ray for a moment, also when the actor is about to be found dead
            except ray.exceptions.ActorDiedError:
                return True
            return False

        eventually(has_died, LIMIT_S)

    return check


@pytest.fixture
def answered_elsewhere(ray: Any) -> Callable[[Any], int]:
    """Return an actor's pid, asked for by another process until the actor is available."""

    @ray.remote
    def ask(actor: Any) -> int:
        while True:
            try:
                return int(ray.get(actor.pid.remote()))
            except ray.exceptions.ActorUnavailableError:
                pass

    return lambda actor: int(ray.get(ask.remote(actor), timeout=LIMIT_S))


class TestCrashes:
    def test_a_crash_in_a_call_without_a_retry_fails_the_call(self, make: Any, is_unavailable: Any) -> None:
        is_unavailable(make().end.remote(CRASH))

    def test_a_later_call_is_served_by_a_fresh_instance(
        self, ray: Any, make: Any, answer: Any, journal: Journal
    ) -> None:
        actor = make()
        first = ray.get(actor.pid.remote())
        assert ray.get([actor.increment.remote(), actor.increment.remote()]) == [1, 2]
        actor.end.remote(CRASH)
        assert answer(actor.increment) == 1
        assert ray.get(actor.pid.remote()) != first
        assert journal.lines() == [CONSTRUCTED] * 2

    @pytest.mark.parametrize("way", ["os._exit(0)", "os._exit(1)", "sys.exit(1)", "SIGKILL"])
    def test_a_crash_restarts_the_actor(self, make: Any, answer: Any, is_unavailable: Any, way: str) -> None:
        actor = make()
        is_unavailable(actor.end.remote(way))
        assert answer(actor.increment) == 1

    def test_the_crash_of_an_idle_actor_restarts_it(self, make: Any, answer: Any, crash: Any, restarts: Any) -> None:
        actor = make()
        crash(actor)
        restarts(1)
        assert answer(actor.increment) == 1

    def test_a_kill_with_no_restart_false_restarts_the_actor(
        self, ray: Any, make: Any, answer: Any, is_unavailable: Any, gate: Gate, started: Any
    ) -> None:
        actor = make()
        running = actor.wait.remote(gate, "running")
        started("running")
        ray.kill(actor, no_restart=False)
        is_unavailable(running)
        assert answer(actor.increment) == 1

    @pytest.mark.parametrize("way", ["exit_actor", "sys.exit(0)"])
    def test_an_intended_exit_does_not_restart_the_actor(
        self, ray: Any, make: Any, is_dead: Any, journal: Journal, way: str
    ) -> None:
        actor = make(max_restarts=-1, max_task_retries=-1)
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)|exit code 0"):
            ray.get(actor.end.remote(way), timeout=LIMIT_S)
        is_dead(actor)
        assert journal.lines() == [CONSTRUCTED]

    def test_a_kill_does_not_restart_the_actor(
        self, ray: Any, make: Any, is_dead: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        actor = make(max_restarts=-1, max_task_retries=-1)
        running = actor.wait.remote(gate, "running")
        started("running")
        ray.kill(actor)
        with pytest.raises(ray.exceptions.ActorDiedError, match="kill"):
            ray.get(running, timeout=LIMIT_S)
        is_dead(actor)
        assert journal.lines() == [CONSTRUCTED, "running"]

    def test_the_loss_of_the_last_handle_does_not_restart_the_actor(
        self, ray: Any, make: Any, journal: Journal, name: str, eventually: Any
    ) -> None:
        actor = make(max_restarts=-1, name=name)
        pid = ray.get(actor.pid.remote())
        del actor
        eventually(lambda: not is_running(pid))
        eventually(lambda: name not in ray.util.list_named_actors())
        assert journal.lines() == [CONSTRUCTED]

    def test_the_loss_of_the_last_handle_ends_a_restarted_actor(
        self, ray: Any, make: Any, answer: Any, eventually: Any
    ) -> None:
        actor = make(max_restarts=-1)
        ray.wait([actor.end.remote(CRASH)], timeout=LIMIT_S)
        pid = answer(actor.pid)
        del actor
        eventually(lambda: not is_running(pid), 5)

    def test_an_actor_that_restarts_ends_with_its_last_handle(
        self, ray: Any, make: Any, crash: Any, restarts: Any, gate: Gate, name: str, eventually: Any
    ) -> None:
        actor = make((), gate, max_restarts=-1, name=name)
        crash(actor)
        restarts(1)
        del actor
        gate.open()
        eventually(lambda: name not in ray.util.list_named_actors(), LIMIT_S)

    def test_a_crash_in_the_first_call_counts_as_a_run_of_the_call(
        self, ray: Any, make: Any, is_unavailable: Any, journal: Journal
    ) -> None:
        is_unavailable(make(max_restarts=-1).run.remote("run", *[CRASH] * 9))
        assert journal.lines().count("run") == 1

    def test_an_error_of_a_call_does_not_restart_the_actor(self, ray: Any, make: Any, journal: Journal) -> None:
        actor = make()
        ray.get(actor.increment.remote())
        with pytest.raises(ValueError, match="again"):
            ray.get(actor.end.remote("raise"))
        assert ray.get(actor.increment.remote()) == 2
        assert journal.lines() == [CONSTRUCTED]


class TestBudget:
    def test_without_max_restarts_a_crash_is_the_end(
        self, make: Any, crash: Any, is_dead: Any, journal: Journal
    ) -> None:
        actor = make(max_restarts=0)
        crash(actor)
        is_dead(actor)
        assert journal.lines() == [CONSTRUCTED]

    @pytest.mark.parametrize("budget", [1, 2])
    def test_the_actor_restarts_as_often_as_max_restarts_says(
        self, make: Any, answer: Any, crash: Any, is_dead: Any, journal: Journal, budget: int
    ) -> None:
        actor = make(max_restarts=budget)
        for _ in range(budget):
            crash(actor)
            assert answer(actor.increment) == 1
        crash(actor)
        is_dead(actor)
        assert journal.lines() == [CONSTRUCTED] * (budget + 1)

    def test_the_last_crash_tells_that_the_actor_has_died(self, ray: Any, make: Any, answer: Any) -> None:
        actor = make()
        actor.end.remote(CRASH)
        answer(actor.pid)
        with pytest.raises(ray.exceptions.ActorDiedError, match="Restartable"):
            ray.get(actor.end.remote(CRASH), timeout=LIMIT_S)

    def test_minus_one_restarts_for_ever(self, make: Any, answer: Any, crash: Any, journal: Journal) -> None:
        actor = make(max_restarts=-1)
        for _ in range(4):
            crash(actor)
        assert answer(actor.increment) == 1
        assert journal.lines() == [CONSTRUCTED] * 5

    def test_a_kill_uses_the_budget_up(
        self, ray: Any, make: Any, answer: Any, is_dead: Any, eventually: Any, journal: Journal
    ) -> None:
        actor = make()
        pid = ray.get(actor.pid.remote())
        ray.kill(actor, no_restart=False)
        eventually(lambda: answer(actor.pid) != pid)  # in Ray the kill returns before the actor is dead
        ray.kill(actor, no_restart=False)
        is_dead(actor)
        assert journal.lines() == [CONSTRUCTED] * 2


class TestConstructors:
    def test_a_constructor_that_raises_does_not_run_again(self, ray: Any, make: Any, journal: Journal) -> None:
        actor = make(("raise",), max_restarts=-1, max_task_retries=-1)
        with pytest.raises(ray.exceptions.ActorDiedError, match="again"):
            ray.get(actor.pid.remote(), timeout=LIMIT_S)
        assert journal.lines() == [CONSTRUCTED]

    def test_a_constructor_that_raises_after_a_restart_is_the_end(
        self, ray: Any, make: Any, crash: Any, is_dead: Any, journal: Journal
    ) -> None:
        actor = make(("", "raise"), max_restarts=-1)
        crash(actor)
        is_dead(actor)
        assert journal.lines() == [CONSTRUCTED] * 2

    def test_a_constructor_that_crashes_runs_again_and_queued_calls_are_served(
        self, ray: Any, make: Any, journal: Journal
    ) -> None:
        actor = make((CRASH, CRASH), max_restarts=2)
        refs = [actor.note.remote(line) for line in ("first", "second")]
        assert ray.get(refs, timeout=LIMIT_S) == ["first", "second"]
        assert journal.lines() == [CONSTRUCTED] * 3 + ["first", "second"]

    def test_a_constructor_that_crashes_too_often_fails_queued_calls(
        self, ray: Any, make: Any, journal: Journal
    ) -> None:
        actor = make((CRASH, CRASH, CRASH), max_restarts=1, max_task_retries=-1)
        with pytest.raises(ray.exceptions.ActorDiedError, match="Restartable"):
            ray.get(actor.pid.remote(), timeout=LIMIT_S)
        assert journal.lines() == [CONSTRUCTED] * 2

    def test_a_large_argument_is_given_again(self, ray: Any, make: Any, answer: Any, crash: Any) -> None:
        value = os.urandom(2_000_000)
        actor = make((), None, value)
        crash(actor)
        assert answer(actor.kept) == value

    @pytest.mark.parametrize("size", [10, 2_000_000])
    def test_a_reference_is_given_again_as_its_value(
        self, ray: Any, make: Any, answer: Any, crash: Any, size: int
    ) -> None:
        value = os.urandom(size)
        actor = make((), None, ray.put(value))  # no other reference is kept
        crash(actor)
        assert answer(actor.kept) == value

    def test_a_reference_within_an_argument_is_given_again(self, ray: Any, make: Any, answer: Any, crash: Any) -> None:
        actor = make((), None, [ray.put(os.urandom(2_000_000))])
        (before,) = ray.get(actor.kept.remote())
        value = ray.get(before)
        crash(actor)
        (after,) = answer(actor.kept)
        assert ray.get(after, timeout=LIMIT_S) == value

    def test_a_handle_is_given_again(self, ray: Any, make: Any, answer: Any, crash: Any) -> None:
        echo = ray.remote(Echo).remote()
        actor = make((), None, echo)
        crash(actor)
        assert ray.get(answer(actor.kept).echo.remote(5)) == 5

    @pytest.mark.differs("Ray ends the actor of the handle with the process that had the handle")
    @pytest.mark.differs_on_cluster("as on Ray, the actor of the handle ends with the process that had the handle")
    def test_a_handle_is_given_again_that_only_the_argument_keeps(
        self, ray: Any, make: Any, answer: Any, crash: Any
    ) -> None:
        actor = make((), None, ray.remote(Echo).remote())
        crash(actor)
        assert ray.get(answer(actor.kept).echo.remote(5)) == 5

    def test_the_actor_knows_that_it_was_restarted(self, ray: Any, make: Any, answer: Any, crash: Any) -> None:
        actor = make()

        def was_restarted(self: Any) -> bool:
            return bool(ray.get_runtime_context().was_current_actor_reconstructed)

        assert ray.get(actor.__ray_call__.remote(was_restarted)) is False
        crash(actor)
        answer(actor.pid)
        assert ray.get(actor.__ray_call__.remote(was_restarted)) is True

    def test_the_actor_keeps_its_id(self, ray: Any, make: Any, answer: Any, crash: Any) -> None:
        actor = make()
        crash(actor)
        answer(actor.pid)
        own = actor.__ray_call__.remote(lambda self: ray.get_runtime_context().get_actor_id())
        assert ray.get(own) == actor._actor_id.hex()


def declared(ray: Any, **options: Any) -> type:
    class Declared(Restartable):
        @ray.method(**options)
        def run(self, line: str, *ways: str) -> int:
            return super().run(line, *ways)

    return Declared


class TestRetries:
    @pytest.mark.parametrize("retries", [1, 2])
    def test_a_call_is_run_again_as_often_as_max_task_retries_says(
        self, ray: Any, make: Any, answer: Any, is_unavailable: Any, journal: Journal, retries: int
    ) -> None:
        actor = make(max_restarts=-1, max_task_retries=retries)
        assert ray.get(actor.run.remote("enough", *[CRASH] * retries), timeout=LIMIT_S) == retries + 1
        is_unavailable(actor.run.remote("too few", *[CRASH] * 9))
        assert journal.lines().count("too few") == retries + 1

    def test_minus_one_runs_a_call_again_until_it_returns(self, ray: Any, make: Any) -> None:
        actor = make(max_restarts=-1, max_task_retries=-1)
        assert ray.get(actor.run.remote("run", *[CRASH] * 4), timeout=LIMIT_S) == 5

    def test_a_call_ends_with_its_actor_though_it_has_retries(self, ray: Any, make: Any, journal: Journal) -> None:
        actor = make(max_restarts=1, max_task_retries=-1)
        with pytest.raises(ray.exceptions.ActorDiedError, match="Restartable"):
            ray.get(actor.run.remote("run", *[CRASH] * 9), timeout=LIMIT_S)
        assert journal.lines() == [CONSTRUCTED, "run"] * 2

    @pytest.mark.parametrize("way", ["os._exit(0)", "sys.exit(1)", "SIGKILL"])
    def test_a_call_is_run_again_after_each_kind_of_crash(self, ray: Any, make: Any, way: str) -> None:
        assert ray.get(make(max_task_retries=1).run.remote("run", way), timeout=LIMIT_S) == 2

    def test_a_call_is_run_again_after_a_kill_with_no_restart_false(
        self, ray: Any, make: Any, gate: Gate, journal: Journal, restarts: Any, started: Any
    ) -> None:
        actor = make(max_task_retries=1)
        ref = actor.wait.remote(gate, "run")
        started("run")
        ray.kill(actor, no_restart=False)
        restarts(1)
        gate.open()
        assert ray.get(ref, timeout=LIMIT_S) == "run"
        assert journal.lines() == [CONSTRUCTED, "run"] * 2

    @pytest.mark.differs("Ray fails the second run if the actor still restarts and its class has no retries")
    @pytest.mark.differs_on_cluster(
        "as on Ray, the second run fails if the actor still restarts and its class has no retries"
    )
    def test_a_call_may_have_retries_of_its_own(self, ray: Any, make: Any) -> None:
        ref = make().run.options(max_task_retries=1).remote("run", CRASH)
        assert ray.get(ref, timeout=LIMIT_S) == 2

    @pytest.mark.differs("Ray fails the second run if the actor still restarts and its class has no retries")
    @pytest.mark.differs_on_cluster(
        "as on Ray, the second run fails if the actor still restarts and its class has no retries"
    )
    def test_a_method_may_have_retries_of_its_own(self, ray: Any, make: Any) -> None:
        actor = make(cls=declared(ray, max_task_retries=1))
        assert ray.get(actor.run.remote("run", CRASH), timeout=LIMIT_S) == 2

    def test_the_methods_retries_count_and_not_the_class(
        self, ray: Any, make: Any, is_unavailable: Any, journal: Journal
    ) -> None:
        actor = make(cls=declared(ray, max_task_retries=1), max_restarts=-1, max_task_retries=5)
        is_unavailable(actor.run.remote("run", *[CRASH] * 9))
        assert journal.lines().count("run") == 2

    def test_a_method_without_retries_counts_and_not_the_class(
        self, ray: Any, make: Any, is_unavailable: Any, journal: Journal
    ) -> None:
        actor = make(cls=declared(ray, max_task_retries=0), max_restarts=-1, max_task_retries=5)
        is_unavailable(actor.run.remote("run", *[CRASH] * 9))
        assert journal.lines().count("run") == 1

    @pytest.mark.parametrize("retries", [0, 1])
    def test_the_calls_retries_count_and_not_the_methods(
        self, ray: Any, make: Any, is_unavailable: Any, journal: Journal, retries: int
    ) -> None:
        actor = make(cls=declared(ray, max_task_retries=5), max_restarts=-1, max_task_retries=5)
        is_unavailable(actor.run.options(max_task_retries=retries).remote("run", *[CRASH] * 9))
        assert journal.lines().count("run") == retries + 1

    def test_the_retries_of_options_count_and_not_those_of_the_class(
        self, ray: Any, is_unavailable: Any, journal: Journal
    ) -> None:
        cls = ray.remote(max_restarts=-1, max_task_retries=5)(Restartable)
        is_unavailable(cls.options(max_task_retries=1).remote(journal).run.remote("run", *[CRASH] * 9))
        assert journal.lines().count("run") == 2

    def test_a_named_actors_retries_count_for_handles_of_get_actor(self, ray: Any, make: Any, name: str) -> None:
        actor = make(max_task_retries=1, name=name)
        assert ray.get(ray.get_actor(name).run.remote("run", CRASH), timeout=LIMIT_S) == 2
        del actor

    def test_answered_calls_are_not_run_again(self, ray: Any, make: Any, journal: Journal) -> None:
        actor = make(max_task_retries=-1)
        assert ray.get(actor.note.remote("before")) == "before"
        assert ray.get(actor.run.remote("run", CRASH), timeout=LIMIT_S) == 2
        assert journal.lines() == [CONSTRUCTED, "before", "run", CONSTRUCTED, "run"]

    def test_queued_calls_with_a_retry_are_run(self, ray: Any, make: Any) -> None:
        actor = make(max_task_retries=1)
        refs = [actor.run.remote("run", CRASH), *(actor.note.remote(line) for line in "abc")]
        assert ray.get(refs, timeout=LIMIT_S) == [2, "a", "b", "c"]

    @pytest.mark.differs("Ray runs retried calls in another order")
    @pytest.mark.differs_on_cluster("as on Ray, retried calls run in another order")
    def test_queued_calls_with_a_retry_are_run_in_order(self, ray: Any, make: Any, journal: Journal) -> None:
        actor = make(max_task_retries=1)
        refs = [actor.run.remote("run", CRASH), *(actor.note.remote(line) for line in "abc")]
        assert ray.get(refs, timeout=LIMIT_S) == [2, "a", "b", "c"]
        assert journal.lines() == [CONSTRUCTED, "run", CONSTRUCTED, "run", "a", "b", "c"]

    def test_queued_calls_without_a_retry_fail(
        self, ray: Any, make: Any, gate: Gate, started: Any, is_unavailable: Any, journal: Journal, answer: Any
    ) -> None:
        actor = make()
        running = actor.wait.remote(gate, "running")
        queued = actor.note.remote("queued")
        started("running")
        ray.kill(actor, no_restart=False)
        is_unavailable(running)
        is_unavailable(queued)
        answer(actor.pid)
        assert "queued" not in journal.lines()

    def test_results_in_store_outlive_the_crash(self, ray: Any, make: Any, answer: Any, crash: Any) -> None:
        actor = make((), None, b"x" * 2_000_000)
        ref = actor.kept.remote()
        ray.wait([ref])
        crash(actor)
        answer(actor.pid)
        assert ray.get(ref, timeout=LIMIT_S) == b"x" * 2_000_000

    def test_objects_of_the_crashed_process_are_lost(
        self, ray: Any, make: Any, answer: Any, crash: Any, eventually: Any
    ) -> None:
        actor = make()
        (ref,) = ray.get(actor.__ray_call__.remote(lambda self: [ray.put(b"x" * 2_000_000)]))
        crash(actor)
        answer(actor.pid)
        with pytest.raises(ray.exceptions.ObjectLostError, match=r"(?s)."):
            ray.get(ref, timeout=LIMIT_S)

    def test_a_retried_call_gets_its_arguments_again(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_restarts=1, max_task_retries=1)
        class Actor:
            def measure(self, value: bytes, journal: Journal) -> int:
                journal.note("run")
                if journal.lines().count("run") < 2:
                    os._exit(1)
                return len(value)

        actor = Actor.remote()
        assert ray.get(actor.measure.remote(ray.put(b"x" * 2_000_000), journal), timeout=LIMIT_S) == 2_000_000

    @pytest.mark.differs("Ray's `method` has no timeout_s")
    def test_the_time_limit_of_a_method_spans_all_runs(
        self, ray: Any, make: Any, crash: Any, gate: Gate, started: Any
    ) -> None:
        class Limited(Restartable):
            @ray.method(timeout_s=1.5)
            def wait(self, gate: Gate, line: str) -> str:
                return super().wait(gate, line)

        actor = make(cls=Limited, max_task_retries=-1)
        pid = ray.get(actor.pid.remote())
        ref = actor.wait.remote(gate, "runs")
        started("runs")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ray.exceptions.CallTimeoutError, match=r"1\.5 s"):
            ray.get(ref, timeout=LIMIT_S)


class TestRetriedExceptions:
    @pytest.mark.parametrize("retried", [True, [ValueError], [KeyError, Exception]], ids=["all", "own type", "base"])
    def test_a_call_that_raises_is_run_again(self, ray: Any, make: Any, retried: Any, journal: Journal) -> None:
        actor = make(max_task_retries=2)
        assert ray.get(actor.run.options(retry_exceptions=retried).remote("run", "raise"), timeout=LIMIT_S) == 2
        assert journal.lines() == [CONSTRUCTED, "run", "run"]

    def test_a_method_may_declare_them(self, ray: Any, make: Any) -> None:
        actor = make(cls=declared(ray, max_task_retries=1, retry_exceptions=[ValueError]))
        assert ray.get(actor.run.remote("run", "raise"), timeout=LIMIT_S) == 2

    @pytest.mark.parametrize("retried", [False, [KeyError]], ids=["none", "other type"])
    def test_other_errors_are_not_retried(self, ray: Any, make: Any, retried: Any, journal: Journal) -> None:
        actor = make(max_task_retries=2)
        with pytest.raises(ValueError, match="again"):
            ray.get(actor.run.options(retry_exceptions=retried).remote("run", "raise"), timeout=LIMIT_S)
        assert journal.lines().count("run") == 1

    def test_an_error_is_retried_as_often_as_max_task_retries_says(self, ray: Any, make: Any, journal: Journal) -> None:
        actor = make(max_task_retries=2)
        with pytest.raises(ValueError, match="again"):
            ray.get(actor.run.options(retry_exceptions=True).remote("run", *["raise"] * 9), timeout=LIMIT_S)
        assert journal.lines().count("run") == 3

    def test_an_actor_without_restarts_retries_errors(self, ray: Any, make: Any) -> None:
        actor = make(max_restarts=0, max_task_retries=1)
        assert ray.get(actor.run.options(retry_exceptions=True).remote("run", "raise"), timeout=LIMIT_S) == 2

    def test_without_max_task_retries_no_error_is_retried(self, ray: Any, make: Any, journal: Journal) -> None:
        with pytest.raises(ValueError, match="again"):
            ray.get(make().run.options(retry_exceptions=True).remote("run", "raise"), timeout=LIMIT_S)
        assert journal.lines().count("run") == 1

    def test_errors_and_crashes_share_one_budget(self, ray: Any, make: Any, journal: Journal) -> None:
        actor = make(max_restarts=-1, max_task_retries=2)
        ref = actor.run.options(retry_exceptions=True).remote("run", "raise", CRASH, "raise", "raise")
        with pytest.raises(ValueError, match="again"):
            ray.get(ref, timeout=LIMIT_S)
        assert journal.lines().count("run") == 3

    def test_a_crash_after_errors_has_no_retry_left(
        self, ray: Any, make: Any, is_unavailable: Any, journal: Journal
    ) -> None:
        actor = make(max_restarts=-1, max_task_retries=2)
        is_unavailable(actor.run.options(retry_exceptions=True).remote("run", "raise", "raise", CRASH, CRASH))
        assert journal.lines().count("run") == 3

    def test_an_error_after_the_retry_is_raised(self, ray: Any, make: Any) -> None:
        actor = make(max_task_retries=-1)
        ref = actor.run.options(retry_exceptions=[ValueError]).remote("run", "raise", "raise", "raise KeyError")
        with pytest.raises(KeyError, match="again"):
            ray.get(ref, timeout=LIMIT_S)

    @pytest.mark.parametrize("options", [{"cls": AsyncRestartable}, {"max_concurrency": 3}], ids=["async", "threads"])
    def test_concurrent_actors_retry_errors(self, ray: Any, make: Any, options: Any) -> None:
        actor = make(max_task_retries=2, **options)
        refs = [actor.run.options(retry_exceptions=True).remote(line, "raise") for line in "abc"]
        assert ray.get(refs, timeout=LIMIT_S) == [2, 2, 2]


@pytest.mark.parametrize("options", [{"cls": AsyncRestartable}, {"max_concurrency": 3}], ids=["async", "threads"])
class TestConcurrentActors:
    def test_all_running_calls_are_run_again(
        self, ray: Any, make: Any, options: Any, gate: Gate, started: Any, journal: Journal, eventually: Any
    ) -> None:
        actor = make(max_task_retries=1, **options)
        pid = ray.get(actor.pid.remote())
        refs = [actor.wait.remote(gate, line) for line in "ab"]
        started("a")
        started("b")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: [journal.lines().count(line) for line in "ab"] == [2, 2], LIMIT_S)
        gate.open()
        assert ray.get(refs, timeout=LIMIT_S) == ["a", "b"]

    def test_all_running_calls_without_a_retry_fail(
        self, ray: Any, make: Any, options: Any, gate: Gate, started: Any, is_unavailable: Any, answer: Any
    ) -> None:
        actor = make(**options)
        pid = ray.get(actor.pid.remote())
        refs = [actor.wait.remote(gate, line) for line in "ab"]
        started("a")
        started("b")
        os.kill(pid, signal.SIGKILL)
        for ref in refs:
            is_unavailable(ref)
        assert answer(actor.pid) != pid


@pytest.mark.parametrize("cls", [Restartable, AsyncRestartable])
class TestGenerators:
    def test_a_generator_with_a_retry_yields_each_value_once(
        self, ray: Any, make: Any, cls: type, gate: Gate, journal: Journal
    ) -> None:
        values = make(cls=cls, max_task_retries=1).stream.remote(gate, 4)
        seen = [ray.get(next(values), timeout=LIMIT_S), ray.get(next(values), timeout=LIMIT_S)]
        gate.open()
        seen += [ray.get(ref, timeout=LIMIT_S) for ref in values]
        assert seen == [0, 1, 2, 3]
        assert journal.lines() == [CONSTRUCTED, "stream"] * 2

    def test_a_generator_without_a_retry_fails_after_its_values(
        self, ray: Any, make: Any, cls: type, gate: Gate, is_unavailable: Any, answer: Any
    ) -> None:
        actor = make(cls=cls)
        values = actor.stream.remote(gate, 4)
        assert [ray.get(next(values), timeout=LIMIT_S) for _ in range(2)] == [0, 1]
        gate.open()
        is_unavailable(next(values))
        with pytest.raises(StopIteration, match=r"^$"):
            next(values)
        answer(actor.pid)


class TestWhileItRestarts:
    """The next process waits in the constructor, at a gate."""

    @pytest.fixture
    def restarting(self, make: Any, gate: Gate, crash: Any, restarts: Any) -> Callable[..., Any]:
        def restarting(**options: Any) -> Any:
            actor = make((), gate, **options)
            crash(actor)
            restarts(1)
            return actor

        return restarting

    @pytest.mark.differs("Ray fails the call until the constructor has returned")
    @pytest.mark.differs_on_cluster("as on Ray, the call fails until the constructor has returned")
    def test_a_call_without_a_retry_waits_for_the_constructor(self, ray: Any, restarting: Any, gate: Gate) -> None:
        ref = restarting().increment.remote()
        assert ray.wait([ref], timeout=0.2) == ([], [ref])
        gate.open()
        assert ray.get(ref, timeout=LIMIT_S) == 1

    def test_a_call_with_a_retry_waits(self, ray: Any, restarting: Any, gate: Gate) -> None:
        ref = restarting(max_task_retries=1).increment.remote()
        assert ray.wait([ref], timeout=0.2) == ([], [ref])
        gate.open()
        assert ray.get(ref, timeout=LIMIT_S) == 1

    def test_calls_with_a_retry_run_in_order(self, ray: Any, restarting: Any, gate: Gate) -> None:
        actor = restarting(max_task_retries=1)
        refs = [actor.increment.remote() for _ in range(5)]
        gate.open()
        assert ray.get(refs, timeout=LIMIT_S) == [1, 2, 3, 4, 5]

    def test_a_call_that_waits_can_be_cancelled(
        self, ray: Any, restarting: Any, gate: Gate, is_cancelled: Any, journal: Journal
    ) -> None:
        actor = restarting(max_task_retries=1)
        ref = actor.note.remote("never")
        later = actor.increment.remote()
        ray.cancel(ref)
        is_cancelled(ref)
        gate.open()
        assert ray.get(later, timeout=LIMIT_S) == 1
        assert "never" not in journal.lines()

    def test_a_named_actor_is_listed_and_found(
        self, ray: Any, restarting: Any, gate: Gate, name: str, answer: Any
    ) -> None:
        actor = restarting(name=name)
        assert name in ray.util.list_named_actors()
        found = ray.get_actor(name)
        assert found == actor
        gate.open()
        assert answer(found.increment) == 1

    def test_get_if_exists_finds_it(
        self, ray: Any, restarting: Any, gate: Gate, name: str, journal: Journal, answer: Any
    ) -> None:
        actor = restarting(name=name)
        same = ray.remote(Restartable).options(name=name, get_if_exists=True).remote(journal)
        assert same == actor
        gate.open()
        assert answer(same.increment) == 1
        assert journal.lines() == [CONSTRUCTED] * 2

    def test_its_name_is_taken(self, ray: Any, restarting: Any, name: str, journal: Journal) -> None:
        actor = restarting(name=name)
        with pytest.raises(ValueError, match=name):
            ray.remote(Restartable).options(name=name).remote(journal)
        del actor

    def test_a_kill_ends_it(self, ray: Any, restarting: Any, is_dead: Any, gate: Gate, journal: Journal) -> None:
        actor = restarting(max_restarts=-1, max_task_retries=-1)
        ref = actor.pid.remote()
        ray.kill(actor)
        with pytest.raises(ray.exceptions.ActorDiedError, match="kill"):
            ray.get(ref, timeout=LIMIT_S)
        is_dead(actor)
        gate.open()
        assert journal.lines() == [CONSTRUCTED] * 2

    def test_a_second_crash_restarts_it_once_more(self, ray: Any, make: Any, crash: Any, journal: Journal) -> None:
        actor = make(("", CRASH), max_restarts=2, max_task_retries=1)
        crash(actor)
        assert ray.get(actor.increment.remote(), timeout=LIMIT_S) == 1
        assert journal.lines() == [CONSTRUCTED] * 3

    @pytest.mark.one_node("it counts the amounts of one")
    def test_it_holds_its_resources_once(self, ray: Any, make: Any, answer: Any, crash: Any, eventually: Any) -> None:
        def left() -> float:
            return float(ray.available_resources().get("widget", 0))

        eventually(lambda: left() == 2)
        actor = make(resources={"widget": 1})
        crash(actor)
        answer(actor.pid)
        eventually(lambda: left() == 1)
        other = ray.remote(Echo).options(resources={"widget": 1}).remote()
        ray.get(other.pid.remote(), timeout=LIMIT_S)
        eventually(lambda: left() == 0)
        del other
        ray.kill(actor)
        eventually(lambda: left() == 2)


CREATOR = """
    from conformance.restartable import Restartable
    from conformance.subjects import Gate

    ray.init(namespace="conformance")
    options = dict(name={name!r}, lifetime="detached", max_restarts=-1)
    gate = Gate({gate!r})
"""


class TestDetachedActors:
    """The driver that has created the actor has exited."""

    @pytest.fixture
    def orphan(
        self, ray: Any, drivers: Drivers, journal: Journal, gate: Gate, name: str, eventually: Any
    ) -> Iterator[Callable[..., Any]]:
        """Return an actor of another driver, from the arguments of the constructor as source text."""

        def orphan(arguments: str = "journal", then: str = "ray.get(actor.pid.remote())", **options: Any) -> Any:
            source = CREATOR.format(name=name, gate=gate.path)
            source += f"    journal = Journal({journal.path!r})\n"
            source += f"    options.update({options!r})\n"
            source += f"    actor = ray.remote(Restartable).options(**options).remote({arguments})\n    {then}\n"
            drivers.run(source)
            return ray.get_actor(name)

        yield orphan
        try:
            ray.kill(ray.get_actor(name))
        except ValueError:
            pass

    def test_it_restarts(self, orphan: Any, crash: Any, answer: Any, journal: Journal) -> None:
        actor = orphan()
        for _ in range(2):
            crash(actor)
            assert [answer(actor.increment), answer(actor.increment)] == [1, 2]
        assert journal.lines() == [CONSTRUCTED] * 3

    def test_it_restarts_as_often_as_max_restarts_says(
        self, orphan: Any, crash: Any, answer: Any, is_dead: Any, name: str, ray: Any, eventually: Any
    ) -> None:
        actor = orphan(max_restarts=1)
        crash(actor)
        assert answer(actor.increment) == 1
        crash(actor)
        is_dead(actor)
        eventually(lambda: name not in ray.util.list_named_actors())

    def test_a_driver_may_exit_at_once(self, ray: Any, orphan: Any, answer: Any, crash: Any) -> None:
        actor = orphan(then="pass")
        assert answer(actor.increment) == 1
        crash(actor)
        assert answer(actor.increment) == 1

    def test_calls_with_a_retry_go_on(
        self, ray: Any, orphan: Any, gate: Gate, started: Any, journal: Journal, restarts: Any
    ) -> None:
        actor = orphan(max_task_retries=1)
        pid = ray.get(actor.pid.remote())
        running, queued = actor.wait.remote(gate, "runs"), actor.note.remote("queued")
        started("runs")
        os.kill(pid, signal.SIGKILL)
        restarts(1)
        gate.open()
        assert ray.get([running, queued], timeout=LIMIT_S) == ["runs", "queued"]

    def test_another_driver_finds_it_while_it_restarts(
        self, ray: Any, orphan: Any, crash: Any, restarts: Any, gate: Gate, name: str, drivers: Drivers
    ) -> None:
        actor = orphan("journal, (), gate", max_task_retries=-1)
        crash(actor)
        restarts(1)
        assert name in ray.util.list_named_actors()
        assert ray.get_actor(name) == actor
        driver = drivers.start(
            f"""
            ray.init(namespace="conformance")
            actor = ray.get_actor({name!r})
            ref = actor.increment.remote()
            say("found", name={name!r} in ray.util.list_named_actors())
            say(ray.get(ref, timeout={LIMIT_S}))
            """.replace("name=", "")
        )
        assert driver.line() == "found True"
        gate.open()
        assert driver.line() == "1"
        driver.finish()

    def test_a_crash_in_the_constructor_restarts_it(self, orphan: Any, answer: Any, journal: Journal) -> None:
        actor = orphan(f"journal, ({CRASH!r}, {CRASH!r})", then="pass")
        assert answer(actor.increment) == 1
        assert journal.lines() == [CONSTRUCTED] * 3

    @pytest.mark.differs("Ray loses large arguments and references with their owner, and ends the actor")
    @pytest.mark.differs_on_cluster(
        "as on Ray, large arguments and references are lost with their owner, and the actor ends"
    )
    @pytest.mark.parametrize("size", [10, 2_000_000])
    @pytest.mark.parametrize("kind", ["value", "reference"])
    def test_its_arguments_are_given_again(self, orphan: Any, crash: Any, answer: Any, size: int, kind: str) -> None:
        value = f"b'x' * {size}"
        actor = orphan(f"journal, (), None, {value if kind == 'value' else f'ray.put({value})'}")
        crash(actor)
        assert answer(actor.kept) == b"x" * size

    def test_a_reference_within_an_argument_is_lost_with_its_owner(
        self, ray: Any, orphan: Any, crash: Any, answer: Any
    ) -> None:
        actor = orphan("journal, (), None, [ray.put(b'x' * 2_000_000)]")
        crash(actor)
        (ref,) = answer(actor.kept)
        with pytest.raises(ray.exceptions.ObjectLostError, match=r"(?s)."):
            ray.get(ref, timeout=LIMIT_S)

    def test_an_actor_may_be_its_creator(
        self, ray: Any, name: str, journal: Journal, crash: Any, answer: Any, eventually: Any
    ) -> None:
        @ray.remote
        class Creator:
            def create(self) -> int:
                options = {"name": name, "lifetime": "detached", "max_restarts": 1}
                actor = ray.remote(Restartable).options(**options).remote(journal)
                return int(ray.get(actor.pid.remote()))

            def pid(self) -> int:
                return os.getpid()

        creator = Creator.remote()
        pid, _ = ray.get([creator.pid.remote(), creator.create.remote()])
        ray.kill(creator)
        eventually(lambda: not is_running(pid))
        actor = ray.get_actor(name)
        crash(actor)
        assert answer(actor.increment) == 1
        ray.kill(actor)


class TestArgumentsOfCalls:
    def test_a_call_whose_argument_comes_after_the_restart_runs(
        self, ray: Any, make: Any, gate: Gate, restarts: Any, answered_elsewhere: Any
    ) -> None:
        actor = make()
        pid = ray.get(actor.pid.remote())
        other = ray.remote(Echo).remote()
        waiting = actor.note.remote(other.wait.remote(gate))
        os.kill(pid, signal.SIGKILL)
        restarts(1)
        assert answered_elsewhere(actor) != pid
        gate.open()
        assert ray.get(waiting, timeout=LIMIT_S) == "passed"

    def test_a_call_with_a_retry_runs_with_an_argument_that_comes_during_the_restart(
        self, ray: Any, make: Any, gate: Gate, crash: Any, restarts: Any
    ) -> None:
        actor = make((), gate, max_task_retries=1)
        crash(actor)
        restarts(1)
        ref = actor.note.remote(ray.remote(Echo).remote().echo.remote("given"))
        gate.open()
        assert ray.get(ref, timeout=LIMIT_S) == "given"

    def test_a_task_may_wait_for_a_call_that_is_run_again(self, ray: Any, make: Any) -> None:
        @ray.remote
        def double(value: int) -> int:
            return 2 * value

        ref = double.remote(make(max_task_retries=1).run.remote("run", CRASH))
        assert ray.get(ref, timeout=LIMIT_S) == 4


class TestOtherProcesses:
    def test_a_task_reaches_the_restarted_actor(self, ray: Any, make: Any, crash: Any, answered_elsewhere: Any) -> None:
        actor = make()
        pid = ray.get(actor.pid.remote())
        assert answered_elsewhere(actor) == pid
        crash(actor)
        assert answered_elsewhere(actor) != pid

    @pytest.mark.parametrize("retries", [0, -1])
    def test_another_actor_that_has_the_only_handle_reaches_the_restarted_actor(
        self, ray: Any, make: Any, eventually: Any, retries: int, restarts: Any
    ) -> None:
        keeper = ray.remote(Keeper).remote(make(max_task_retries=retries))

        def ask(self: Any) -> int | None:
            try:
                return int(ray.get(self.kept.pid.remote()))
            except ray.exceptions.ActorUnavailableError:
                return None

        pid = ray.get(keeper.__ray_call__.remote(ask), timeout=LIMIT_S)
        os.kill(pid, signal.SIGKILL)
        restarts(1)
        again = eventually(lambda: ray.get(keeper.__ray_call__.remote(ask), timeout=LIMIT_S), LIMIT_S)
        assert again != pid

    def test_a_call_of_another_process_is_run_again(self, ray: Any, make: Any) -> None:
        @ray.remote
        def ask(actor: Any) -> int:
            return int(ray.get(actor.run.remote("run", CRASH)))

        assert ray.get(ask.remote(make(max_task_retries=1)), timeout=LIMIT_S) == 2

    def test_all_callers_calls_are_run_again(
        self, ray: Any, make: Any, gate: Gate, started: Any, journal: Journal, restarts: Any
    ) -> None:
        @ray.remote(num_cpus=0.1)
        def ask(actor: Any, line: str) -> str:
            return str(ray.get(actor.note.remote(line)))

        actor = make(max_task_retries=1)
        pid = ray.get(actor.pid.remote())
        own = actor.wait.remote(gate, "own")
        started("own")
        asked = [ask.remote(actor, line) for line in "abc"]
        os.kill(pid, signal.SIGKILL)
        gate.open()
        assert ray.get([own, *asked], timeout=LIMIT_S) == ["own", "a", "b", "c"]

    def test_an_actor_of_an_actor_restarts(self, ray: Any, journal: Journal, answer: Any, crash: Any) -> None:
        creator = ray.remote(Keeper).remote()
        options = {"max_restarts": 1, "num_cpus": 0}
        actor = ray.get(
            creator.__ray_call__.remote(lambda self: ray.remote(Restartable).options(**options).remote(journal))
        )
        crash(actor)
        assert answer(actor.increment) == 1

    def test_an_actor_that_restarts_dies_with_its_creator(
        self, ray: Any, journal: Journal, crash: Any, restarts: Any, gate: Gate, is_dead: Any
    ) -> None:
        creator = ray.remote(Keeper).remote()
        options = {"max_restarts": -1, "num_cpus": 0}
        actor = ray.get(
            creator.__ray_call__.remote(
                lambda self: ray.remote(Restartable).options(**options).remote(journal, (), gate)
            )
        )
        crash(actor)
        restarts(1)
        ray.kill(creator)
        is_dead(actor)

    def test_an_actor_does_not_restart_without_its_creator(self, ray: Any, journal: Journal, is_dead: Any) -> None:
        creator = ray.remote(Keeper).remote()
        options = {"max_restarts": -1, "num_cpus": 0}
        actor = ray.get(
            creator.__ray_call__.remote(lambda self: ray.remote(Restartable).options(**options).remote(journal))
        )
        ray.get(actor.pid.remote())
        ray.kill(creator)
        is_dead(actor)
        assert journal.lines() == [CONSTRUCTED]

    def test_a_detached_actor_restarts_while_its_creator_lives(
        self, ray: Any, make: Any, name: str, crash: Any, answer: Any
    ) -> None:
        actor = make(name=name, lifetime="detached")
        crash(actor)
        del actor
        found = ray.get_actor(name)
        assert answer(found.increment) == 1
        ray.kill(found)
