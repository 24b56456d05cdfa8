"""The work of the further rows, which runs as a script as `nbactors/benchmark/workloads.py` does.

It loads that file by its path, so that it also runs in an environment that has Ray and not nbactors.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import mmap
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

BASE = Path(__file__).parents[1] / "nbactors" / "benchmark" / "workloads.py"

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbactors.benchmark import workloads as base
    from nbactors.benchmark.workloads import Step
else:
    _spec = importlib.util.spec_from_file_location("base_workloads", BASE)
    base = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(base)

PEERS = 4
NUMERIC = 10
GROUP = {"io": 4}
MIB = 1 << 20
LARGE_ITEMS = 50
FIRST_OF = 10
HELD_AT_ONCE = 100
LONG_S = 3600
PAGE = 4096
BATCH, REPLY = base.BATCH, base.REPLY


def _array(size: int) -> Any:
    """Return an array of `size` bytes whose pages were written: of numpy, or a bytearray if there is no numpy."""
    try:
        import numpy as np  # noqa: PLC0415 - only this work needs numpy, which may be missing
    except ImportError:
        return bytearray(b"\x5a") * size
    return np.full(size // 8, 1.5)


def warm_up(size: int) -> None:
    """Use so much memory and free it. The first use of memory by a virtual machine takes longer than a write to it."""
    with mmap.mmap(-1, size) as memory:
        for start in range(0, size, PAGE):
            memory[start] = 1


def look_at(value: Any) -> None:
    """Read a byte of each page of a value, as a user may do."""
    memoryview(value).cast("B")[::PAGE].tobytes()


class _Process:
    """An actor that returns its process id, yields large items, and is busy."""

    def pid(self) -> int:
        return os.getpid()

    def sleep(self) -> None:
        time.sleep(LONG_S)

    def large(self, count: int) -> Iterator[Any]:
        yield from [_array(MIB)] * count


class _Failing:
    """An actor whose method raises an error."""

    def fail(self) -> None:
        raise ValueError("as expected")


class _Numeric:
    """An actor that uses numpy."""

    def total(self) -> float:
        import numpy as np  # noqa: PLC0415 - only this work needs numpy, which may be missing

        return float(np.arange(1000.0).sum())


class _Caller:
    """The actor that calls other actors."""

    def __init__(self, runtime: str) -> None:
        self._get = importlib.import_module(runtime).get

    def call(self, others: list[Any], count: int) -> None:
        methods = itertools.cycle([other.small for other in others])
        self._get([method.remote() for method in itertools.islice(methods, count)])


class _Link:
    """An actor of a chain, which awaits the result of the next actor."""

    def __init__(self, following: Any) -> None:
        self._following = following

    async def length(self) -> int:
        return 1 if self._following is None else 1 + int(await self._following.length.remote())


class _Reader:
    """The actor that reads large values. It gets them itself, as a borrower of their references."""

    def __init__(self, runtime: str) -> None:
        self._get = importlib.import_module(runtime).get

    def ready(self) -> None:
        pass

    def length(self, refs: list[Any]) -> int:
        return len(self._get(refs[0]))


def _group_of_threads(runtime: Any) -> Any:
    """Return an actor class whose method runs in a concurrency group of threads."""

    class Grouped:
        @runtime.method(concurrency_group="io")  # type: ignore[untyped-decorator]  # the type is not known here
        def small(self) -> bytes:
            return REPLY

    return runtime.remote(concurrency_groups=GROUP)(Grouped)


def _group_on_a_loop(runtime: Any) -> Any:
    """Return an actor class whose `async def` method runs in a concurrency group."""

    class Grouped:
        @runtime.method(concurrency_group="io")  # type: ignore[untyped-decorator]  # the type is not known here
        async def small(self) -> bytes:
            return REPLY

    return runtime.remote(concurrency_groups=GROUP)(Grouped)


class MoreWorkloads(base.Workloads):
    """The work of all rows."""

    def __init__(self, module: str) -> None:
        super().__init__(module)
        self._fleet: list[Any] = []
        self._held: list[Any] = []

    def classes(self) -> dict[str, Any]:
        """See the base class."""
        return {
            **super().classes(),
            "process": self.runtime.remote(_Process),
            "failing": self.runtime.remote(_Failing),
            "group of threads": _group_of_threads(self.runtime),
            "group on a loop": _group_on_a_loop(self.runtime),
        }

    @functools.cached_property
    def _peers(self) -> tuple[list[Any], list[Any]]:
        """The calling actors and the called actors."""
        callers, others = self.runtime.remote(_Caller), self.classes()["plain"]
        return [callers.remote(self.module) for _ in range(PEERS)], [others.remote() for _ in range(PEERS)]

    def failing(self) -> Step:
        """Call a method that raises an error 20 times, each time after the previous error."""
        get, method = self.runtime.get, self.actor("failing").fail

        def call() -> None:
            try:
                get(method.remote())
            except ValueError:
                return
            raise AssertionError("the call has not failed")

        return base.repeated(call, 20)

    def idle_actor(self) -> int:
        """Return the process id of a living actor that has answered one call."""
        return int(self.runtime.get(self.actor("process").pid.remote()))

    def hold(self, kind: str, count: int) -> None:
        """Make so many references, and hold them: of calls that do not end, of small results, or of small puts."""
        runtime = self.runtime
        if kind == "call":
            method = self.actor("process").sleep
            self._held += [method.remote() for _ in range(count)]
            return
        method = self.actor("plain").small
        for _ in range(0, count, HELD_AT_ONCE):  # calls that are under way would need far more memory than results
            refs = [runtime.put(0) if kind == "put" else method.remote() for _ in range(HELD_AT_ONCE)]
            runtime.get(refs)
            self._held += refs

    def among_actors(self) -> Step:
        """Let `PEERS` actors call `PEERS` other actors at the same time, with `BATCH` calls from each."""
        get = self.runtime.get
        callers, others = self._peers

        def step() -> int:
            get([caller.call.remote(others, BATCH) for caller in callers])
            return BATCH * PEERS

        return step

    def numeric(self, preload: bool) -> float:
        """Start a session; return the seconds from the creation of `NUMERIC` actors to their first use of numpy."""
        more = {"preload": ["numpy"]} if preload else {}
        runtime = self.runtime
        runtime.init(log_to_driver=False, **more)
        # The node prepares for actors while the session begins, as it would while a user writes the next cell.
        runtime.get(runtime.remote(_Numeric).options(num_cpus=0).remote().total.remote())
        start = time.perf_counter()
        actors = [runtime.remote(_Numeric).options(num_cpus=0).remote() for _ in range(NUMERIC)]
        runtime.get([actor.total.remote() for actor in actors])
        return time.perf_counter() - start

    def large_items(self) -> Step:
        """Read items of 1 MiB from a generator method. A step counts gigabytes."""
        get, method = self.runtime.get, self.actor("process").large
        return lambda: sum(memoryview(get(ref)).nbytes for ref in method.remote(LARGE_ITEMS)) / 1e9

    def first_item(self, repeats: int) -> list[float]:
        """Return the seconds from the call of a generator method to its first item; the generator yields more items."""
        get, method = self.runtime.get, self.actor("plain").items
        taken = []
        for _ in range(1 + repeats):
            start = time.perf_counter()
            stream = method.remote(FIRST_OF)
            get(next(stream))
            taken.append(time.perf_counter() - start)
            for ref in stream:
                get(ref)
        return taken[1:]

    def large_array(self, size: int, repeats: int) -> dict[str, Any]:
        """Return the seconds of the first put of an array, of later ones, and of gets of it in another process."""
        runtime = self.runtime
        array = _array(size)
        reader = runtime.remote(_Reader).remote(self.module)
        runtime.get(reader.ready.remote())
        puts = []
        ref = None
        for _ in range(1 + repeats):
            ref = None  # frees the previous value, so that its memory can be used again
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

    def spill(self, size: int, count: int, memory: int) -> dict[str, float]:
        """Return the seconds of puts of `count` values into a full store, and of their reading from the disk.

        Starts the session, whose values may take `memory` bytes in memory.
        """
        runtime = self.runtime
        runtime.init(log_to_driver=False, object_store_memory=memory)
        array = _array(size)
        full = memory // size
        # As many values as the memory holds stay there: so this writes `count` values to the disk.
        refs = [runtime.put(array) for _ in range(full)]
        warm_up(size * count)
        start = time.perf_counter()
        refs += [runtime.put(array) for _ in range(count)]
        written = time.perf_counter()
        del refs[count:]  # what is in memory makes room for the others
        warm_up(memory)
        rewound = time.perf_counter()
        for ref in refs:
            look_at(runtime.get(ref))
        read = time.perf_counter()
        return {"write": written - start, "read": read - rewound}

    def fleet(self, count: int) -> float:
        """Return the seconds from the creation of `count` actors to the results of one call each. The actors stay."""
        actor_class = self.classes()["plain"].options(num_cpus=0)
        start = time.perf_counter()
        self._fleet = [actor_class.remote() for _ in range(count)]
        self.runtime.get([actor.small.remote() for actor in self._fleet])
        return time.perf_counter() - start

    def chain(self, count: int) -> list[float]:
        """Return the seconds of two calls through `count` actors, each of which awaits the next actor's result."""
        runtime = self.runtime
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


if __name__ == "__main__":
    base.serve(MoreWorkloads)
