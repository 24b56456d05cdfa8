"""Which values outlive the process that has computed them, and which end with their owner."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.subjects import Echo, Gate, Journal, is_running

LARGE = 2_000_000
SIZES = pytest.mark.parametrize("size", [10, LARGE], ids=["small", "large"])
RETRIES = 10
"""More than the test needs: a task that Ray sends to a worker that was killed before has cost a retry, too."""
LIMIT_S = 30
"""Seconds for a call that runs again, for which Ray starts a worker."""


@pytest.fixture
def kill(eventually: Any) -> Callable[[int], None]:
    """Kill a process, and wait for its end."""

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(pid))

    return kill


class Owner:
    """Owns a call that waits at a gate."""

    def start(self, ray: Any, gate: Gate) -> tuple[int, list[Any]]:
        return os.getpid(), [ray.remote(wait).remote(gate)]


def wait(gate: Gate) -> str:
    gate.wait()
    return "passed"


def measure(value: bytes) -> int:
    return len(value)


def make(journal: Journal, size: int) -> tuple[int, bytes]:
    """Return the worker's pid, and a value."""
    journal.note("make")
    return os.getpid(), b"x" * size


class TestResultsOutliveTheirWorkers:
    @SIZES
    @pytest.mark.parametrize("max_retries", [0, 3])
    def test_a_result_is_not_lost_with_its_worker(
        self, ray: Any, journal: Journal, kill: Any, size: int, max_retries: int
    ) -> None:
        task = ray.remote(make).options(num_returns=2, max_retries=max_retries)
        pid, value = task.remote(journal, size)
        kill(ray.get(pid))
        assert len(ray.get(value, timeout=LIMIT_S)) == size
        assert journal.lines() == ["make"], "it was not computed again"

    def test_a_chain_of_results(self, ray: Any, journal: Journal, kill: Any) -> None:
        @ray.remote(num_returns=2)
        def extend(value: bytes) -> tuple[int, bytes]:
            return os.getpid(), value + b"y"

        pids: list[Any] = []
        pid, value = ray.remote(make).options(num_returns=2).remote(journal, LARGE)
        for _ in range(3):
            pids.append(pid)
            pid, value = extend.remote(value)
        for each in set(ray.get([*pids, pid])):
            kill(each)
        _, value = extend.remote(value)
        assert len(ray.get(value, timeout=LIMIT_S)) == LARGE + 4
        assert journal.lines() == ["make"]

    @pytest.mark.parametrize("num_returns", ["streaming", "dynamic"])
    def test_the_items_of_a_generator(self, ray: Any, kill: Any, num_returns: str) -> None:
        @ray.remote(num_returns=num_returns)
        def items() -> Iterator[Any]:
            yield os.getpid()
            for _ in range(3):
                yield b"x" * LARGE

        made = items.remote()
        pid, *values = list(made if num_returns == "streaming" else ray.get(made))
        kill(ray.get(pid))
        assert [len(ray.get(value, timeout=LIMIT_S)) for value in values] == [LARGE] * 3

    def test_a_result_of_an_actor(self, ray: Any, journal: Journal) -> None:
        actor = ray.remote(Echo).remote()
        value = actor.echo.remote(b"x" * LARGE)
        ray.wait([value], timeout=LIMIT_S)
        ray.kill(actor)
        assert len(ray.get(value, timeout=LIMIT_S)) == LARGE

    def test_a_reference_of_this_process_that_a_worker_returns(self, ray: Any, kill: Any) -> None:
        @ray.remote
        def give_back(refs: list[Any]) -> tuple[int, list[Any]]:
            return os.getpid(), refs

        pid, (value,) = ray.get(give_back.remote([ray.put(b"x" * LARGE)]))
        kill(pid)
        assert len(ray.get(value, timeout=LIMIT_S)) == LARGE


class TestRetries:
    def test_arguments_are_kept_until_the_last_try(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=RETRIES)
        def measure(value: bytes, inside: list[Any], journal: Journal) -> tuple[int, int]:
            journal.note("run")
            if len(journal.lines()) < 3:
                os._exit(1)
            return len(value), len(ray.get(inside[0]))

        value, inside = ray.put(b"x" * LARGE), ray.put(b"y" * LARGE)
        ref = measure.remote(value, [inside], journal)
        del value, inside
        assert ray.get(ref, timeout=LIMIT_S) == (LARGE, LARGE)

    def test_dependents_wait_for_the_last_try(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=RETRIES)
        def crash_once(journal: Journal) -> bytes:
            journal.note("run")
            if len(journal.lines()) < 2:
                os._exit(1)
            return b"x" * LARGE

        assert ray.get(ray.remote(measure).remote(crash_once.remote(journal)), timeout=LIMIT_S) == LARGE

    def test_the_items_before_a_crash_stay(self, ray: Any, journal: Journal, kill: Any, gate: Gate) -> None:
        @ray.remote(num_returns="streaming", max_retries=RETRIES)
        def items() -> Iterator[Any]:
            journal.note("run")
            yield os.getpid(), b"x" * LARGE
            gate.wait()
            yield os.getpid(), b"x" * LARGE

        generator = items.remote()
        first = next(generator)
        pid, _ = ray.get(first)
        kill(pid)
        gate.open()
        second = next(generator)
        assert ray.get(second, timeout=LIMIT_S)[0] != pid
        assert ray.get(first, timeout=LIMIT_S)[0] == pid
        assert list(generator) == []
        assert journal.lines() == ["run", "run"]


