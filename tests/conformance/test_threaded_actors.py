"""Threaded actors: max_concurrency without an async method."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from conformance.subjects import Counter, Echo, Gate, Journal, echo, is_running


class Threaded:
    """Calls meet at a barrier, so that they end only when so many run at once."""

    def __init__(self, parties: int = 2) -> None:
        self.made_on_main = threading.current_thread() is threading.main_thread()
        self.barrier = threading.Barrier(parties)
        self.local = threading.local()
        self.local.calls = 100

    def made_on_main_thread(self) -> bool:
        return self.made_on_main

    def meet(self) -> int:
        self.barrier.wait(20)
        return threading.get_ident()

    def on_main_thread(self) -> bool:
        return threading.current_thread() is threading.main_thread()

    def count_in_thread(self) -> tuple[int, int]:
        self.local.calls = getattr(self.local, "calls", 0) + 1
        return threading.get_ident(), self.local.calls

    def wait(self, gate: Gate, value: Any = "passed") -> Any:
        gate.wait()
        return value

    def echo(self, value: Any = None) -> Any:
        return value

    def fail(self, message: str) -> None:
        raise ValueError(message)

    def pid(self) -> int:
        return os.getpid()


class TestReference:
    """The example of the reference page."""

    def test_two_tasks_run_at_once(self, ray: Any) -> None:
        @ray.remote
        class ThreadedActor:
            def __init__(self) -> None:
                self.first_ran = threading.Event()

            def task_1(self) -> str:
                self.first_ran.set()
                return "I'm running in a thread!"

            def task_2(self) -> str:
                assert self.first_ran.wait(20)
                return "I'm running in another thread!"

        a = ThreadedActor.options(max_concurrency=2).remote()
        second, first = a.task_2.remote(), a.task_1.remote()
        assert ray.get([first, second]) == ["I'm running in a thread!", "I'm running in another thread!"]


class TestThreads:
    @pytest.mark.parametrize("parties", [2, 8])
    def test_as_many_calls_run_at_once_as_max_concurrency(self, ray: Any, parties: int) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=parties).remote(parties)
        assert len(set(ray.get([actor.meet.remote() for _ in range(parties)]))) == parties

    def test_no_more_calls_run_at_once_than_max_concurrency(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=2).remote()
        waiting = [actor.wait.remote(gate) for _ in range(2)]
        third = actor.echo.remote("third")
        assert ray.wait([third], timeout=0.1) == ([], [third])
        gate.open()
        assert ray.get([*waiting, third]) == ["passed", "passed", "third"]

    def test_all_calls_of_a_long_queue_run(self, ray: Any) -> None:
        actor = ray.remote(max_concurrency=4)(Threaded).remote()
        assert ray.get([actor.echo.remote(i) for i in range(300)]) == list(range(300))

    def test_the_threads_are_reused(self, ray: Any) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=3).remote()
        threads = {thread for thread, _ in ray.get([actor.count_in_thread.remote() for _ in range(50)])}
        assert 1 <= len(threads) <= 3

    def test_thread_local_state_is_kept_per_thread(self, ray: Any) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=3).remote()
        counts: dict[int, list[int]] = {}
        for thread, count in ray.get([actor.count_in_thread.remote() for _ in range(50)]):
            counts.setdefault(thread, []).append(count)
        assert all(sorted(each) == list(range(1, len(each) + 1)) for each in counts.values())

    def test_the_constructor_runs_on_the_main_thread_and_methods_do_not(self, ray: Any) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=2).remote()
        assert ray.get(actor.made_on_main_thread.remote()) is True
        assert ray.get([actor.on_main_thread.remote() for _ in range(4)]) == [False] * 4

    def test_with_max_concurrency_1_all_calls_run_on_the_main_thread(self, ray: Any) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=1).remote()
        assert ray.get([actor.on_main_thread.remote(), actor.made_on_main_thread.remote()]) == [True, True]
        assert ray.get(actor.count_in_thread.remote())[1] == 101

    def test_a_large_limit_serves_calls_at_once(self, ray: Any) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=50).remote(50)
        assert len(set(ray.get([actor.meet.remote() for _ in range(50)]))) == 50

    def test_threads_share_the_actors_state(self, ray: Any) -> None:
        @ray.remote(max_concurrency=4)
        class Locked:
            def __init__(self) -> None:
                self.lock = threading.Lock()
                self.value = 0

            def increment(self) -> int:
                with self.lock:
                    self.value += 1
                    return self.value

        actor = Locked.remote()
        assert sorted(ray.get([actor.increment.remote() for _ in range(100)])) == list(range(1, 101))

    def test_the_process_title_shows_the_running_call(self, ray: Any) -> None:
        @ray.remote(max_concurrency=2)
        class Titled:
            def title(self) -> str:
                import subprocess

                return subprocess.check_output(["ps", "-o", "args=", "-p", str(os.getpid())], text=True).strip()

        assert ray.get(Titled.remote().title.remote()) == "ray::Titled.title"


class TestVerbsInThreads:
    """`get`, `put`, `wait` and calls from any thread."""

    def test_verbs_work_in_concurrent_methods(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote(max_concurrency=4)
        class Caller:
            def __init__(self) -> None:
                self.barrier = threading.Barrier(4)

            def call(self, counter: Any, value: int) -> Any:
                self.barrier.wait(20)
                called, put = counter.add.remote(0), ray.put(value)
                ready, _ = ray.wait([called, put], num_returns=2)
                return len(ready), ray.get(called), ray.get(put), ray.get(task.remote(value))

        caller, counter = Caller.remote(), ray.remote(Counter).remote(7)
        assert ray.get([caller.call.remote(counter, i) for i in range(4)]) == [(2, 7, i, i) for i in range(4)]

    def test_verbs_work_in_concurrent_threads_of_the_driver(self, ray: Any) -> None:
        from concurrent.futures import ThreadPoolExecutor

        counter, task = ray.remote(Counter).remote(), ray.remote(echo)

        def call(value: int) -> Any:
            ready, _ = ray.wait([ray.put(value)])
            return ray.get(ready[0]), ray.get(counter.increment.remote()), ray.get(task.remote(value))

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(call, range(40)))
        assert [(put, ran) for put, _, ran in results] == [(i, i) for i in range(40)]
        assert sorted(count for _, count, _ in results) == list(range(1, 41))

    def test_verbs_work_in_a_thread_that_a_method_started(self, ray: Any) -> None:
        @ray.remote
        class Starter:
            def call(self, other: Any) -> Any:
                values: list[Any] = []
                thread = threading.Thread(target=lambda: values.append(ray.get(other.echo.remote("aside"))))
                thread.start()
                thread.join()
                return values

        assert ray.get(Starter.remote().call.remote(ray.remote(Echo).remote())) == ["aside"]

    def test_many_threads_can_get_one_reference(self, ray: Any, gate: Gate) -> None:
        from concurrent.futures import ThreadPoolExecutor

        passed = ray.remote(Echo).remote().wait.remote(gate)
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(ray.get, passed) for _ in range(8)]
            gate.open()
            assert [future.result() for future in futures] == ["passed"] * 8

    def test_a_method_can_get_a_call_of_its_own_actor(self, ray: Any) -> None:
        @ray.remote(max_concurrency=2)
        class Recursive:
            def outer(self) -> Any:
                return ray.get(ray.get_runtime_context().current_actor.inner.remote())

            def inner(self) -> str:
                return "from within"

        assert ray.get(Recursive.remote().outer.remote()) == "from within"


class TestFailures:
    def test_an_error_does_not_change_another_call(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=2).remote()
        waiting = actor.wait.remote(gate)
        with pytest.raises(ValueError, match="broken"):
            ray.get(actor.fail.remote("broken"))
        gate.open()
        assert ray.get(waiting) == "passed"

    def test_exit_actor_lets_running_calls_finish(
        self, ray: Any, gate: Gate, journal: Journal, eventually: Any
    ) -> None:
        class Exiting(Threaded):
            def wait(self, gate: Gate, value: Any = "passed") -> Any:
                journal.note("waiting")
                return super().wait(gate, value)

            def exit(self) -> None:
                journal.note("exiting")
                ray.actor.exit_actor()

            def __ray_shutdown__(self) -> None:
                journal.note("shutdown")

        actor = ray.remote(Exiting).options(max_concurrency=2).remote()
        pid = ray.get(actor.pid.remote())
        waiting = actor.wait.remote(gate)
        eventually(journal.lines)
        exiting = actor.exit.remote()
        eventually(lambda: journal.lines() == ["waiting", "exiting"])
        gate.open()
        assert ray.get(waiting) == "passed"
        with pytest.raises(ray.exceptions.RayActorError, match="exit"):
            ray.get(exiting)
        eventually(lambda: not is_running(pid))
        assert journal.lines() == ["waiting", "exiting", "shutdown"]

    @pytest.mark.differs("on Ray the last of them may be lost: it ends when terminate has got a thread")
    @pytest.mark.differs_on_cluster(
        "Ray keeps no order in actors with threads: it may overtake calls that were made before the actor was up"
    )
    def test_terminate_waits_for_earlier_calls(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=2).remote()
        waiting = [actor.wait.remote(gate, i) for i in range(4)]
        terminated = actor.__ray_terminate__.remote()
        gate.open()
        assert ray.get(waiting) == [0, 1, 2, 3]
        with pytest.raises(ray.exceptions.ActorDiedError, match="exit"):
            ray.get(terminated)

    def test_kill_fails_running_and_waiting_calls(self, ray: Any, gate: Gate) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=2).remote()
        ray.get(actor.pid.remote())
        waiting = [actor.wait.remote(gate) for _ in range(4)]
        ray.kill(actor)
        for each in waiting:
            with pytest.raises(ray.exceptions.ActorDiedError, match="kill"):
                ray.get(each)

    def test_sys_exit_ends_the_actor(self, ray: Any) -> None:
        @ray.remote(max_concurrency=2)
        class Exiting:
            def exit(self) -> None:
                raise SystemExit(1)

        actor = Exiting.remote()
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"died|dead"):
            ray.get(actor.exit.remote())
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"died|dead"):
            ray.get(actor.exit.remote())


class TestOptions:
    @pytest.mark.parametrize("value", [None, 0])
    def test_values_without_limit_mean_one_thread(self, ray: Any, value: Any) -> None:
        actor = ray.remote(Threaded).options(max_concurrency=value).remote()
        assert ray.get(actor.on_main_thread.remote()) is True

    def test_a_negative_max_concurrency_is_refused(self, ray: Any) -> None:
        with pytest.raises(ValueError, match=r"max_concurrency.*positive integer"):
            ray.remote(Threaded).options(max_concurrency=-1)

    @pytest.mark.parametrize("value", ["2", 1.5])
    def test_a_max_concurrency_that_is_not_an_integer_is_refused(self, ray: Any, value: Any) -> None:
        with pytest.raises(TypeError, match="max_concurrency"):
            ray.remote(Threaded).options(max_concurrency=value)
