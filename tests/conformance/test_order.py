"""In which order calls run, and how many may wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from conformance.latch import Latch
from conformance.subjects import Counter, Echo, Gate, Journal


class Log:
    """Keeps what it is given, in the order of the calls."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def add(self, value: Any) -> list[Any]:
        self.seen.append(value)
        return list(self.seen)


class AsyncLog(Log):
    async def add_async(self, value: Any) -> list[Any]:
        return self.add(value)


class TestReference:
    """The example of the reference page."""

    def test_calls_run_in_submission_order(self, ray: Any) -> None:
        @ray.remote
        class Counter:
            def __init__(self) -> None:
                self.value = 0

            def add(self, addition: int) -> int:
                self.value += addition
                return self.value

        counter = Counter.remote()
        value0 = counter.add.remote(1)
        value1 = counter.add.remote(2)
        assert ray.get(value0) == 1
        assert ray.get(value1) == 3


class TestSynchronous:
    def test_calls_keep_their_order_when_arguments_resolve_in_reverse(self, ray: Any, tmp_path: Any) -> None:
        gates = [Gate.closed(str(tmp_path / f"gate-{i}")) for i in range(3)]
        echo = ray.remote(Echo)
        waits = [echo.remote().wait.remote(gate) for gate in gates]
        log = ray.remote(Log).remote()
        added = [log.add.remote(wait) for wait in waits] + [log.add.remote("last")]
        for gate, wait in reversed(list(zip(gates, waits, strict=True))):
            gate.open()
            ray.get(wait)
        assert ray.get(added)[-1] == ["passed", "passed", "passed", "last"]
        assert [len(seen) for seen in ray.get(added)] == [1, 2, 3, 4]

    def test_calls_keep_their_order_when_some_have_unready_arguments(self, ray: Any, gate: Gate) -> None:
        log = ray.remote(Log).remote()
        ready, slow = ray.put("put"), ray.remote(Echo).remote().wait.remote(gate)
        added = [log.add.remote(value) for value in (0, ready, 1, slow, 2, ready)]
        assert ray.get(added[2]) == [0, "put", 1]
        assert ray.wait(added[3:], timeout=0.1)[0] == []
        gate.open()
        assert ray.get(added[-1]) == [0, "put", 1, "passed", 2, "put"]

    def test_a_failed_dependency_fails_its_call_and_no_other(self, ray: Any) -> None:
        log = ray.remote(Log).remote()
        fails = ray.remote(Echo).remote().fail.remote("broken")
        failed, after = log.add.remote(fails), log.add.remote("after")
        with pytest.raises(ray.exceptions.RayTaskError, match="broken"):
            ray.get(failed)
        assert ray.get(after) == ["after"]

    def test_the_threads_of_a_session_are_one_submitter(self, ray: Any) -> None:
        log = ray.remote(Log).remote()
        log.add.remote("first")
        thread = threading.Thread(target=lambda: log.add.remote("second"))
        thread.start()
        thread.join()
        assert ray.get(log.add.remote("third")) == ["first", "second", "third"]

    def test_copies_of_a_handle_are_one_submitter(self, ray: Any, name: str) -> None:
        log = ray.remote(Log).options(name=name).remote()
        found = ray.get_actor(name)
        for i in range(20):
            (log, found)[i % 2].add.remote(i)
        assert ray.get(log.add.remote("end")) == [*range(20), "end"]

    def test_each_submitter_has_its_own_order(self, ray: Any) -> None:
        @ray.remote
        def submit(log: Any, who: str) -> None:
            ray.get([log.add.remote((who, i)) for i in range(20)])

        log = ray.remote(Log).remote()
        ray.get([submit.remote(log, who) for who in ("a", "b")])
        seen = ray.get(log.add.remote(None))
        for who in ("a", "b"):
            assert [entry[1] for entry in seen[:-1] if entry[0] == who] == list(range(20))

    def test_an_unready_argument_does_not_delay_another_submitter(self, ray: Any, gate: Gate) -> None:
        @ray.remote
        def submit(log: Any) -> Any:
            return ray.get(log.add.remote("other"))

        log = ray.remote(Log).remote()
        held_up = log.add.remote(ray.remote(Echo).remote().wait.remote(gate))
        assert ray.get(submit.remote(log)) == ["other"]
        gate.open()
        assert ray.get(held_up) == ["other", "passed"]

    def test_each_group_has_its_own_order(self, ray: Any) -> None:
        logs = ray.remote(concurrency_groups={"io": 1})(Log).remote()
        io = logs.add.options(concurrency_group="io")
        for i in range(20):
            io.remote(("io", i))
            logs.add.remote(("default", i))
        seen = ray.get([io.remote(("io", 20)), logs.add.remote(("default", 20))])
        longest = max(seen, key=len)
        for who in ("io", "default"):
            numbers = [entry[1] for entry in longest if entry[0] == who]
            assert numbers == list(range(len(numbers)))


