"""`cancel(ref, interrupt=True)`: wherever the method happens to be, and whoever asks. nbactors's own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from conformance.cancelling import LONG_S, Steady, Sticky
from conformance.latch import Latch
from conformance.subjects import Gate, Journal, Keeper

pytestmark = pytest.mark.differs("only nbactors has it")

_ORDER_WAITS = pytest.mark.differs_on_cluster(
    "Ray holds a lock while it unpickles values, and the order to interrupt waits for it"
)
_PICKLED_LATER = pytest.mark.differs_on_cluster(
    "Ray pickles what a method has returned or yielded after it, where no interrupt reaches"
)


async def suspend() -> None:
    await asyncio.sleep(LONG_S)


class Placed(Steady):
    """Is stuck in one of many places."""

    def stick(self, where: str) -> str:
        self.journal.note("stuck")
        getattr(self, f"_{where}")()
        return "never stopped"

    def _pipe(self) -> None:
        ours, theirs = os.pipe()
        try:
            os.read(ours, 1)
        finally:
            os.close(ours)
            os.close(theirs)

    def _select(self) -> None:
        select.select([], [], [], LONG_S)

    def _queue(self) -> None:
        queue.Queue[int]().get(timeout=LONG_S)

    def _join(self) -> None:
        done = threading.Event()
        thread = threading.Thread(target=done.wait, args=(LONG_S,))
        thread.start()
        try:
            thread.join()
        finally:
            done.set()

    def _future(self) -> None:
        done = threading.Event()
        with ThreadPoolExecutor(1) as executor:
            try:
                executor.submit(done.wait, LONG_S).result()
            finally:
                done.set()

    def _asyncio(self) -> None:
        asyncio.run(suspend())

    def _signal(self) -> None:
        signal.pause()

    def _nested(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(self.done.append, "exited")
                time.sleep(LONG_S)
        except Exception:
            self.done.append("caught as an Exception")
        finally:
            self.done.append("finally")

    def _except(self) -> None:
        try:
            raise KeyError("mine")
        except KeyError:
            time.sleep(LONG_S)

    def _finally(self) -> None:
        try:
            pass
        finally:
            time.sleep(LONG_S)

    def _delegated(self) -> None:
        list(self._sleepy())

    def _sleepy(self) -> Iterator[int]:
        try:
            time.sleep(LONG_S)
            yield 1
        finally:
            self.done.append("generator closed")


@pytest.fixture
def started(journal: Journal, eventually: Callable[..., Any]) -> Callable[[str], None]:
    """Wait until the journal has a line."""
    return lambda line: eventually(lambda: line in journal.lines())


@pytest.fixture
def actor(ray: Any, journal: Journal) -> Any:
    actor = ray.remote(Placed).remote(journal)
    ray.get(actor.__ray_ready__.remote())
    return actor


def is_interrupted(ray: Any, call: Any) -> None:
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(call, timeout=10)


class TestPlaces:
    @pytest.mark.parametrize(
        "where",
        ["pipe", "select", "queue", "join", "future", "asyncio", "signal", "nested", "except", "finally", "delegated"],
    )
    def test_a_method_ends_wherever_it_is_and_the_actor_serves_on(
        self, ray: Any, actor: Any, started: Any, where: str
    ) -> None:
        call = actor.stick.remote(where)
        started("stuck")
        ray.cancel(call, interrupt=True)
        is_interrupted(ray, call)
        done = {"nested": ["exited", "finally"], "delegated": ["generator closed"]}.get(where, [])
        assert ray.get(actor.state.remote()) == done
        # Twice in the same actor.
        again = actor.loop.remote("again")
        started("again runs")
        ray.cancel(again, interrupt=True)
        is_interrupted(ray, again)

    @pytest.mark.parametrize("verb", ["get", "wait"])
    def test_a_method_inside_the_api_is_interrupted(self, ray: Any, journal: Journal, started: Any, verb: str) -> None:
        latch = ray.remote(Latch).remote()

        @ray.remote
        class Waiting:
            def block(self) -> Any:
                ref = latch.hold.remote()
                journal.note("stuck")
                return ray.get(ref) if verb == "get" else ray.wait([ref])

            def ask(self) -> Any:
                return ray.get(latch.echo.remote("served"))

        waiting = Waiting.remote()
        call = waiting.block.remote()
        started("stuck")
        ray.get(latch.held.remote(1))
        ray.cancel(call, interrupt=True, recursive=False)
        is_interrupted(ray, call)
        assert ray.get(waiting.ask.remote()) == "served"
        assert ray.get(latch.count.remote()) == 1
        ray.get(latch.open.remote())

    def test_children_are_cancelled_too(self, ray: Any, eventually: Callable[..., Any]) -> None:
        latch = ray.remote(Latch).remote()

        @ray.remote
        class Waiting:
            def block(self) -> Any:
                return ray.get(latch.hold.remote())

        call = Waiting.remote().block.remote()
        ray.get(latch.held.remote(1))
        ray.cancel(call, interrupt=True)
        is_interrupted(ray, call)
        eventually(lambda: ray.get(latch.count.remote()) == 0)

    @_ORDER_WAITS
    def test_a_call_whose_arguments_are_being_unpickled_is_interrupted(
        self, ray: Any, actor: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        from conformance.cancelling import Slow

        call = actor.note.remote("ran", Slow(gate, journal))
        started("unpickling")
        ray.cancel(call, interrupt=True)
        ray.wait([call], timeout=0.1)  # until it is told there
        gate.open()
        is_interrupted(ray, call)
        assert ray.get(actor.state.remote()) == []

    def test_a_signal_handler_of_the_user_is_kept(self, ray: Any, journal: Journal, started: Any) -> None:
        @ray.remote
        class Handling(Placed):
            def handle(self) -> None:
                signal.signal(signal.SIGUSR1, lambda *_: self.done.append("SIGUSR1"))

            def raise_it(self) -> list[str]:
                signal.raise_signal(signal.SIGUSR1)
                return self.done

        actor = Handling.remote(journal)
        ray.get(actor.handle.remote())
        call = actor.stick.remote("select")
        started("stuck")
        ray.cancel(call, interrupt=True)
        is_interrupted(ray, call)
        assert ray.get(actor.raise_it.remote()) == ["SIGUSR1"]


class Handling:
    """Is given, returns and handles values that are stuck while they are pickled or unpickled."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def take(self, value: Any) -> str:
        return "never stopped"

    def give(self) -> Any:
        return Sticky(self.journal, "pickling")

    def generate(self) -> Iterator[Any]:
        yield Sticky(self.journal, "pickling")

    def put(self) -> Any:
        import nbactors

        nbactors.put(Sticky(self.journal, "pickling"))

    def send(self) -> Any:
        import nbactors

        nbactors.get_runtime_context().current_actor.take.remote(Sticky(self.journal, "pickling"))

    def get(self, refs: list[Any]) -> Any:
        import nbactors

        nbactors.get(refs[0])

    def echo(self, value: int) -> int:
        return value


