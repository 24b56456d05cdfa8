"""One driver process: threads that make calls of all kinds at random, and note how each has ended.

Run as ``python -m stress.load SEED DRIVER PREFIX THREADS CALLS FILE``; writes a pickled `Log` to FILE.
"""

from __future__ import annotations

import faulthandler
import pickle
import random
import signal
import sys
import threading
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbactors
from nbactors.testing.polling import eventually
from stress.subjects import left_behind

HANG_S = 60.0
"""A call that has not ended by then hangs: none takes more than a moment."""

THREAD_IDS = 1 << 20
DRIVER_IDS = 1 << 26

# How often each kind is made, for each kind of actor.
COMMON = {"add": 40, "slow": 3, "length": 1, "blob": 1, "stream": 3, "timed": 3, "dependent": 4}
WEIGHTS = {
    "plain": COMMON,
    "threaded": COMMON | {"relay": 4},
    "async": COMMON | {"relay": 4},
    "grouped": COMMON | {"relay": 4},
}


@dataclass
class Call:
    """One call that was made.

    Attributes:
        ends: The outcomes that are right for it, beside having returned.
        at_once: It has to be read before anything else is waited for.
    """

    number: int
    actor: str
    kind: str
    ref: Any
    expected: Any
    ends: set[str] = field(default_factory=set)
    at_once: bool = False
    outcome: str = ""