class TestOwners:
    """A value that a worker or an actor owns is not computed again: only its owner could do that."""

    @pytest.fixture
    def lost(self, ray: Any, kill: Any, gate: Gate, journal: Journal) -> Callable[[], Any]:
        """Make a reference to a result that does not come any more: its owner, a worker, is dead."""

        @ray.remote(max_retries=-1)
        def start() -> tuple[int, list[Any]]:
            journal.note("owner")
            return Owner().start(ray, gate)

        def lost() -> Any:
            pid, (ref,) = ray.get(start.remote())
            kill(pid)
            return ref

        return lost

    def test_the_task_that_has_made_the_reference_does_not_run_again(
        self, ray: Any, lost: Any, journal: Journal
    ) -> None:
        ref = lost()
        with pytest.raises(ray.exceptions.OwnerDiedError, match="owner has exited") as raised:
            ray.get(ref, timeout=LIMIT_S)
        assert raised.value.object_ref_hex == ref.hex()
        assert journal.lines() == ["owner"]

    def test_the_end_of_the_owner_ends_get_and_wait(self, ray: Any, kill: Any, gate: Gate) -> None:
        owner = ray.remote(Owner).remote()
        pid, (ref,) = ray.get(owner.start.remote(ray, gate))
        killing = threading.Timer(0.2, kill, [pid])
        killing.start()
        assert ray.wait([ref], timeout=LIMIT_S) == ([ref], [])
        with pytest.raises(ray.exceptions.OwnerDiedError, match=ref.hex()):
            ray.get(ref, timeout=LIMIT_S)
        killing.join()

    def test_the_end_of_the_owner_ends_an_await(self, ray: Any, lost: Any) -> None:
        ref = lost()

        async def main() -> Any:
            return await asyncio.wait_for(ref, LIMIT_S)

        with pytest.raises(ray.exceptions.OwnerDiedError, match=ref.hex()):
            asyncio.run(main())

    def test_a_task_with_such_an_argument_fails_without_a_run(self, ray: Any, lost: Any, journal: Journal) -> None:
        @ray.remote(max_retries=3, retry_exceptions=True)
        def use(value: Any, journal: Journal) -> None:
            journal.note("ran")

        ref = lost()
        for used in (use.remote(ref, journal), ray.remote(Echo).remote().echo.remote(ref)):
            with pytest.raises(ray.exceptions.OwnerDiedError, match="owner has exited"):
                ray.get(used, timeout=LIMIT_S)
            dependent = use.remote(used, journal)
            with pytest.raises(ray.exceptions.OwnerDiedError, match="owner has exited"):
                ray.get(dependent, timeout=LIMIT_S)
        assert journal.lines() == ["owner"]

    @pytest.mark.parametrize("retries", [0, 2])
    def test_a_task_that_gets_the_value_itself_raises_its_error(
        self, ray: Any, lost: Any, journal: Journal, retries: int
    ) -> None:
        @ray.remote(max_retries=retries, retry_exceptions=[ray.exceptions.OwnerDiedError])
        def use(refs: list[Any], journal: Journal) -> None:
            journal.note("ran")
            ray.get(refs, timeout=LIMIT_S)

        ref = lost()
        with pytest.raises(ray.exceptions.OwnerDiedError, match=ref.hex()) as raised:
            ray.get(use.remote([ref], journal), timeout=LIMIT_S)
        assert isinstance(raised.value, ray.exceptions.RayTaskError)
        ran = journal.lines().count("ran")
        assert ran == 1 + retries or 1 < ran <= retries, "Ray counts a worker that is dead already as a try"

    def test_a_restarted_actor_does_not_bring_its_values_back(self, ray: Any, kill: Any, gate: Gate) -> None:
        owner = ray.remote(max_restarts=1, max_task_retries=-1)(Owner).remote()
        pid, (ref,) = ray.get(owner.start.remote(ray, gate))
        kill(pid)
        again, _ = ray.get(owner.start.remote(ray, gate), timeout=LIMIT_S)
        assert again != pid
        with pytest.raises(ray.exceptions.OwnerDiedError, match=ref.hex()):
            ray.get(ref, timeout=LIMIT_S)

    def test_an_error_of_one_ends_the_get_of_several(self, ray: Any, lost: Any, gate: Gate) -> None:
        waiting = ray.remote(wait).remote(gate)
        with pytest.raises(ray.exceptions.OwnerDiedError, match="owner has exited"):
            ray.get([waiting, lost()], timeout=LIMIT_S)
