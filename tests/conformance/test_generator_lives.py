"""Generators: how they are declared, what they keep alive, and how they end with their call and their actor."""

# ruff: noqa: UP028 - Ray sends into a generator what `yield from` would send on, and iterators take nothing.

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from conformance.latch import Latch
from conformance.subjects import Echo, Gate, Journal, Keeper, is_running

ENDED = object()
BOUND = "_generator_backpressure_num_objects"


class Counting:
    """Counts, and notes in a journal what it does."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal

    def count(self, number: int) -> Iterator[int]:
        for i in range(number):
            yield i

    def note(self, number: int) -> Iterator[int]:
        assert self.journal is not None
        try:
            for i in range(number):
                self.journal.note(i)
                yield i
        finally:
            self.journal.note("finally")

    def wait(self, gate: Gate) -> str:
        gate.wait()
        return "passed"

    def ping(self) -> str:
        return "pong"


class Inheriting(Counting):
    pass


class Abandoned:
    """Generators that do not end well when nobody reads on."""

    def stubborn(self, journal: Journal) -> Iterator[int]:
        for i in range(1000):
            try:
                yield i
            except GeneratorExit:
                journal.note("goes on")

    def failing(self, journal: Journal) -> Iterator[int]:
        try:
            for i in range(1000):
                yield i
        finally:
            journal.note("fails")
            raise ValueError("nobody reads this")

    def ping(self) -> str:
        return "pong"


class TestDeclared:
    def test_an_inherited_generator_method_streams(self, ray: Any) -> None:
        assert ray.get(list(ray.remote(Inheriting).remote().count.remote(2))) == [0, 1]

    def test_num_returns_of_the_call_replaces_that_of_the_method(self, ray: Any) -> None:
        @ray.remote
        class Declared:
            @ray.method(num_returns="streaming")
            def stream(self) -> Iterator[int]:
                yield 1
                yield 2

            @ray.method(num_returns=2)
            def two(self) -> Iterator[int]:
                yield 1
                yield 2

        actor = Declared.remote()
        assert ray.get(list(actor.stream.remote())) == [1, 2]
        assert ray.get(actor.two.remote()) == [1, 2]
        # What the call says wins.
        assert ray.get(list(actor.two.options(num_returns="streaming").remote())) == [1, 2]

    def test_a_generator_task_can_return_a_number_of_references(self, ray: Any) -> None:
        @ray.remote(num_returns=2)
        def two() -> Iterator[int]:
            yield 1
            yield 2

        assert ray.get(two.remote()) == [1, 2]
        assert ray.get(list(two.options(num_returns="streaming").remote())) == [1, 2]

    def test_wrong_arguments_fail_at_the_call(self, ray: Any) -> None:
        actor = ray.remote(Counting).remote()
        with pytest.raises(TypeError, match="number"):
            actor.count.remote()

    def test_handles_in_other_processes_know_the_generator(self, ray: Any, name: str) -> None:
        actor = ray.remote(Counting).options(name=name).remote()

        @ray.remote
        def read(handle: Any) -> tuple[list[int], list[int]]:
            named = ray.get_actor(name)
            return ray.get(list(handle.count.remote(2))), ray.get(list(named.count.remote(3)))

        assert ray.get(read.remote(actor)) == ([0, 1], [0, 1, 2])

    def test_a_generator_task_can_read_another_one(self, ray: Any) -> None:
        @ray.remote
        def inner(number: int) -> Iterator[int]:
            for i in range(number):
                yield i

        @ray.remote
        def outer(number: int) -> Iterator[int]:
            for ref in inner.remote(number):
                yield 10 * ray.get(ref)

        assert ray.get(list(outer.remote(3))) == [0, 10, 20]

    def test_the_runtime_context_is_that_of_the_call(self, ray: Any) -> None:
        @ray.remote
        class Telling:
            def tell(self) -> Iterator[Any]:
                for _ in range(2):
                    context = ray.get_runtime_context()
                    yield context.get_task_id(), context.get_actor_id(), context.get_task_name()

        actor = Telling.remote()
        generator = actor.tell.options(name="told").remote()
        told = ray.get(list(generator))
        assert told == [(generator.completed().task_id().hex(), actor._actor_id.hex(), "told")] * 2


class TestWhatIsKept:
    """Seen by the actors whose handles are yielded: each lives as long as its handle is kept."""

    @staticmethod
    def _yield_actors(ray: Any) -> Any:
        @ray.remote(num_cpus=0)
        class Child(Echo):
            pass

        @ray.remote
        class Parent:
            def children(self, journal: Journal) -> Iterator[Any]:
                for _ in range(2):
                    child = Child.remote()
                    journal.note(ray.get(child.pid.remote()))
                    yield [child]
                    # A generator's variables are its own.
                    del child

        return Parent.remote()

    def test_unread_values_are_freed_with_the_generator(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        parent = self._yield_actors(ray)
        generator = parent.children.remote(journal)
        (child,) = ray.get(next(generator))
        ray.get(generator.completed())
        first, second = (int(line) for line in journal.lines())
        assert is_running(second)
        del generator
        eventually(lambda: not is_running(second))
        assert ray.get(child.pid.remote()) == first

    def test_a_read_value_is_freed_with_its_reference(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        parent = self._yield_actors(ray)
        generator = parent.children.remote(journal)
        ref = next(generator)
        next(generator)
        ray.get(generator.completed())
        first, _ = (int(line) for line in journal.lines())
        assert is_running(first)
        del ref
        eventually(lambda: not is_running(first))

    def test_a_generator_ends_although_the_handle_is_gone(
        self, ray: Any, gate: Gate, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        @ray.remote
        class Waiting:
            def stream(self, gate: Gate) -> Iterator[int]:
                yield os.getpid()
                gate.wait()
                yield 2

        generator = Waiting.remote().stream.remote(gate)
        pid = ray.get(next(generator))
        gate.open()
        assert ray.get(list(generator)) == [2]
        eventually(lambda: not is_running(pid))

    def test_arguments_are_kept_until_the_generator_ends(self, ray: Any, gate: Gate) -> None:
        @ray.remote
        def stream(kept: list[Any], gate: Gate) -> Iterator[Any]:
            yield 1
            gate.wait()
            yield ray.get(kept[0])

        ref = ray.put("kept")
        generator = stream.remote([ref], gate)
        del ref
        assert ray.get(next(generator)) == 1
        gate.open()
        assert ray.get(next(generator)) == "kept"


class TestActorsEnd:
    def test_a_failed_constructor_fails_the_generator(self, ray: Any) -> None:
        @ray.remote
        class Broken(Counting):
            def __init__(self) -> None:
                raise ValueError("not today")

        generator = Broken.remote().count.remote(2)
        with pytest.raises(ray.exceptions.ActorDiedError, match="not today"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED

    def test_exit_actor_fails_the_generator(self, ray: Any) -> None:
        @ray.remote
        class Leaving:
            def stream(self) -> Iterator[int]:
                yield 1
                ray.actor.exit_actor()
                yield 2

        generator = Leaving.remote().stream.remote()
        assert ray.get(next(generator)) == 1
        with pytest.raises(ray.exceptions.RayActorError, match=r"exit_actor\(\)"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED

    def test_the_kill_of_the_actor_fails_a_generator_before_its_start(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(Counting).remote()
        actor.wait.remote(gate)
        generator = actor.count.remote(2)
        ray.kill(actor)
        with pytest.raises(ray.exceptions.ActorDiedError, match="kill"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED
        assert generator.is_finished()


@pytest.mark.differs("Ray's generator runs to its end")
class TestAbandoned:
    """Whatever the generator does when it is closed, its actor serves on."""

    @pytest.mark.parametrize(("method", "line"), [("stubborn", "goes on"), ("failing", "fails")])
    def test_an_abandoned_generator_ends_and_its_actor_serves(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any], method: str, line: str
    ) -> None:
        actor = ray.remote(Abandoned).remote()
        generator = getattr(actor, method).options(**{BOUND: 2}).remote(journal)
        assert ray.get(next(generator)) == 0
        del generator
        assert ray.get(actor.ping.remote(), timeout=10) == "pong"
        assert set(journal.lines()) == {line}


class TestCancelled:
    def test_a_generator_cancelled_before_its_start_never_runs(self, ray: Any, gate: Gate, journal: Journal) -> None:
        actor = ray.remote(Counting).remote(journal)
        waiting = actor.wait.remote(gate)
        generator = actor.note.remote(3)
        ray.cancel(generator)
        gate.open()
        with pytest.raises(ray.exceptions.TaskCancelledError, match=r"cancell?ed"):
            ray.get(next(generator))
        assert next(generator, ENDED) is ENDED
        assert ray.get(waiting) == "passed"
        assert journal.lines() == []

    def test_a_cancel_after_the_end_changes_nothing(self, ray: Any) -> None:
        generator = ray.remote(Counting).remote().count.remote(3)
        ray.get(generator.completed())
        ray.cancel(generator)
        assert ray.get(list(generator)) == [0, 1, 2]

    def test_a_cancel_of_a_read_reference_changes_nothing(self, ray: Any) -> None:
        generator = ray.remote(Counting).remote().count.remote(3)
        ray.get(generator.completed())
        ref = next(generator)
        ray.cancel(ref)
        assert ray.get([ref, *generator]) == [0, 1, 2]

    def test_a_paused_generator_is_cancelled(self, ray: Any, journal: Journal, eventually: Callable[..., Any]) -> None:
        generator = ray.remote(Streaming).remote().note.options(**{BOUND: 1}).remote(journal)
        assert ray.get(next(generator)) == 0
        eventually(lambda: "1" in journal.lines())
        ray.cancel(generator)
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            for ref in generator:
                ray.get(ref)
        eventually(lambda: journal.lines()[-1] == "finally")

    def test_a_cancel_wakes_a_waiting_reader(self, ray: Any) -> None:
        actor = ray.remote(Streaming).remote()
        generator = actor.hold_after.remote(1)
        assert ray.get(next(generator)) == 0
        read: list[Any] = []
        thread = threading.Thread(target=lambda: read.extend(generator))
        thread.start()
        ray.get(actor.held.remote(1))
        ray.cancel(generator)
        thread.join(10)
        (error,) = read
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(error)

    def test_a_cancelled_generator_is_ready_for_wait(self, ray: Any) -> None:
        actor = ray.remote(Streaming).remote()
        generator = actor.hold_after.remote(0)
        ray.get(actor.held.remote(1))
        assert ray.wait([generator], timeout=0) == ([], [generator])
        ray.cancel(generator)
        assert ray.wait([generator], timeout=10) == ([generator], [])
        assert not generator.is_finished()
        next(generator)
        assert next(generator, ENDED) is ENDED
        assert generator.is_finished()

    def test_the_cleanup_of_a_cancelled_generator_may_await(
        self, ray: Any, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        actor = ray.remote(Streaming).remote()
        generator = actor.tidy.remote(journal)
        ray.get(actor.held.remote(1))
        ray.cancel(generator)
        eventually(lambda: journal.lines() == ["CancelledError", "tidied"])
        assert ray.get(actor.echo.remote("alive")) == "alive"

    def test_a_child_generator_is_cancelled(self, ray: Any, eventually: Callable[..., Any]) -> None:
        @ray.remote
        class Relay:
            async def relay(self, source: Any) -> AsyncIterator[Any]:
                async for ref in source.hold_after.remote(1):
                    yield await ref

        source = ray.remote(Streaming).remote()
        generator = Relay.remote().relay.remote(source)
        assert ray.get(next(generator)) == 0
        ray.get(source.held.remote(1))
        ray.cancel(generator)
        eventually(lambda: ray.get(source.count.remote()) == 0)
        assert ray.get(source.open.remote()) == 1

    def test_a_borrower_of_completed_may_cancel(self, ray: Any) -> None:
        actor = ray.remote(Streaming).remote()
        generator = actor.hold_after.remote(0)
        ray.get(actor.held.remote(1))
        keeper = ray.remote(Keeper).remote([generator.completed()])

        @ray.remote
        def cancel(keeper: Any) -> None:
            ray.cancel(ray.get(keeper.give.remote())[0])

        ray.get(cancel.remote(keeper))
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(next(generator))


class Streaming(Latch):
    """Streams of which some hold until they are cancelled."""

    async def hold_after(self, number: int) -> AsyncIterator[int]:
        for i in range(number):
            yield i
        await self.hold()

    async def note(self, journal: Journal) -> AsyncIterator[int]:
        try:
            for i in range(1000):
                journal.note(i)
                yield i
        finally:
            journal.note("finally")

    async def tidy(self, journal: Journal) -> AsyncIterator[int]:
        try:
            await self.hold()
        except asyncio.CancelledError:
            journal.note("CancelledError")
            raise
        finally:
            await asyncio.sleep(0)
            journal.note("tidied")
        yield 1