class TestOutOfOrder:
    @pytest.mark.parametrize(
        ("subject", "method", "options"),
        [
            (Log, "add", {"allow_out_of_order_execution": True}),
            (Log, "add", {"max_concurrency": 2}),
            (AsyncLog, "add", {}),
            (AsyncLog, "add_async", {}),
            (AsyncLog, "add_async", {"max_concurrency": 1}),
        ],
    )
    def test_a_ready_call_overtakes_a_call_with_an_unready_argument(
        self, ray: Any, gate: Gate, subject: Any, method: str, options: dict[str, Any]
    ) -> None:
        add = getattr(ray.remote(subject).options(**options).remote(), method)
        held_up = add.remote(ray.remote(Echo).remote().wait.remote(gate))
        assert ray.get(add.remote("second")) == ["second"]
        assert ray.wait([held_up], timeout=0) == ([], [held_up])
        gate.open()
        assert ray.get(held_up) == ["second", "passed"]

    def test_out_of_order_execution_can_be_set_in_the_decorator(self, ray: Any, gate: Gate) -> None:
        log = ray.remote(allow_out_of_order_execution=True)(Log).remote()
        held_up = log.add.remote(ray.remote(Echo).remote().wait.remote(gate))
        assert ray.get(log.add.remote("second")) == ["second"]
        gate.open()
        assert ray.get(held_up) == ["second", "passed"]

    def test_in_order_execution_is_refused_for_an_async_actor(self, ray: Any) -> None:
        with pytest.raises(ValueError, match=r"async actors"):
            ray.remote(AsyncLog).options(allow_out_of_order_execution=False).remote()

    def test_in_order_execution_is_refused_for_a_threaded_actor(self, ray: Any) -> None:
        with pytest.raises(ValueError, match=r"multi-threaded actors"):
            ray.remote(Log).options(allow_out_of_order_execution=False, max_concurrency=2).remote()

    def test_in_order_execution_is_allowed_for_a_synchronous_actor(self, ray: Any) -> None:
        log = ray.remote(Log).options(allow_out_of_order_execution=False).remote()
        assert ray.get([log.add.remote(i) for i in range(3)])[-1] == [0, 1, 2]

    def test_a_value_that_is_not_a_bool_is_refused(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="allow_out_of_order_execution"):
            ray.remote(Log).options(allow_out_of_order_execution="yes")


class TestMaxPendingCalls:
    def test_a_call_above_the_limit_is_refused(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(Echo).options(max_pending_calls=2).remote()
        pending = [actor.wait.remote(gate) for _ in range(2)]
        with pytest.raises(
            ray.exceptions.PendingCallsLimitExceeded,
            match=r"wait could not be submitted to .* because more than 2 tasks are queued",
        ):
            actor.wait.remote(gate)
        gate.open()
        assert ray.get(pending) == ["passed"] * 2

    def test_finished_calls_make_room(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(max_pending_calls=1)(Echo).remote()
        for i in range(5):
            assert ray.get(actor.echo.remote(i)) == i
        pending = actor.wait.remote(gate)
        with pytest.raises(ray.exceptions.PendingCallsLimitExceeded, match="max_pending_calls"):
            actor.echo.remote()
        gate.open()
        assert ray.get(pending) == "passed"
        assert ray.get(actor.echo.remote("room")) == "room"

    def test_a_refused_call_never_runs(
        self, ray: Any, gate: Gate, journal: Journal, eventually: Callable[..., Any]
    ) -> None:
        def call_again() -> Any:
            try:
                return actor.wait.remote(gate, "second")
            except ray.exceptions.PendingCallsLimitExceeded:  # on Ray a call counts for a moment after it has ended
                return None

        actor = ray.remote(Noting).options(max_pending_calls=1).remote(journal)
        first = actor.wait.remote(gate, "first")
        with pytest.raises(ray.exceptions.PendingCallsLimitExceeded, match="more than 1 task"):
            actor.wait.remote(gate, "refused")
        gate.open()
        ray.get(first)
        ray.get(eventually(call_again))
        assert journal.lines() == ["first", "second"]

    def test_each_submitter_counts_for_itself(self, ray: Any, gate: Gate) -> None:
        @ray.remote
        def submit(actor: Any) -> int:
            pending = [actor.echo.remote(), actor.echo.remote()]
            try:
                actor.echo.remote()
            except ray.exceptions.PendingCallsLimitExceeded:
                return len(pending)
            return -1

        actor = ray.remote(Echo).options(max_pending_calls=2).remote()
        waiting = actor.wait.remote(gate)
        assert ray.get(submit.remote(actor)) == 2
        echoed = actor.echo.remote("mine")
        gate.open()
        assert ray.get([waiting, echoed]) == ["passed", "mine"]

    def test_a_handle_found_by_name_has_the_limit(self, ray: Any, gate: Gate, name: str) -> None:
        actor = ray.remote(Echo).options(name=name, max_pending_calls=1).remote()
        waiting = actor.wait.remote(gate)
        with pytest.raises(ray.exceptions.PendingCallsLimitExceeded, match="more than 1 task"):
            ray.get_actor(name).echo.remote()
        gate.open()
        assert ray.get(waiting) == "passed"

    def test_an_async_actor_has_the_limit(self, ray: Any) -> None:
        latch = ray.remote(Latch).options(max_pending_calls=2).remote()
        holds = [latch.hold.remote() for _ in range(2)]
        with pytest.raises(ray.exceptions.PendingCallsLimitExceeded, match="more than 2 tasks"):
            latch.open.remote()
        ray.kill(latch)
        with pytest.raises(ray.exceptions.RayActorError, match="kill"):
            ray.get(holds)

    @pytest.mark.parametrize("value", [0, -1])
    def test_some_values_mean_no_limit(self, ray: Any, value: Any) -> None:
        counter = ray.remote(Counter).options(max_pending_calls=value).remote()
        assert ray.get([counter.increment.remote() for _ in range(50)])[-1] == 50

    def test_a_value_below_minus_one_is_refused(self, ray: Any) -> None:
        with pytest.raises(ValueError, match=r"'max_pending_calls' only accepts None, 0, -1 or a positive integer"):
            ray.remote(Counter).options(max_pending_calls=-2)


class Noting(Echo):
    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self.journal = journal

    def wait(self, gate: Gate, line: str = "") -> str:
        gate.wait()
        self.journal.note(line)
        return line
