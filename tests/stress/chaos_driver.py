"""A driver under chaos: threads that make calls of all kinds until stdin is closed, and record them.

Run as ``python -m stress.chaos_driver SEED DRIVER HISTORY THREADS``. It may be killed at any moment.
"""

from __future__ import annotations

import faulthandler
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import nbactors
from nbactors.testing import History
from nbactors.testing.records import Call
from stress.recorded import LIMIT_S, Asynchronous, Plain, double, fail, linger, produce

NAMESPACE = "chaos"

SHARED: dict[str, dict[str, Any]] = {
    "plain": {"max_restarts": -1},
    "async": {"max_restarts": -1},
    "threaded": {"max_restarts": -1, "max_concurrency": 4},
    "mortal": {"max_restarts": 3},
    "detached": {"max_restarts": -1, "lifetime": "detached"},
}
"""The actors that all drivers call, with their options."""

METHODS = {"add": 20, "read": 6, "slow": 4, "fail": 2, "length": 1, "blob": 1, "stream": 2, "relay": 2}
TASKS = {"double": 8, "linger": 4, "fail": 1, "produce": 2}


def create(history: History, label: str, kind: str, **more: Any) -> Any:
    """Create an actor of a kind, and record that. `label` is its name in the history."""
    options = SHARED[kind] | more
    history.created(label, options["max_restarts"])
    cls: Any = nbactors.remote(Asynchronous if kind == "async" else Plain)
    return cls.options(num_cpus=0, **options).remote(history, label)


class Caller(threading.Thread):
    """A thread that makes calls. The kinds of calls follow from the seed."""

    def __init__(self, seed: int, driver: int, index: int, history: History, stop: threading.Event) -> None:
        super().__init__(name=f"d{driver}.{index}")
        self.random = random.Random(f"{seed}-{driver}-{index}")
        self.history = history
        self.submitter = history.submitter(self.name)
        self.stop = stop
        self.actors: dict[str, tuple[str, Any]] = {}
        self.own = 0
        self.wrong = ""

    def run(self) -> None:
        try:
            self.find_actors()
            while not self.stop.is_set():
                self.round()
            self.submitter.leave()
        except BaseException:
            self.wrong = traceback.format_exc()

    def find_actors(self) -> None:
        for kind in SHARED:
            try:
                self.actors[kind] = (kind, nbactors.get_actor(kind))
            except ValueError:
                assert kind == "mortal", f"{kind} has unlimited restarts, and is not found"
        self.renew_own()

    def renew_own(self) -> None:
        """Create an actor that ends with this driver."""
        self.own += 1
        name = f"{self.name}-own{self.own}"
        restarts = self.random.choice([0, 1, -1])
        kind = self.random.choice(["plain", "async"])
        self.actors["own"] = (kind, create(self.history, name, kind, max_restarts=restarts))

    def label(self, name: str) -> str:
        return f"{self.name}-own{self.own}" if name == "own" else name

    def round(self) -> None:
        """Make some calls, cancel some, and take all answers in any order."""
        calls = [self.make() for _ in range(self.random.choice([1, 2, 5, 20]))]
        for _, ref, is_stream, _ in calls:
            if not is_stream and self.random.random() < 0.03:
                nbactors.cancel(ref)
        self.random.shuffle(calls)
        if self.random.random() < 0.3:
            refs = [ref for _, ref, is_stream, _ in calls if not is_stream]
            if refs:
                nbactors.wait(refs, num_returns=len(refs), timeout=LIMIT_S)
        if self.random.random() < 0.02:
            self.renew_own()
        for call, _, _, get in calls:
            self.submitter.take(call, get)

    def make(self) -> tuple[Call, Any, bool, Callable[[], Any]]:
        call, ref, is_stream = self.make_task() if self.random.random() < 0.15 else self.make_call()
        if is_stream:
            return call, ref, True, partial(read, ref)
        return call, ref, False, partial(nbactors.get, ref, timeout=LIMIT_S)

    def make_task(self) -> tuple[Call, Any, bool]:
        kind = self.random.choices(list(TASKS), list(TASKS.values()))[0]
        retries = self.random.choice([0, 1, 5])
        function = {"double": double, "linger": linger, "fail": fail, "produce": produce}[kind]
        number = {"double": 7, "linger": 0.005, "produce": self.random.randrange(8)}.get(kind)
        task: Any = nbactors.remote(function)
        options: dict[str, Any] = {"retry_exceptions": True} if kind == "fail" else {}
        call = self.submitter.invoke("task", kind, retries, lane=None)
        arguments = (self.history, call, *([] if number is None else [number]))
        return call, task.options(max_retries=retries, **options).remote(*arguments), kind == "produce"

    def make_call(self) -> tuple[Call, Any, bool]:
        rng = self.random
        name = rng.choice(list(self.actors))
        kind, actor = self.actors[name]
        method = rng.choices(list(METHODS), list(METHODS.values()))[0]
        if method == "relay" and kind != "async":
            method = "add"
        retries = rng.choice([0, 0, 1, -1])
        arguments: list[Any] = []
        options: dict[str, Any] = {"max_task_retries": retries}
        if method == "slow":
            arguments = [rng.choice([0.001, 0.01])]
        elif method == "fail" and retries >= 0:  # else it never ends
            options["retry_exceptions"] = rng.random() < 0.5
        elif method == "length":
            arguments = [nbactors.put(bytes(rng.choice([1_000, 300_000])))]
        elif method == "blob":
            arguments = [rng.choice([1_000, 300_000])]
        elif method == "stream":
            arguments = [rng.randrange(8)]
        elif method == "relay":
            target = rng.choice(["plain", "detached"])
            arguments = [target, [self.actors[target][1]]]
        lane = None if kind == "threaded" else ""
        call = self.submitter.invoke(self.label(name), method, retries, lane)
        return call, getattr(actor, method).options(**options).remote(call, *arguments), method == "stream"


def read(stream: Any) -> list[Any]:
    values = []
    while True:
        try:
            ref = stream._next_sync(LIMIT_S)
        except StopIteration:
            return values
        values.append(nbactors.get(ref, timeout=LIMIT_S))


def main() -> None:
    faulthandler.register(signal.SIGUSR1)
    seed, driver, path, threads = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    nbactors.init(namespace=NAMESPACE, log_to_driver=False)
    stop = threading.Event()
    callers = [Caller(seed, driver, index, History(path), stop) for index in range(threads)]
    for caller in callers:
        caller.start()
    sys.stdin.read()
    stop.set()
    for caller in callers:
        caller.join()
    wrong = [caller.wrong for caller in callers if caller.wrong]
    del callers, caller
    nbactors.shutdown()
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
