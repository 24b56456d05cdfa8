"""Verbs called from anywhere Python code runs: in signal handlers and finalizers, and beside exceptions of handlers.

Each test is a script in a process of its own, since a handler needs the main thread, and what hangs must not hang the
tests. A script that hangs prints the stacks of its threads and exits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.testing import eventually

pytestmark = pytest.mark.slow

_HANGS_S = 20
_PREAMBLE = f"""
import faulthandler, gc, os, signal, sys, threading, time
import nbactors as ray

faulthandler.dump_traceback_later({_HANGS_S}, exit=True)
ray.init(num_cpus=2)

@ray.remote
class Server:
    def ping(self, value):
        return value

    def save(self):
        return "saved"

    def slow(self, seconds):
        time.sleep(seconds)
        return "slow"

    def close(self):
        pass

class Mine(Exception):
    pass

actor, other = Server.remote(), Server.remote()
ray.get([actor.ping.remote(0), other.ping.remote(0)])
"""


def run(own_directory: Path, source: str) -> str:
    """Run a script in a session, to its end, and return what it has printed."""
    script = own_directory.parent / f"{own_directory.name}.py"
    script.write_text(_PREAMBLE + textwrap.dedent(source) + "\nray.shutdown()\nprint('ended')\n")
    try:
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, timeout=_HANGS_S + 20, check=False
        )
    finally:
        script.unlink()
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines.pop() == "ended"
    return "\n".join(lines)


class TestHandlers:
    @pytest.mark.parametrize("attempt", range(3))
    def test_a_handler_of_sigterm_saves_before_the_exit(self, own_directory: Path, attempt: int) -> None:
        source = """
            def save(number, frame):
                print(ray.get(actor.save.remote(), timeout=5))
                raise SystemExit

            signal.signal(signal.SIGTERM, save)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
            try:
                while True:
                    assert ray.get([actor.ping.remote([i]) for i in range(50)]) == [[i] for i in range(50)]
            except SystemExit:
                pass
            assert ray.get(actor.ping.remote(1)) == 1
        """
        assert run(own_directory, source) == "saved"

    @pytest.mark.parametrize("timeout", ["None", "10"])
    def test_a_handler_gets_a_result_while_the_main_thread_leads_the_reactor(
        self, own_directory: Path, timeout: str
    ) -> None:
        source = f"""
            signal.signal(signal.SIGALRM, lambda *_: print(ray.get(other.ping.remote("inner"))))
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            print(ray.get(actor.slow.remote(1), timeout={timeout}))
        """
        assert run(own_directory, source) == "inner\nslow"

    def test_a_handler_gets_a_result_while_the_main_thread_follows(self, own_directory: Path) -> None:
        source = """
            leader = threading.Thread(target=lambda: ray.get(other.slow.remote(2)))
            leader.start()
            signal.signal(signal.SIGALRM, lambda *_: print(ray.get(other.ping.remote("inner"))))
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            print(ray.get(actor.slow.remote(1)))
            leader.join()
        """
        assert sorted(run(own_directory, source).split()) == ["inner", "slow"]

    def test_calls_of_a_handler_do_not_disturb_the_calls_of_the_main_thread(self, own_directory: Path) -> None:
        source = """
            answers = []
            ping = lambda: other.ping.remote(len(answers))


            def call(*_):
                answers.append(ray.get(ping(), timeout=10))
                # Set anew each time: on a busy machine a timer that repeats would come inside its own handler for ever.
                signal.setitimer(signal.ITIMER_REAL, 0.003)

            signal.signal(signal.SIGALRM, call)
            signal.setitimer(signal.ITIMER_REAL, 0.003)
            for _ in range(100):
                assert ray.get([actor.ping.remote(i) for i in range(100)]) == list(range(100))
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            print(len(answers) > 10)
        """
        assert run(own_directory, source) == "True"


class TestFinalizers:
    def test_a_finalizer_calls_an_actor_during_garbage_collection(self, own_directory: Path) -> None:
        source = """
            collected = 0

            class Closing:
                def __init__(self):
                    self.cycle = self

                def __del__(self):
                    global collected
                    collected += 1
                    actor.close.remote()

            gc.set_threshold(13)
            for round in range(200):
                garbage = [Closing() for _ in range(10)]
                del garbage
                assert ray.get([actor.ping.remote([i]) for i in range(20)]) == [[i] for i in range(20)]
            gc.set_threshold(700)
            gc.collect()
            print(collected)
        """
        assert run(own_directory, source) == "2000"


class TestRaisingHandlers:
    def test_an_exception_of_a_handler_ends_only_the_wait_of_the_main_thread(self, own_directory: Path) -> None:
        source = """
            def stop(number, frame):
                raise Mine

            results = []
            follower = threading.Thread(target=lambda: results.append(ray.get(other.slow.remote(1))))
            signal.signal(signal.SIGALRM, stop)
            slow = actor.slow.remote(1)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            follower.start()
            try:
                ray.get(slow)
            except Mine:
                print("raised")
            follower.join(10)
            print(*results, ray.get(slow), ray.get(actor.ping.remote("well")))
        """
        assert run(own_directory, source) == "raised\nslow slow well"

    def test_each_exception_of_a_handler_reaches_the_user_and_no_reply_is_lost(self, own_directory: Path) -> None:
        source = """
            raised = caught = 0

            def stop(number, frame):
                global raised
                raised += 1
                raise Mine

            signal.signal(signal.SIGALRM, stop)
            for _ in range(100):
                refs = [actor.ping.remote(i) for i in range(400)]
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.003)
                    ray.get(refs)
                    while raised == caught:  # the last word of the timer, outside the runtime
                        pass
                except Mine:
                    caught += 1
                assert ray.get(refs, timeout=10) == list(range(400))
            print(raised, caught)
        """
        assert run(own_directory, source) == "100 100"


class TestActors:
    def test_a_handler_that_raises_while_nothing_runs_ends_no_actor(self, tmp_path: Path) -> None:
        raised = tmp_path / "raised"

        @ray.remote
        class Alarmed:
            def arm(self, path: str) -> int:
                def raise_late(*_: object) -> None:
                    Path(path).touch()
                    raise ValueError("while nothing runs")

                signal.signal(signal.SIGALRM, raise_late)
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                return os.getpid()

            def pid(self) -> int:
                return os.getpid()

        with ray.init():
            actor = Alarmed.remote()
            pid = ray.get(actor.arm.remote(str(raised)))
            eventually(raised.exists)
            assert ray.get(actor.pid.remote(), timeout=10) == pid
