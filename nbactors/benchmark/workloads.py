"""The measured work, which uses Ray's API only. It runs as a script in its own process.

Usage: workloads.py MODULE. MODULE is the runtime, `nbactors` or `ray`. Each line of the standard input is a JSON object
`{"work": name, …arguments}`, each line of the standard output its result: `{"value": …}` or `{"error": text}`.

The script imports only the standard library and MODULE, because Ray's environment has no other packages.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Step = Callable[[], float]

BATCH = 1000
REPLY = b"ok"
THREADS = 16
QUIET = "_without_events"


class _Echo:
    """The actor whose calls are measured."""

    def small(self) -> bytes:
        return REPLY

    def items(self, count: int) -> Iterator[bytes]:
        yield from [REPLY] * count


class _AsyncEcho:
    """The same with an `async def` method, which makes the actor an async actor."""

    async def small(self) -> bytes:
        return REPLY


def _small() -> bytes:
    """The task whose calls are measured."""
    return REPLY


class Workloads:
    """One session and the work in it.

    The method of a rate returns a step: a function that does some of the work, and returns the number of things done.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.runtime: Any = importlib.import_module(module)
        self._task = self.runtime.remote(_small)
        self._quiet_task = self.runtime.remote(enable_task_events=False)(_small)
        self._actors: dict[str, Any] = {}

    def actor(self, kind: str) -> Any:
        """Return the session's actor of a kind, which is created at the first use."""
        if kind not in self._actors:
            self._actors[kind] = self.classes()[kind].remote()
        return self._actors[kind]

    def _called(self, kind: str) -> Any:
        if kind.startswith("task"):
            return self._task if kind == "task" else self._quiet_task
        return self.actor(kind).small

    def classes(self) -> dict[str, Any]:
        """Return the actor classes by their kind. The calls of a kind with `QUIET` behind it have no task events."""
        kinds: dict[str, tuple[type, dict[str, Any]]] = {
            "plain": (_Echo, {}),
            "async": (_AsyncEcho, {}),
            "threads": (_Echo, {"max_concurrency": THREADS}),
        }
        remote = self.runtime.remote
        loud = {kind: remote(enable_task_events=True, **options)(cls) for kind, (cls, options) in kinds.items()}
        quiet = {f"{kind}{QUIET}": cls.options(enable_task_events=False) for kind, cls in loud.items()}
        return {**loud, **quiet}

    def init(self) -> float:
        """Return the seconds that `init` takes."""
        start = time.perf_counter()
        self.runtime.init(log_to_driver=False)
        return time.perf_counter() - start

    def actor_start(self) -> float:
        """Return the seconds from creating an actor to the answer of its first call."""
        echo = self.classes()["plain"]
        start = time.perf_counter()
        actor = echo.remote()
        self.runtime.get(actor.small.remote())
        return time.perf_counter() - start

    def rate(self, of: str, seconds: float, **arguments: Any) -> float:
        """Return how many things per second the steps of a piece of work do. The first step is not counted."""
        step: Step = getattr(self, of)(**arguments)
        step()
        done, taken = worked(step, seconds)
        return done / taken

    def count(self, of: str, seconds: float, **arguments: Any) -> float:
        """Return how many things the steps of a piece of work do in so many seconds."""
        return worked(getattr(self, of)(**arguments), seconds)[0]

    def one_at_a_time(self, kind: str) -> Step:
        """Call a method 20 times, each time after the result of the previous call."""
        get, method = self.runtime.get, self._called(kind)
        return repeated(lambda: get(method.remote()), 20)

    def in_flight(self, kind: str) -> Step:
        """Submit `BATCH` calls of a method, or tasks, and then get their results."""
        get, method = self.runtime.get, self._called(kind)

        def step() -> int:
            get([method.remote() for _ in range(BATCH)])
            return BATCH

        return step

    def items(self) -> Step:
        """Read `BATCH` small items of a generator method one by one."""
        get, method = self.runtime.get, self.actor("plain").items
        return lambda: sum(1 for ref in method.remote(BATCH) if get(ref) == REPLY)

    def put_small(self) -> Step:
        """Put an integer."""
        return repeated(functools.partial(self.runtime.put, 0), 100)

    def get_small(self) -> Step:
        """Get an integer that was put."""
        return repeated(functools.partial(self.runtime.get, self.runtime.put(0)), 100)

    def wait_one_by_one(self) -> Step:
        """Submit `BATCH` tasks and wait for them one by one. A step counts as one."""
        wait, task = self.runtime.wait, self._task

        def step() -> int:
            pending = [task.remote() for _ in range(BATCH)]
            while pending:
                _, pending = wait(pending)
            return 1

        return step


def worked(step: Step, seconds: float) -> tuple[float, float]:
    """Repeat a step for so many seconds, once at least. Return the number of things done, and the seconds taken."""
    done = 0.0
    start = time.perf_counter()
    while True:
        done += step()
        taken = time.perf_counter() - start
        if taken >= seconds:
            return done, taken


def repeated(action: Callable[[], object], times: int) -> Step:
    """Return a step that does `action` so many times."""

    def step() -> int:
        for _ in range(times):
            action()
        return times

    return step


def serve(kind: type[Workloads]) -> None:
    """Serve the requests of the standard input until its end. Output of the work itself goes to stderr."""
    # Python puts the script's folder first on the path. There the runtime could import the folder's modules by mistake.
    sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(sys.argv[0]))]
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        workloads = kind(sys.argv[1])
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = {"value": getattr(workloads, request.pop("work"))(**request)}
            except Exception:  # noqa: BLE001 - whatever went wrong is the answer
                answer = {"error": traceback.format_exc()}
            out.write(json.dumps(answer) + "\n")
            out.flush()


if __name__ == "__main__":
    serve(Workloads)
