"""Endings: every way an actor can end, what runs on the way, and what callers are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.mortals import AsyncWaiting, Parent, SelfMade, Waiting
from conformance.subjects import Counter, Echo, Gate, Journal, Mortal, is_running

GRACEFUL = ["shutdown", "atexit"]


@pytest.fixture
def mortal(ray: Any, journal: Journal) -> Any:
    return ray.remote(Mortal).remote(journal)


class TestCleanup:
    """`__ray_shutdown__` and atexit handlers: when they run and when they do not."""

    def test_the_loss_of_the_last_handle_runs_the_cleanup(self, ray: Any, eventually: Any) -> None:
        @ray.remote
        class FileProcessorActor:
            def __init__(self) -> None:
                import tempfile

                self.temp_file = tempfile.NamedTemporaryFile(delete=False)  # noqa: SIM115 - closed by __ray_shutdown__
                self.temp_file.write(b"processing data")
                self.temp_file.flush()

            def __ray_shutdown__(self) -> None:
                if hasattr(self, "temp_file"):
                    self.temp_file.close()
                    os.unlink(self.temp_file.name)

            def process(self) -> str:
                return self.temp_file.name

        actor = FileProcessorActor.remote()
        path = Path(ray.get(actor.process.remote()))
        assert path.exists()
        del actor
        eventually(lambda: not path.exists())

    def test_the_loss_of_the_last_handle_runs_both(self, ray: Any, journal: Journal, eventually: Any) -> None:
        actor = ray.remote(Mortal).remote(journal)
        ray.get(actor.pid.remote())
        del actor
        eventually(lambda: journal.lines() == GRACEFUL)

    def test_ray_terminate_runs_both(self, ray: Any, mortal: Any, journal: Journal, eventually: Any) -> None:
        ray.get(mortal.pid.remote())
        mortal.__ray_terminate__.remote()
        eventually(lambda: journal.lines() == GRACEFUL)

    def test_exit_actor_runs_both(self, ray: Any, mortal: Any, journal: Journal, eventually: Any) -> None:
        mortal.__ray_call__.remote(lambda self: ray.actor.exit_actor())
        eventually(lambda: journal.lines() == GRACEFUL)

    def test_sys_exit_runs_both(self, ray: Any, mortal: Any, journal: Journal, eventually: Any) -> None:
        mortal.sys_exit.remote(0)
        eventually(lambda: journal.lines() == GRACEFUL)

    def test_kill_runs_neither(self, ray: Any, mortal: Any, journal: Journal, eventually: Any) -> None:
        pid = ray.get(mortal.pid.remote())
        ray.kill(mortal)
        eventually(lambda: not is_running(pid))
        assert journal.lines() == []

    def test_a_crash_runs_neither(self, ray: Any, mortal: Any, journal: Journal, eventually: Any) -> None:
        pid = ray.get(mortal.pid.remote())
        mortal.exit_process.remote(1)
        eventually(lambda: not is_running(pid))
        assert journal.lines() == []

    def test_a_signal_runs_neither(self, ray: Any, mortal: Any, journal: Journal, eventually: Any) -> None:
        pid = ray.get(mortal.pid.remote())
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(pid))
        assert journal.lines() == []

    def test_both_run_after_all_queued_calls(
        self, ray: Any, mortal: Any, journal: Journal, gate: Gate, eventually: Any
    ) -> None:
        refs = [mortal.wait.remote(gate, "first"), mortal.note.remote("second"), mortal.note.remote("third")]
        mortal.__ray_terminate__.remote()
        gate.open()
        assert ray.get(refs) == ["first", "second", "third"]
        eventually(lambda: journal.lines() == ["waiting", "first", "second", "third", *GRACEFUL])

    def test_exceptions_of_shutdown_are_caught(self, ray: Any, journal: Journal, eventually: Any) -> None:
        class Failing(Mortal):
            def __ray_shutdown__(self) -> None:
                self.journal.note("shutdown")
                raise ValueError("in shutdown")

        actor = ray.remote(Failing).remote(journal)
        pid = ray.get(actor.pid.remote())
        del actor
        eventually(lambda: journal.lines() == GRACEFUL)
        eventually(lambda: not is_running(pid))

    def test_an_atexit_handler_takes_its_time(self, ray: Any, journal: Journal, eventually: Any) -> None:
        class Slow(Mortal):
            def __init__(self, journal: Journal) -> None:
                import atexit

                super().__init__(journal)
                atexit.register(self.leave)

            def leave(self) -> None:
                print("leaving")
                subprocess.run([sys.executable, "-c", "import asyncio"], check=True)
                self.journal.note("left")

        actor = ray.remote(Slow).remote(journal)
        ray.get(actor.pid.remote())
        del actor
        eventually(lambda: journal.lines() == ["shutdown", "left", "atexit"])

    def test_shutdown_is_optional(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())
        actor.__ray_terminate__.remote()
        eventually(lambda: not is_running(pid))

    def test_shutdown_may_be_inherited(self, ray: Any, journal: Journal, eventually: Any) -> None:
        class Derived(Mortal):
            pass

        actor = ray.remote(Derived).remote(journal)
        ray.get(actor.pid.remote())
        del actor
        eventually(lambda: journal.lines() == GRACEFUL)

    def test_shutdown_runs_once(self, ray: Any, journal: Journal, eventually: Any) -> None:
        actor = ray.remote(Mortal).remote(journal)
        pid = ray.get(actor.pid.remote())
        actor.__ray_terminate__.remote()
        actor.__ray_terminate__.remote()
        del actor
        eventually(lambda: not is_running(pid))
        assert journal.lines() == GRACEFUL

    @pytest.mark.differs("Ray finds out when the actor ends")
    def test_shutdown_must_be_synchronous(self, ray: Any) -> None:
        class Wrong:
            async def __ray_shutdown__(self) -> None: ...

        with pytest.raises((TypeError, ValueError), match=r"__ray_shutdown__.*synchronous"):
            ray.remote(Wrong)

    def test_a_failed_constructor_ends_the_process(self, ray: Any, journal: Journal, eventually: Any) -> None:
        class Failing(Mortal):
            def __init__(self, journal: Journal) -> None:
                super().__init__(journal)
                journal.note(os.getpid())
                raise ValueError("in constructor")

        actor = ray.remote(Failing).remote(journal)
        with pytest.raises(ray.exceptions.ActorDiedError, match="in constructor"):
            ray.get(actor.pid.remote())
        pid = int(journal.lines()[0])
        eventually(lambda: not is_running(pid))


class TestKill:
    def test_pending_and_later_calls_of_a_killed_actor_fail(
        self, ray: Any, mortal: Any, gate: Gate, journal: Journal
    ) -> None:
        running = mortal.wait.remote(gate)
        pending = mortal.note.remote("never")
        ray.kill(mortal)
        for ref in (running, pending, mortal.pid.remote()):
            with pytest.raises(ray.exceptions.RayActorError, match="kill"):
                ray.get(ref)

    def test_the_error_is_an_actor_died_error_that_names_the_actor(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())
        ray.kill(actor)
        eventually(lambda: not is_running(pid))
        with pytest.raises(ray.exceptions.ActorDiedError, match="kill") as caught:
            ray.get(actor.pid.remote())
        assert "Echo" in str(caught.value)
        assert str(pid) in str(caught.value)

    def test_finished_results_stay(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        refs = [counter.increment.remote() for _ in range(3)]
        ray.wait(refs, num_returns=3)
        ray.kill(counter)
        assert ray.get(refs) == [1, 2, 3]

    def test_an_actor_can_be_killed_twice(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())
        ray.kill(actor)
        ray.kill(actor)
        eventually(lambda: not is_running(pid))
        with pytest.raises(ray.exceptions.RayActorError, match=r"(?i)kill"):
            ray.get(actor.pid.remote())

    @pytest.mark.differs("Ray's kill returns before the actor is dead")
    def test_a_call_after_the_kill_fails_at_once(self, ray: Any) -> None:
        for _ in range(10):
            counter = ray.remote(Counter).remote()
            ray.get(counter.increment.remote())
            ray.kill(counter)
            with pytest.raises(ray.exceptions.RayActorError, match=r"(?i)kill"):
                ray.get(counter.increment.remote())

    def test_an_actor_that_waits_for_resources_can_be_killed(self, ray: Any) -> None:
        counter = ray.remote(Counter).options(resources={"unheard_of": 1}).remote()
        pending = counter.increment.remote()
        ray.kill(counter)
        with pytest.raises(ray.exceptions.RayActorError, match=r"(?i)kill"):
            ray.get(pending)

    def test_an_actor_can_be_killed_while_its_constructor_runs(
        self, ray: Any, gate: Gate, journal: Journal, eventually: Any
    ) -> None:
        @ray.remote
        class Slow:
            def __init__(self, gate: Gate, journal: Journal) -> None:
                journal.note(os.getpid())
                gate.wait()

            def ping(self) -> None: ...

        slow = Slow.remote(gate, journal)
        ping = slow.ping.remote()
        (pid,) = eventually(journal.lines)
        ray.kill(slow)
        with pytest.raises(ray.exceptions.RayActorError, match=r"(?i)kill"):
            ray.get(ping)
        eventually(lambda: not is_running(int(pid)))

    def test_an_actor_can_be_killed_from_another_process(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(Echo).remote()
        pid = ray.get(actor.pid.remote())

        @ray.remote
        def kill(actor: Any) -> None:
            ray.kill(actor)

        ray.get(kill.remote(actor))
        eventually(lambda: not is_running(pid))
        with pytest.raises(ray.exceptions.RayActorError, match=r"(?i)kill"):
            ray.get(actor.pid.remote())

    def test_an_actor_that_waits_in_get_can_be_killed(self, ray: Any, gate: Gate, eventually: Any) -> None:
        slow = ray.remote(Echo).remote().wait.remote(gate)
        waiting = ray.remote(Echo).remote()
        pid = ray.get(waiting.pid.remote())
        blocked = waiting.__ray_call__.remote(lambda self, refs: ray.get(refs[0]), [slow])
        ray.kill(waiting)
        with pytest.raises(ray.exceptions.RayActorError, match=r"(?i)kill"):
            ray.get(blocked)
        eventually(lambda: not is_running(pid))


class TestLeaving:
    """`exit_actor` and `__ray_terminate__`."""

    def test_a_call_after_exit_actor_fails(self, ray: Any) -> None:
        @ray.remote
        class Actor:
            def exit(self) -> None:
                ray.actor.exit_actor()

            def ping(self) -> None: ...

        actor = Actor.remote()
        actor.exit.remote()
        with pytest.raises(ray.exceptions.RayActorError, match=r"exit_actor\(\)"):
            ray.get(actor.ping.remote())

    def test_earlier_calls_finish_and_the_exiting_and_later_ones_fail(
        self, ray: Any, mortal: Any, gate: Gate, journal: Journal
    ) -> None:
        before = mortal.wait.remote(gate, "before")
        own = mortal.__ray_call__.remote(lambda self: ray.actor.exit_actor())
        queued = mortal.note.remote("never")
        gate.open()
        assert ray.get(before) == "before"
        for ref in (own, queued, mortal.note.remote("never")):
            with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)"):
                ray.get(ref)
        assert "never" not in journal.lines()

    def test_ray_terminate_gives_the_same_errors(self, ray: Any, mortal: Any) -> None:
        before = mortal.note.remote("before")
        own = mortal.__ray_terminate__.remote()
        queued = mortal.note.remote("never")
        assert ray.get(before) == "before"
        for ref in (own, queued):
            with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)"):
                ray.get(ref)

    def test_code_after_exit_actor_does_not_run(self, ray: Any, journal: Journal, eventually: Any) -> None:
        class Leaving(Mortal):
            def leave(self) -> None:
                try:
                    ray.actor.exit_actor()
                except Exception:
                    self.journal.note("caught")
                self.journal.note("after")

        actor = ray.remote(Leaving).remote(journal)
        actor.leave.remote()
        eventually(lambda: journal.lines() == GRACEFUL)

    def test_exit_actor_is_refused_in_a_driver(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="exit_actor API is called on a non-actor worker"):
            ray.actor.exit_actor()

    def test_exit_actor_is_refused_in_a_task(self, ray: Any) -> None:
        @ray.remote
        def leave() -> None:
            ray.actor.exit_actor()

        with pytest.raises(TypeError, match="exit_actor API is called on a non-actor worker"):
            ray.get(leave.remote())

    def test_the_process_ends(self, ray: Any, mortal: Any, eventually: Any) -> None:
        pid = ray.get(mortal.pid.remote())
        mortal.__ray_terminate__.remote()
        eventually(lambda: not is_running(pid))

    @pytest.mark.parametrize("code", [0, 1])
    def test_sys_exit_ends_the_actor(self, ray: Any, mortal: Any, code: int) -> None:
        with pytest.raises(ray.exceptions.ActorDiedError, match=rf"(?i)exit code {code}\b"):
            ray.get(mortal.sys_exit.remote(code))
        with pytest.raises(ray.exceptions.ActorDiedError, match=rf"(?i)exit code {code}\b"):
            ray.get(mortal.pid.remote())


class TestLeavingWhileCallsRun:
    """Actors that run several calls at once: those that run end, all others fail."""

    @pytest.fixture(params=["threads", "asyncio"])
    def busy(self, ray: Any, request: pytest.FixtureRequest) -> Any:
        return ray.remote({"threads": Waiting, "asyncio": AsyncWaiting}[request.param]).options(max_concurrency=2)

    def test_sigterm_lets_running_calls_end(
        self, ray: Any, busy: Any, gate: Gate, journal: Journal, started: Any, eventually: Any
    ) -> None:
        actor = busy.remote(journal)
        pid = ray.get(actor.pid.remote())
        running = [actor.wait.remote(gate, "first"), actor.wait.remote(gate, "second")]
        started("first waits")
        started("second waits")
        os.kill(pid, signal.SIGTERM)
        gate.open()
        assert ray.get(running, timeout=10) == ["first", "second"]
        eventually(lambda: not is_running(pid))

    @pytest.mark.differs("Ray fails them when the process has ended")
    @pytest.mark.differs_on_cluster("as on Ray, they fail when the process has ended")
    def test_sigterm_fails_other_calls_at_once(
        self, ray: Any, busy: Any, gate: Gate, journal: Journal, started: Any
    ) -> None:
        actor = busy.remote(journal)
        pid = ray.get(actor.pid.remote())
        running = [actor.wait.remote(gate, "first"), actor.wait.remote(gate, "second")]
        started("first waits")
        started("second waits")
        queued = actor.wait.remote(gate, "third")
        os.kill(pid, signal.SIGTERM)
        with pytest.raises(ray.exceptions.ActorDiedError, match="SIGTERM"):
            ray.get(queued, timeout=10)
        with pytest.raises(ray.exceptions.ActorDiedError, match="SIGTERM"):
            ray.get(actor.pid.remote(), timeout=10)
        gate.open()
        assert ray.get(running, timeout=10) == ["first", "second"]

    def test_sigterm_ends_the_process_after_the_running_calls(
        self, ray: Any, busy: Any, journal: Journal, eventually: Any
    ) -> None:
        actor = busy.remote(journal)
        pid = ray.get(actor.pid.remote())
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not is_running(pid))

    @pytest.mark.differs("in Ray it has the handler of the actor")
    def test_a_forked_child_ends_by_sigterm(self, ray: Any, busy: Any, journal: Journal) -> None:
        assert ray.get(busy.remote(journal).end_child_by.remote(signal.SIGTERM), timeout=10) == -signal.SIGTERM

    @pytest.mark.differs("Ray may answer only when the calls that run have ended")
    @pytest.mark.differs_on_cluster("as on Ray, the answer may come only when the calls that run have ended")
    def test_exit_actor_in_a_call_lets_the_others_end(
        self, ray: Any, busy: Any, gate: Gate, journal: Journal, started: Any, eventually: Any
    ) -> None:
        actor = busy.remote(journal)
        pid = ray.get(actor.pid.remote())
        running = actor.wait.remote(gate, "first")
        started("first waits")
        for call in (actor.leave, actor.pid):
            with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)"):
                ray.get(call.remote(), timeout=10)
        gate.open()
        assert ray.get(running, timeout=10) == "first"
        eventually(lambda: not is_running(pid))

    @pytest.mark.parametrize("way", ["method", "__init__", "thread"])
    def test_exit_actor_works_in_a_call_of_the_actor_to_itself(
        self, ray: Any, way: str, journal: Journal, eventually: Any
    ) -> None:
        actor = ray.remote(SelfMade).remote(way, journal)
        # In Ray it may be this very call that fails.
        ray.wait([actor.begin.remote()], timeout=10)
        eventually(lambda: journal.lines()[1:] == GRACEFUL)
        eventually(lambda: not is_running(int(journal.lines()[0])))
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)"):
            ray.get(actor.begin.remote(), timeout=10)


class TestChildren:
    """What a method has started, and does not end by itself."""

    @pytest.mark.parametrize("way", ["exit_actor", "sys_exit", "__ray_terminate__"])
    def test_the_caller_does_not_wait_for_children(self, ray: Any, way: str) -> None:
        actor = ray.remote(Parent).remote()
        ray.get(actor.start.remote(), timeout=10)
        own = getattr(actor, way).remote()
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\)|exit code 0"):
            ray.get(own, timeout=10)
        ray.kill(actor)


class TestCrash:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
    def test_the_error_of_a_crash_by_a_signal_names_class_and_process(
        self, ray: Any, mortal: Any, number: signal.Signals
    ) -> None:
        pid = ray.get(mortal.pid.remote())
        with pytest.raises(ray.exceptions.ActorDiedError, match=rf"(?s)Mortal.*{pid}"):
            ray.get(mortal.signal.remote(number))

    @pytest.mark.differs("Ray tells neither signal nor exit code")
    @pytest.mark.differs_on_cluster("Ray tells neither signal nor exit code")
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
    def test_the_error_names_the_signal(self, ray: Any, mortal: Any, number: signal.Signals) -> None:
        with pytest.raises(ray.exceptions.ActorDiedError, match=number.name):
            ray.get(mortal.signal.remote(number))

    @pytest.mark.differs("Ray tells neither signal nor exit code")
    @pytest.mark.differs_on_cluster("Ray tells neither signal nor exit code")
    def test_the_error_names_the_exit_code(self, ray: Any, mortal: Any) -> None:
        with pytest.raises(ray.exceptions.ActorDiedError, match="exit code 7"):
            ray.get(mortal.exit_process.remote(7))

    @pytest.mark.differs("Ray does not show what the worker wrote last")
    @pytest.mark.differs_on_cluster("Ray does not show what the worker wrote last")
    def test_the_error_shows_the_last_lines_of_stderr(self, ray: Any) -> None:
        @ray.remote
        class Talking:
            def crash(self) -> None:
                os.write(2, b"first line\nlast words\n")
                os._exit(1)

        with pytest.raises(ray.exceptions.ActorDiedError, match="last words"):
            ray.get(Talking.remote().crash.remote())

    def test_pending_and_later_calls_of_a_crashed_actor_fail(self, ray: Any, mortal: Any) -> None:
        refs = [mortal.exit_process.remote(1), mortal.pid.remote(), mortal.pid.remote()]
        for ref in refs:
            with pytest.raises(ray.exceptions.ActorDiedError, match="Mortal"):
                ray.get(ref)
        with pytest.raises(ray.exceptions.ActorDiedError, match="Mortal"):
            ray.get(mortal.pid.remote())

    def test_the_crash_of_an_idle_actor_fails_later_calls(self, ray: Any, mortal: Any, eventually: Any) -> None:
        pid = ray.get(mortal.pid.remote())
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(pid))
        with pytest.raises(ray.exceptions.RayActorError, match=r"(?s)."):
            ray.get(mortal.pid.remote())

    def test_other_actors_live_on(self, ray: Any, mortal: Any) -> None:
        other = ray.remote(Counter).remote()
        mortal.exit_process.remote(1)
        assert ray.get(other.increment.remote()) == 1

    def test_a_crash_in_the_constructor_fails_the_calls(self, ray: Any) -> None:
        class Crashing:
            def __init__(self) -> None:
                os._exit(3)

            def ping(self) -> None: ...

        with pytest.raises(ray.exceptions.ActorDiedError, match=r"(?s)."):
            ray.get(ray.remote(Crashing).remote().ping.remote())

    def test_a_crashed_call_is_ready_for_wait(self, ray: Any, mortal: Any) -> None:
        crashed = mortal.exit_process.remote(1)
        assert ray.wait([crashed], timeout=30) == ([crashed], [])

    def test_a_task_that_waits_for_a_crashed_call_fails(self, ray: Any, mortal: Any) -> None:
        @ray.remote
        def dependent(value: Any) -> None: ...

        with pytest.raises(ray.exceptions.ActorDiedError, match="Mortal"):
            ray.get(dependent.remote(mortal.exit_process.remote(1)))

    def test_the_crash_of_a_task_worker_fails_the_task(self, ray: Any) -> None:
        @ray.remote(max_retries=0)
        def crash() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        with pytest.raises(ray.exceptions.WorkerCrashedError, match="died"):
            ray.get(crash.remote())