@dataclass
class Log:
    """What a driver has seen: (number, actor, kind, outcome) of each call, and what was wrong."""

    calls: list[tuple[int, str, str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Caller(threading.Thread):
    """One thread of calls. Its random numbers, and so its calls, follow from the seed."""

    def __init__(self, seed: int, driver: int, index: int, actors: dict[str, Any], calls: int) -> None:
        super().__init__(name=f"caller-{index}")
        self.random = random.Random(f"{seed}-{driver}-{index}")
        self.actors = actors
        self.left = calls
        self.next_number = driver * DRIVER_IDS + index * THREAD_IDS
        self.log = Log()

    def run(self) -> None:
        try:
            while self.left > 0:
                self.round()
        except BaseException:
            self.log.wrong.append(traceback.format_exc())

    def round(self) -> None:
        """Make some calls, interfere with some, and take what they give."""
        calls: list[Call] = []
        for _ in range(min(self.random.choice([1, 2, 5, 20, 100]), self.left)):
            call = self.make(calls)
            calls.append(call)
            if call.at_once:
                self.take(call)
        self.left -= len(calls)
        for call in calls:
            if call.kind != "stream" and self.random.random() < 0.06:
                self.cancel(call)
        self.random.shuffle(calls)
        plain = [call for call in calls if call.kind not in ("stream", "relay") and not call.ends]
        if self.random.random() < 0.3:
            left = [call.ref for call in plain]
            while left:
                done, left = nbactors.wait(left, num_returns=min(8, len(left)), timeout=HANG_S)
                if not done:
                    self.log.wrong.append(f"wait gave nothing within {HANG_S} s: {left}")
                    return
        elif self.random.random() < 0.5:
            try:
                values = nbactors.get([call.ref for call in plain], timeout=HANG_S)
            except nbactors.exceptions.GetTimeoutError:
                hanging = [call for call in plain if not call.ref.done()]
                self.log.wrong.append(f"hang: {hanging}; {[vars_of(call.ref._entry.call) for call in hanging]}")
                raise
            for call, value in zip(plain, values, strict=True):
                self.note_value(call, value)
        for call in calls:
            if not call.outcome:
                self.take(call)
            self.log.calls.append((call.number, call.actor, call.kind, call.outcome))

    # ---------------------------------------------------------------------------------------------------- making

    def make(self, earlier: list[Call]) -> Call:
        rng = self.random
        kind_of_actor = rng.choice(list(self.actors))
        weights = WEIGHTS[kind_of_actor]
        kind = rng.choices(list(weights), list(weights.values()))[0]
        actor, number = self.actors[kind_of_actor], self.next_number
        self.next_number += 1
        ends: set[str] = set()
        at_once = False
        if kind == "slow":
            seconds = rng.choice([0, 0.001, 0.005])
            ref, expected = actor.slow.remote(number, seconds), number
        elif kind == "length":
            size = rng.choice([10_000, 300_000])
            ref, expected = actor.length.remote(number, bytes(size)), size
        elif kind == "blob":
            expected = bytes(rng.choice([10_000, 300_000]))
            ref = actor.blob.remote(number, len(expected))
        elif kind == "stream":
            expected = rng.choice([0, 1, 7, 30])
            limit = rng.choice([-1, -1, 1, 4])
            # A generator that waits for its reader keeps others off the actor: what its reader waits for may be theirs.
            at_once = limit > 0 and kind_of_actor != "async"
            method = actor.stream.options(_generator_backpressure_num_objects=limit) if limit > 0 else actor.stream
            ref = method.remote(number, expected)
        elif kind == "timed":
            ends.add("timeout")
            timeout_s = rng.choice([0.0005, 0.003, 0.01, 0.05])
            ref, expected = actor.slow.options(timeout_s=timeout_s).remote(number, 0.003), number
        elif kind == "dependent" and (sources := [call for call in earlier if call.kind == "add"]):
            source = rng.choice(sources)
            ref, expected = actor.add.remote(number, source.ref), source.expected + 1
            # It fails if what it depends on was cancelled.
            ends.add("cancelled")
        elif kind == "relay":
            other = rng.choice([handle for name, handle in self.actors.items() if name != kind_of_actor])
            # Two threaded actors whose threads all wait for each other would be the load's own deadlock.
            if kind_of_actor == "threaded":
                other = self.actors[rng.choice(["plain", "async"])]
            ref, expected = actor.relay.remote(number, [other]), 2
        else:
            kind = "add"
            value = rng.randrange(100)
            ref, expected = actor.add.remote(number, value), value + 1
        return Call(number, kind_of_actor, kind, ref, expected, ends, at_once)

    def cancel(self, call: Call) -> None:
        call.ends.add("cancelled")
        nbactors.cancel(call.ref, interrupt=call.actor == "plain" and self.random.random() < 0.5)

    # ---------------------------------------------------------------------------------------------------- taking

    def take(self, call: Call) -> None:
        try:
            if call.kind == "stream":
                self.read(call)
            else:
                self.note_value(call, nbactors.get(call.ref, timeout=HANG_S))
        except nbactors.exceptions.CallTimeoutError as error:
            self.note(call, "timeout", error.phase)
        except nbactors.exceptions.TaskCancelledError:
            self.note(call, "cancelled", "cancelled")
        except nbactors.exceptions.GetTimeoutError as error:
            call.outcome = "hang"
            self.log.wrong.append(f"{call} hangs: {error}")
            faulthandler.dump_traceback(all_threads=True)

    def note(self, call: Call, end: str, outcome: str) -> None:
        call.outcome = outcome
        if end not in call.ends:
            self.log.wrong.append(f"{call} should not have ended so")

    def note_value(self, call: Call, value: Any) -> None:
        call.outcome = "value"
        if value != call.expected:
            self.log.wrong.append(f"{call} gave {value!r:.100}")

    def read(self, call: Call) -> None:
        """Read a stream: to its end, or in part, and then close, cancel or drop it."""
        stream, call.ref = call.ref, None
        how = self.random.choice(["all", "all", "all", "close", "cancel", "drop"])
        wanted = call.expected if how == "all" else self.random.randrange(call.expected + 1)
        values = []
        while len(values) < wanted:
            values.append(nbactors.get(stream._next_sync(HANG_S), timeout=HANG_S))
        if values != list(range(wanted)):
            self.log.wrong.append(f"{call} yielded {values}")
        if how == "all":
            call.outcome = "value"
            try:
                more = stream._next_sync(HANG_S)
                self.log.wrong.append(f"{call} yielded one more: {nbactors.get(more, timeout=HANG_S)}")
            except StopIteration:
                pass
            nbactors.get(stream.completed(), timeout=HANG_S)
            return
        call.outcome = how
        if how == "close":
            stream.close()
        elif how == "cancel":
            nbactors.cancel(stream)
            call.ends.add("cancelled")
            try:
                nbactors.get(stream.completed(), timeout=HANG_S)
            except nbactors.exceptions.TaskCancelledError:
                pass


def vars_of(pending: Any) -> dict[str, str]:
    """Describe a pending call, for the report of one that hangs."""
    return {name: repr(getattr(pending, name, None)) for name in ("state", "canceled", "connection", "target")}


def main() -> None:
    # What a test that waited in vain sends before it kills.
    faulthandler.register(signal.SIGUSR1)
    seed, driver = int(sys.argv[1]), int(sys.argv[2])
    prefix, threads, calls, path = sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), Path(sys.argv[6])
    nbactors.init(namespace="stress")
    actors = {kind: nbactors.get_actor(f"{prefix}-{kind}") for kind in WEIGHTS}
    callers = [Caller(seed, driver, index, actors, calls // threads) for index in range(threads)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    log = Log()
    for caller in callers:
        log.calls += caller.log.calls
        log.wrong += caller.log.wrong
    if not log.wrong:
        del callers, caller
        try:
            eventually(lambda: not left_behind(), timeout_s=20)
        except TimeoutError:
            log.wrong.append(f"left behind in driver {driver}: {Counter(left_behind())}")
    path.write_bytes(pickle.dumps((log.calls, log.wrong)))
    del actors
    nbactors.shutdown()


if __name__ == "__main__":
    main()
