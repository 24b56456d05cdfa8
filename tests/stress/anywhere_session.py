"""A session in which handlers, finalizers and exceptions come at any moment: run by test_anywhere.py.

Takes the seed and the number of events. Main and two more threads make mixed calls. In each step one event comes at a
random moment: a signal's handler that raises, one that calls an actor, or an asynchronous exception. All the while the
collector runs often, and garbage calls an actor when it goes.

Each exception that was raised must come out of the step, and each result must be there afterwards. Prints a line of
JSON that tells how many events there were, and what went wrong.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import json
import queue
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import Any

import nbactors as ray
from nbactors.util import as_completed

THREADS = 2
"""Beside main."""

LARGE = 300_000
HANGS_S = 40
"""No event takes so long: the stacks are printed, and the process ends."""

COMES_S = 10
"""An exception that has not come out of a step by then was swallowed."""


class Injected(Exception):
    """What a user's handler raises."""


class Halt(BaseException):
    """The same, of the kind that no `except Exception` catches."""


class Echo:
    """Answers with what it is given."""

    def echo(self, value: Any) -> Any:
        return value

    def count(self, number: int) -> Iterator[int]:
        yield from range(number)


class AsyncEcho:
    """The same on an event loop."""

    async def echo(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value


@ray.remote
def double(value: int) -> int:
    return 2 * value


class Garbage:
    """A cycle that calls an actor when it is collected."""

    collected = 0

    def __init__(self, actor: Any) -> None:
        self.cycle = self
        self.actor = actor

    def __del__(self) -> None:
        Garbage.collected += 1
        self.actor.echo.remote(None)


class Striker:
    """Raises asynchronous exceptions in threads, at the moment that each asks for."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[int, float, type[BaseException]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def strike(self, ident: int, delay: float, kind: type[BaseException]) -> None:
        self._asked.put((ident, delay, kind))

    def _run(self) -> None:
        while True:
            ident, delay, kind = self._asked.get()
            time.sleep(delay)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(kind))


class Events:
    """What has come, and what has become of it. Of one thread."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.lost_to_python = 0
        """Exceptions that were raised in a finalizer: Python tells of them, and goes on."""


class User:
    """One thread that makes calls, in random order."""

    def __init__(self, choose: random.Random, actors: dict[str, Any], striker: Striker) -> None:
        self.choose = choose
        self.actors = actors
        self.striker = striker
        self.events = Events()
        self.made: list[tuple[Any, Any]] = []
        self.answers = 0
        self.is_main = threading.current_thread() is threading.main_thread()

    # ------------------------------------------------------------------------------------------------------- steps

    def call(self, kind: str, value: Any) -> Any:
        ref = self.actors[kind].echo.remote(value)
        self.made.append((ref, value))
        return ref

    def any_kind(self) -> str:
        return self.choose.choice(("plain", "threaded", "async"))

    def get(self) -> None:
        kind = self.any_kind()
        for number in range(20):
            assert ray.get(self.call(kind, [number])) == [number]

    def get_many(self) -> None:
        kind = self.any_kind()
        assert ray.get([self.call(kind, number) for number in range(200)]) == list(range(200))

    def wait(self) -> None:
        refs = [self.call(self.any_kind(), number) for number in range(20)]
        while refs:
            done, refs = ray.wait(refs)
            assert len(done) == 1

    def wait_for_all(self) -> None:
        refs = [self.call(self.any_kind(), number) for number in range(50)]
        assert ray.wait(refs, num_returns=len(refs)) == (refs, [])

    def complete(self) -> None:
        kind = self.any_kind()
        refs = [self.call(kind, number) for number in range(50)]
        assert sorted(as_completed(refs, chunk_size=self.choose.choice((1, 7, 50)))) == list(range(50))

    def large(self) -> None:
        value = bytes([self.choose.randrange(256)]) * LARGE
        ref = ray.put(value)
        self.made.append((ref, value))
        assert ray.get(self.call(self.any_kind(), value)) == value
        assert ray.get(ref) == value

    def tasks(self) -> None:
        refs = []
        for number in range(5):
            ref = double.remote(number)
            self.made.append((ref, 2 * number))
            refs.append(ref)
        assert ray.get(refs) == [0, 2, 4, 6, 8]

    def stream(self) -> None:
        for number, ref in enumerate(self.actors["plain"].count.remote(20)):
            self.made.append((ref, number))
            assert ray.get(ref) == number

    # ------------------------------------------------------------------------------------------------------ events

    def meet(self) -> None:
        """Do one thing while an event comes, and look whether all is there afterwards."""
        waits = (self.get, self.get_many, self.wait, self.wait_for_all, self.complete)
        step = self.choose.choice((*waits, self.large, self.tasks, self.stream))
        event = self.choose.choice(
            ("raising handler", "calling handler", "exception") if self.is_main else ("exception",)
        )
        delay = 0.0001 + self.choose.random() ** 2 / 50
        kind = self.choose.choice((Injected, Halt))
        where = f"{event} in {step.__name__}"
        for _ in range(self.choose.randrange(5)):
            Garbage(self.actors["threaded"])
        self.made.clear()
        try:
            if event == "calling handler":
                self.answered_during(step, delay)
            else:
                self.raised_during(step, delay, kind, event == "exception")
            found = ray.get([ref for ref, _ in self.made], timeout=20)
            if found != [value for _, value in self.made]:
                self.events.wrong.append(f"{where}: wrong values")
        except BaseException:
            self.events.wrong.append(f"{where}: {traceback.format_exc()}")
        self.events.met[event] += 1

    def answered_during(self, step: Any, delay: float) -> None:
        before = self.answers

        def answer(number: int, frame: Any) -> None:
            assert ray.get(self.actors["async"].echo.remote("inner"), timeout=20) == "inner"
            self.answers += 1

        signal.signal(signal.SIGALRM, answer)
        signal.setitimer(signal.ITIMER_REAL, delay)
        step()
        end = time.monotonic() + COMES_S
        while self.answers == before:
            assert time.monotonic() < end, "the handler has not returned"

    def raised_during(self, step: Any, delay: float, kind: type[BaseException], is_async: bool) -> None:
        lost = self.events.lost_to_python

        def throw(number: int, frame: Any) -> None:
            raise kind

        try:
            if is_async:
                self.striker.strike(threading.get_ident(), delay, kind)
            else:
                signal.signal(signal.SIGALRM, throw)
                signal.setitimer(signal.ITIMER_REAL, delay)
            step()
            end = time.monotonic() + COMES_S
            while self.events.lost_to_python == lost:
                if time.monotonic() > end:
                    raise AssertionError(f"{kind.__name__} was swallowed")
        except (Injected, Halt):
            pass
        except (ray.exceptions.RaySystemError, TypeError) as error:
            # What is raised while the user's value is pickled or unpickled counts as that value's error.
            if not isinstance(error.__cause__, kind):
                raise


def watch_finalizers(users: dict[int, User]) -> None:
    """Count the exceptions that came in a finalizer, which Python hands to nobody."""

    def note(unraisable: Any) -> None:
        if unraisable.exc_type in (Injected, Halt):
            users[threading.get_ident()].events.lost_to_python += 1
        else:
            sys.__unraisablehook__(unraisable)

    sys.unraisablehook = note


def main(seed: int, count: int) -> None:
    ray.init(num_cpus=2)
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    actors = {
        "plain": ray.remote(Echo).options(num_cpus=0).remote(),
        "threaded": ray.remote(Echo).options(num_cpus=0, max_concurrency=4).remote(),
        "async": ray.remote(AsyncEcho).options(num_cpus=0).remote(),
    }
    ray.get([actor.echo.remote(0) for actor in actors.values()])
    striker, users, share = Striker(), {}, count // (THREADS + 1)
    watch_finalizers(users)

    def work(number: int, events: int) -> None:
        user = users[threading.get_ident()] = User(random.Random(seed + number), actors, striker)
        for _ in range(events):
            user.meet()
            if user.is_main:
                faulthandler.dump_traceback_later(HANGS_S, exit=True)
            if len(user.events.wrong) > 3:
                return

    gc.set_threshold(50)
    threads = [threading.Thread(target=work, args=(number + 1, share), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    work(0, count - share * THREADS)
    for thread in threads:
        while thread.is_alive():
            faulthandler.dump_traceback_later(HANGS_S, exit=True)
            thread.join(HANGS_S / 2)
    gc.set_threshold(700)
    gc.collect()
    values = ray.get([actor.echo.remote(7) for actor in actors.values()], timeout=20)
    met = sum((user.events.met for user in users.values()), Counter())
    wrong = [line for user in users.values() for line in user.events.wrong]
    lost = sum(user.events.lost_to_python for user in users.values())
    outcome = {"met": met, "wrong": wrong[:5], "in finalizers": lost, "collected": Garbage.collected, "values": values}
    print(json.dumps(outcome), flush=True)
    actors.clear()
    for user in users.values():
        user.made.clear()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