class AsyncHandling(Handling):
    """The same with a loop, on which the asynchronous method's result is pickled."""

    async def give_later(self) -> Any:
        await asyncio.sleep(0)
        return Sticky(self.journal, "pickling")


def ways_and_places() -> Iterator[Any]:
    """Yield each way to interrupt with each kind of actor and each place where it may be interrupted."""
    marks = {"take": _ORDER_WAITS, "get": _ORDER_WAITS, "give": _PICKLED_LATER, "give_later": _PICKLED_LATER}
    for how, kind in itertools.product(("cancel", "timeout_s"), ("plain", "threaded", "asyncio", "group")):
        # Only an actor with a loop has such methods; what its generators yield is not interrupted.
        last = "give_later" if kind in ("asyncio", "group") else "generate"
        for where in ("take", "give", "put", "send", "get", last):
            is_late = where == "generate" and how == "timeout_s"
            yield pytest.param(how, kind, where, marks=_PICKLED_LATER if is_late else marks.get(where, ()))


@pytest.mark.slow
class TestPickling:
    @pytest.fixture
    def handling(self, ray: Any, journal: Journal, kind: str) -> Any:
        options = {"threaded": {"max_concurrency": 2}, "group": {"concurrency_groups": {"group": 2}}}.get(kind, {})
        cls = Handling if kind in ("plain", "threaded") else AsyncHandling
        actor = (ray.remote(**options)(cls) if options else ray.remote(cls)).remote(journal)
        ray.get(actor.__ray_ready__.remote())
        return actor

    @pytest.mark.parametrize(("how", "kind", "where"), list(ways_and_places()))
    def test_user_code_in_pickling_is_interrupted(
        self, ray: Any, journal: Journal, started: Any, kind: str, handling: Any, where: str, how: str
    ) -> None:
        args = {"take": [Sticky(journal, "unpickling")], "get": [[ray.put(Sticky(journal, "unpickling"))]]}.get(
            where, []
        )
        options: dict[str, Any] = {"concurrency_group": "group"} if kind == "group" else {}
        if where == "generate":
            options["num_returns"] = "streaming"
        if how == "timeout_s":
            options["timeout_s"] = 0.3
        call = getattr(handling, where).options(**options).remote(*args)
        started(f"{'unpickling' if where in ('take', 'get') else 'pickling'} runs")
        if how == "cancel":
            ray.cancel(call, interrupt=True)
        ref = next(call) if where == "generate" else call
        if how == "cancel":
            is_interrupted(ray, ref)
        else:
            with pytest.raises(ray.exceptions.CallTimeoutError, match="running"):
                ray.get(ref, timeout=10)
        started(f"{'unpickling' if where in ('take', 'get') else 'pickling'} interrupted")
        assert ray.get(handling.echo.remote(1), timeout=10) == 1


