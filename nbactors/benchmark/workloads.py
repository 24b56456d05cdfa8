"""The work that is measured, written against Ray's API alone; runs as a script in a process of its own.

Usage: workloads.py MODULE REQUESTS ANSWERS. MODULE is the runtime (`nbactors` or `ray`), the others are descriptors:
each line read from REQUESTS is a JSON object `{"work": name, …arguments}`, each line written to ANSWERS its result,
`{"value": …}` or `{"error": text}`. At the end of REQUESTS the session shuts down.

Imports nothing but the standard library and MODULE (and numpy where there is one), because in Ray's environment
there is nothing else.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 1000
REPLY = b"ok"
THREADS = 16
PEERS = 4
GROUP = {"io": 4}
MIB = 1 << 20
LARGE_ITEMS = 50
FIRST_OF = 10


class _Echo:
    """The actor that is called."""

    def small(self) -> bytes:
        return REPLY

    def pid(self) -> int:
        return os.getpid()


class _AsyncEcho:
    """The same as a coroutine, which makes its actor an async one."""

    async def small(self) -> bytes:
        return REPLY


class _Caller:
    """The actor that calls other actors."""

    def __init__(self, runtime: str) -> None:
        self._get = importlib.import_module(runtime).get

    def call(self, others: list[Any], count: int) -> None:
        methods = itertools.cycle([other.small for other in others])
        self._get([method.remote() for method in itertools.islice(methods, count)])


class _Streamer:
    """The actor that yields."""

    def small(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield REPLY

    def large(self, count: int) -> Iterator[Any]:
        item = _array(MIB)
        for _ in range(count):
            yield item


class _Link:
    """One link of a chain: awaits the answer of the next."""

    def __init__(self, following: Any) -> None:
        self._following = following

    async def length(self) -> int:
        return 1 if self._following is None else 1 + int(await self._following.length.remote())


class _Reader:
    """The actor that reads large values: gets them itself, as a borrower."""

    def __init__(self, runtime: str) -> None:
        self._get = importlib.import_module(runtime).get

    def ready(self) -> None:
        pass

    def length(self, refs: list[Any]) -> int:
        return len(self._get(refs[0]))


def _small() -> bytes:
    """The task that is called."""
    return REPLY


def _group_of_threads(runtime: Any) -> Any:
    """Return an actor class whose method runs in a group of threads."""

    class Grouped:
        @runtime.method(concurrency_group="io")  # type: ignore[untyped-decorator]  # whichever runtime it is
        def small(self) -> bytes:
            return REPLY

    return runtime.remote(concurrency_groups=GROUP)(Grouped)


def _group_on_a_loop(runtime: Any) -> Any:
    """Return an actor class whose method is a coroutine of a group."""

    class Grouped:
        @runtime.method(concurrency_group="io")  # type: ignore[untyped-decorator]  # whichever runtime it is
        async def small(self) -> bytes:
            return REPLY

    return runtime.remote(concurrency_groups=GROUP)(Grouped)


KINDS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda runtime: runtime.remote(_Echo),
    "async": lambda runtime: runtime.remote(_AsyncEcho),
    "threads": lambda runtime: runtime.remote(max_concurrency=THREADS)(_Echo),
    "group of threads": _group_of_threads,
    "group on a loop": _group_on_a_loop,
}


def _rate(step: Callable[[], float], seconds: float) -> float:
    """Return how many things per second `step` does, which says how many it did; the first step only warms up."""
    step()
    done = 0.0
    start = time.perf_counter()
    while True:
        done += step()
        taken = time.perf_counter() - start
        if taken >= seconds:
            return done / taken


def _array(size: int) -> Any:
    """Return an array of `size` bytes whose pages exist: numpy's, or a bytearray where there is no numpy."""
    try:
        import numpy as np  # noqa: PLC0415 - only this work needs it, and only where it is
    except ImportError:
        return bytearray(b"\x5a") * size
    return np.full(size // 8, 1.5)


class Workloads:
    """One session and what it is asked to do. Every public method is a piece of work."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._runtime: Any = importlib.import_module(module)
        self._fleet: list[Any] = []
        self._actors: dict[str, Any] = {}

    @functools.cached_property
    def _actor_class(self) -> Any:
        return KINDS["plain"](self._runtime)

    def _actor(self, kind: str) -> Any:
        """Return the session's actor of a kind, which all work with that kind calls."""
        if kind not in self._actors:
            self._actors[kind] = KINDS[kind](self._runtime).remote()
        return self._actors[kind]

    @functools.cached_property
    def _streamer(self) -> Any:
        return self._runtime.remote(_Streamer).remote()

    @functools.cached_property
    def _peers(self) -> tuple[list[Any], list[Any]]:
        """The actors that call, and those that are called."""
        callers = self._runtime.remote(_Caller)
        return [callers.remote(self._module) for _ in range(PEERS)], [self._actor_class.remote() for _ in range(PEERS)]

    @functools.cached_property
    def _task(self) -> Any:
        return self._runtime.remote(_small)

    def init(self) -> float:
        """Return the seconds that `init` takes."""
        start = time.perf_counter()
        self._runtime.init(log_to_driver=False)
        return time.perf_counter() - start

    def shutdown(self) -> None:
        """Leave the session."""
        self._fleet.clear()
        self._actors.clear()
        for name in ("_streamer", "_peers"):
            self.__dict__.pop(name, None)
        self._runtime.shutdown()

    def actor_start(self) -> float:
        """Return the seconds from creating an actor to the answer of its first call."""
        start = time.perf_counter()
        actor = self._actor_class.remote()
        self._runtime.get(actor.small.remote())
        return time.perf_counter() - start

    def idle_actor(self) -> int:
        """Return the process id of an actor that has answered one call and keeps living."""
        return int(self._runtime.get(self._actor("plain").pid.remote()))

    def calls_one_at_a_time(self, seconds: float, kind: str = "plain") -> float:
        """Return calls per second, each after the answer to the one before, to an actor of one of `KINDS`."""
        get, method = self._runtime.get, self._actor(kind).small

        def step() -> int:
            for _ in range(20):
                get(method.remote())
            return 20

        return _rate(step, seconds)

    def calls_in_flight(self, seconds: float, kind: str = "plain") -> float:
        """Return calls per second, submitted by the thousand, to an actor of one of `KINDS`."""
        get, method = self._runtime.get, self._actor(kind).small

        def step() -> int:
            get([method.remote() for _ in range(BATCH)])
            return BATCH

        return _rate(step, seconds)

    def calls_among_actors(self, seconds: float) -> float:
        """Return calls per second of actors that call actors, each by the thousand and all at once."""
        get = self._runtime.get
        callers, others = self._peers

        def step() -> int:
            get([caller.call.remote(others, BATCH) for caller in callers])
            return BATCH * PEERS

        return _rate(step, seconds)

    def items_streamed(self, seconds: float) -> float:
        """Return small items per second that a generator method yields and this session reads one by one."""
        get, method = self._runtime.get, self._streamer.small

        def step() -> int:
            return sum(1 for ref in method.remote(BATCH) if get(ref) == REPLY)

        return _rate(step, seconds)

    def gigabytes_streamed(self, seconds: float) -> float:
        """Return gigabytes per second of 1 MiB items that a generator method yields and this session reads."""
        get, method = self._runtime.get, self._streamer.large

        def step() -> float:
            return sum(memoryview(get(ref)).nbytes for ref in method.remote(LARGE_ITEMS)) / 1e9

        return _rate(step, seconds)

    def first_item(self, repeats: int) -> list[float]:
        """Return the seconds from the call of a generator method to its first item, of which there are more."""
        get, method = self._runtime.get, self._streamer.small
        taken = []
        for _ in range(1 + repeats):
            start = time.perf_counter()
            stream = method.remote(FIRST_OF)
            get(next(stream))
            taken.append(time.perf_counter() - start)
            for ref in stream:
                get(ref)
        return taken[1:]

    def tasks_in_flight(self, seconds: float) -> float:
        """Return tasks per second, submitted by the thousand."""
        get, task = self._runtime.get, self._task

        def step() -> int:
            get([task.remote() for _ in range(BATCH)])
            return BATCH

        return _rate(step, seconds)

    def put_small(self, seconds: float) -> float:
        """Return puts of an integer per second."""
        put = self._runtime.put

        def step() -> int:
            for _ in range(100):
                put(0)
            return 100

        return _rate(step, seconds)

    def get_small(self, seconds: float) -> float:
        """Return gets of one integer that was put, per second."""
        get, ref = self._runtime.get, self._runtime.put(0)

        def step() -> int:
            for _ in range(100):
                get(ref)
            return 100

        return _rate(step, seconds)

    def wait_one_by_one(self, seconds: float) -> float:
        """Return rounds per second: submit 1,000 tasks and wait for them one by one."""
        wait, task = self._runtime.wait, self._task

        def step() -> int:
            pending = [task.remote() for _ in range(BATCH)]
            while pending:
                _, pending = wait(pending)
            return 1

        return _rate(step, seconds)

    def large_array(self, size: int, repeats: int) -> dict[str, Any]:
        """Return the seconds of the first put of an array, of later ones, and of gets of it in another process."""
        runtime = self._runtime
        array = _array(size)
        reader = runtime.remote(_Reader).remote(self._module)
        runtime.get(reader.ready.remote())
        puts = []
        ref = None
        for _ in range(1 + repeats):
            ref = None  # so that the memory of the value before may be used again
            start = time.perf_counter()
            ref = runtime.put(array)
            puts.append(time.perf_counter() - start)
        gets = []
        for _ in range(1 + repeats):
            start = time.perf_counter()
            length = runtime.get(reader.length.remote([ref]))
            gets.append(time.perf_counter() - start)
            if length != len(array):
                raise AssertionError(f"an array of {len(array)} arrived with a length of {length}")
        return {"first": puts[0], "later": puts[1:], "gets": gets[1:], "kind": type(array).__module__}

    def fleet(self, count: int) -> float:
        """Return the seconds from creating `count` actors, which go on living, to the last one's first answer."""
        actor_class = self._actor_class.options(num_cpus=0)
        start = time.perf_counter()
        self._fleet = [actor_class.remote() for _ in range(count)]
        self._runtime.get([actor.small.remote() for actor in self._fleet])
        return time.perf_counter() - start

    def chain(self, count: int) -> list[float]:
        """Return the seconds of a call through `count` actors, each awaiting the next: the first time, and again."""
        runtime = self._runtime
        link_class = runtime.remote(_Link).options(num_cpus=0)
        for _ in range(count):
            self._fleet.append(link_class.remote(self._fleet[-1] if self._fleet else None))
        runtime.get([link.__ray_ready__.remote() for link in self._fleet])
        taken = []
        for _ in range(2):
            start = time.perf_counter()
            length = runtime.get(self._fleet[-1].length.remote())
            taken.append(time.perf_counter() - start)
            if length != count:
                raise AssertionError(f"a chain of {count} actors counted {length}")
        return taken


def _answer(workloads: Workloads, request: dict[str, Any]) -> dict[str, Any]:
    name = request.pop("work")
    try:
        return {"value": getattr(workloads, name)(**request)}
    except Exception:  # noqa: BLE001 - whatever went wrong is the answer
        return {"error": traceback.format_exc()}


def main() -> None:
    """Serve requests until there are no more."""
    # The script's folder stands first on the path, and would offer its modules to everyone by their bare names.
    if sys.path and sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    module, requests, answers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    workloads = Workloads(module)
    with open(requests, encoding="utf-8") as lines, open(answers, "w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(_answer(workloads, json.loads(line))) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
