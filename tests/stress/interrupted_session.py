"""A session under a barrage of SIGINT: run by test_interrupts_of_a_session.py, with the seed and the count.

Prints a line of JSON: how many interrupts were sent and met what, and what is left behind.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import nbactors as ray

sys.path.insert(0, str(Path(__file__).parents[1]))
from stress.subjects import left_behind

LARGE = 300_000


class Tally:
    """Answers with what it is given, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def echo(self, value: Any) -> Any:
        self.calls += 1
        return value

    def nap(self, seconds: float) -> None:
        time.sleep(seconds)

    def count(self, number: int) -> Any:
        yield from range(number)

    def pid(self) -> int:
        return os.getpid()


@ray.remote
def double(value: int) -> int:
    return 2 * value


class Barrage:
    """Sends SIGINT to this process from a thread, at random times, as long as it is open."""

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def open(self) -> None:
        self._ended.clear()
        self._wanted.set()

    def close(self) -> None:
        """After this no interrupt is on its way."""
        self._ended.wait(10)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            time.sleep(self._choose.random() ** 3 / 50)
            self.sent += 1
            os.kill(os.getpid(), signal.SIGINT)
            self._ended.set()


class Session:
    """What a user does, in random order."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.actors: list[Any] = [ray.remote(Tally).remote() for _ in range(2)]
        self.pids = ray.get([actor.pid.remote() for actor in self.actors])
        self.named = 0

    def get(self, actor: Any) -> None:
        for number in range(50):
            assert ray.get(actor.echo.remote(number)) == number

    def get_many(self, actor: Any) -> None:
        assert ray.get([actor.echo.remote(number) for number in range(200)]) == list(range(200))

    def get_slow(self, actor: Any) -> None:
        ray.get([actor.nap.remote(0.02) for _ in range(3)])

    def wait(self, actor: Any) -> None:
        refs = [actor.echo.remote(number) for number in range(30)]
        while refs:
            done, refs = ray.wait(refs)
            assert len(done) == 1

    def put(self, actor: Any) -> None:
        for number in range(20):
            value = bytes([number]) * (LARGE if number % 5 == 0 else 10)
            ref = ray.put(value)
            assert ray.get(actor.echo.remote(ref)) == value

    def submit(self, actor: Any) -> None:
        for number in range(300):
            actor.echo.remote(number)

    def chain(self, actor: Any) -> None:
        ref = actor.echo.remote(7)
        for number in range(30):
            ref = self.actors[number % 2].echo.remote(ref)
        assert ray.get(ref) == 7

    def stream(self, actor: Any) -> None:
        assert [ray.get(ref) for ref in actor.count.remote(40)] == list(range(40))

    def stream_half(self, actor: Any) -> None:
        stream = actor.count.remote(100)
        for _ in range(5):
            ray.get(next(stream))

    def tasks(self, actor: Any) -> None:
        assert ray.get([double.remote(number) for number in range(20)]) == [2 * number for number in range(20)]

    def handles(self, actor: Any) -> None:
        other = ray.remote(Tally).options(num_cpus=0).remote()
        assert ray.get(other.echo.remote(actor)) == actor
        del other

    def name(self, actor: Any) -> None:
        self.named += 1
        name = f"tally{self.named}"
        other = ray.remote(Tally).options(name=name, num_cpus=0).remote()
        assert ray.get(ray.get_actor(name).echo.remote(3)) == 3
        del other

    def collect(self, actor: Any) -> None:
        refs = [ray.put(number) for number in range(500)]
        assert ray.get(refs[-1]) == 499
        del refs
        gc.collect()

    def check(self) -> None:
        """Without interrupts everything answers, and right."""
        assert ray.get([actor.pid.remote() for actor in self.actors], timeout=30) == self.pids, "an actor has died"
        for actor in self.actors:
            self.get_many(actor)
            self.stream(actor)
        self.tasks(self.actors[0])


STEPS = [
    "chain",
    "collect",
    "get",
    "get_many",
    "get_slow",
    "handles",
    "name",
    "put",
    "stream",
    "stream_half",
    "submit",
    "tasks",
    "wait",
]


def interrupt(session: Session, barrage: Barrage, met: Counter[str]) -> None:
    """Do one thing while an interrupt comes, and what follows until it has come."""
    step = session.choose.choice(STEPS)
    actor = session.choose.choice(session.actors)
    try:
        barrage.open()
        while True:
            try:
                getattr(session, step)(actor)
            except ray.exceptions.TaskCancelledError:
                # Of a call that two waited for. It is tried again until the interrupt has come.
                met["cancelled before"] += 1
    except KeyboardInterrupt as error:
        met[step if not error.args else f"{step}, waiting"] += 1
    barrage.close()


def main(seed: int, count: int, mode: str) -> None:
    choose = random.Random(seed)
    ray.init(num_cpus=2, on_interrupt=mode)
    session = Session(choose)
    session.check()
    barrage, met = Barrage(random.Random(seed + 1)), Counter[str]()
    for number in range(count):
        interrupt(session, barrage, met)
        if number % 50 == 49:
            session.check()
    session.check()
    left: list[str] = []
    for _ in range(100):
        left = left_behind()
        names = ray.util.list_named_actors()
        if not left and not names:
            break
        threading.Event().wait(0.1)
    print(json.dumps({"sent": barrage.sent, "met": met, "left": left[:10], "names": names}), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