class TestWhoAsks:
    def test_several_threads_can_interrupt_at_once(self, ray: Any, actor: Any, started: Any) -> None:
        call, behind = actor.stick.remote("select"), actor.note.remote("behind")
        started("stuck")
        threads = [threading.Thread(target=lambda: ray.cancel(call, interrupt=True)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        is_interrupted(ray, call)
        assert ray.get(behind) == "behind"
        assert ray.get(actor.state.remote()) == ["behind"]

    def test_another_actor_can_interrupt_the_call(self, ray: Any, actor: Any, started: Any) -> None:
        keeper = ray.remote(Keeper).remote()
        call = actor.stick.remote("select")
        ray.get(keeper.keep.remote([call]))
        started("stuck")

        @ray.remote
        class Other:
            def cancel(self, keeper: Any) -> None:
                ray.cancel(ray.get(keeper.give.remote())[0], interrupt=True)

        ray.get(Other.remote().cancel.remote(keeper))
        is_interrupted(ray, call)

    def test_force_with_interrupt_is_refused(self, ray: Any, actor: Any, started: Any) -> None:
        call = actor.stick.remote("select")
        started("stuck")
        with pytest.raises(ValueError, match="force"):
            ray.cancel(call, force=True, interrupt=True)
        ray.cancel(call, interrupt=True)
        is_interrupted(ray, call)

    def test_an_interrupt_of_a_dead_actors_call_does_nothing(self, ray: Any, actor: Any, started: Any) -> None:
        call = actor.stick.remote("select")
        started("stuck")
        ray.kill(actor)
        with pytest.raises(ray.exceptions.ActorDiedError, match="kill"):
            ray.get(call)
        assert ray.cancel(call, interrupt=True) is None
        with pytest.raises(ray.exceptions.ActorDiedError, match="kill"):
            ray.get(call)

    def test_dependents_of_an_interrupted_call_fail(self, ray: Any, actor: Any, journal: Journal, started: Any) -> None:
        other = ray.remote(Steady).remote(journal)
        call = actor.stick.remote("select")
        dependent = other.note.remote("ran", call)
        started("stuck")
        ray.cancel(call, interrupt=True)
        is_interrupted(ray, dependent)
        assert ray.get(other.state.remote()) == []


class TestTimeLimits:
    """The same ends of calls, by the clock."""

    def test_await_raises_a_timeout_error(self, ray: Any, actor: Any) -> None:
        async def main() -> str:
            try:
                await actor.stick.options(timeout_s=0.1).remote("select")
            except TimeoutError as error:
                return type(error).__name__
            return "no"

        assert "CallTimeoutError" in asyncio.run(main())

    def test_a_time_limit_works_for_a_caller_in_another_process(self, ray: Any, actor: Any) -> None:
        @ray.remote
        def call(actor: Any) -> str:
            try:
                ray.get(actor.stick.options(timeout_s=0.1).remote("select"))
            except ray.exceptions.CallTimeoutError as error:
                return str(error.phase)
            return "no"

        assert ray.get(call.remote(actor)) == "running"

    @pytest.mark.slow
    def test_a_task_beyond_its_time_limit_is_not_retried(self, ray: Any, journal: Journal) -> None:
        @ray.remote
        def stick() -> None:
            journal.note("run")
            time.sleep(LONG_S)

        with pytest.raises(ray.exceptions.CallTimeoutError, match=r"0\.5 s"):
            ray.get(stick.options(timeout_s=0.5, max_retries=3, retry_exceptions=True).remote(), timeout=10)
        assert journal.lines().count("run") <= 1

    def test_many_time_limits_work_at_once(self, ray: Any, actor: Any, gate: Gate, started: Any) -> None:
        waiting = actor.wait.remote(gate)
        started("waits")
        late = [actor.note.options(timeout_s=0.05).remote(f"late {index}") for index in range(100)]
        kept = [actor.note.options(timeout_s=60).remote(f"kept {index}") for index in range(3)]
        for call in late:
            with pytest.raises(ray.exceptions.CallTimeoutError, match="queued"):
                ray.get(call, timeout=10)
        gate.open()
        assert ray.get([waiting, *kept]) == ["passed", "kept 0", "kept 1", "kept 2"]
        assert ray.get(actor.state.remote()) == ["waited", "kept 0", "kept 1", "kept 2"]

    def test_the_later_of_two_time_limits_does_not_delay_the_earlier(self, ray: Any, actor: Any) -> None:
        call = actor.stick.options(timeout_s=0.1).remote("select")
        queued = actor.note.options(timeout_s=60).remote("behind")
        with pytest.raises(ray.exceptions.CallTimeoutError, match="running"):
            ray.get(call)
        assert ray.get(queued) == "behind"

    def test_a_call_beyond_its_time_limit_is_ready_for_wait(self, ray: Any, actor: Any) -> None:
        call = actor.stick.options(timeout_s=0.1).remote("select")
        assert ray.wait([call], timeout=10) == ([call], [])
