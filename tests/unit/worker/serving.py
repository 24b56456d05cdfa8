"""An actor or tasks in a worker of this process, for tests of what runs calls.

The classes and functions that a test runs are global, so that they travel by name. They meet the test's body at the
`stage`, which is common to both.

    def body(scene: Scene) -> None:
        assert scene.ask("double", 4) == 8

    scene.play(body, Doubling)
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from members import ONE_BY_ONE, Session, Worker, tied

from nbactors import engine
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.worker.engine import WorkerEngine
from nbactors.options import CallOptions, TaskOptions

T = TypeVar("T")

WAIT_S = 10.0

THREADED = Concurrency(is_async=False, max_concurrency=4, groups={})
ASYNC = Concurrency(is_async=True, max_concurrency=4, groups={})
KINDS = {"plain": ONE_BY_ONE, "threaded": THREADED, "asyncio": ASYNC}
"""The kinds of actors."""


class Stage:
    """Where calls and the test's body wait for each other.

    Attributes:
        log: What calls have noted, in order.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.log: list[Any] = []
        self._events: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def reach(self, event: str) -> None:
        """Let an event happen."""
        self._events[event].set()

    def has_reached(self, event: str) -> bool:
        """Return whether an event has happened."""
        return self._events[event].is_set()

    def await_(self, event: str) -> None:
        """Block the calling thread until an event happens."""
        assert self._events[event].wait(WAIT_S), f"{event!r} has not happened"

    def spin(self) -> None:
        """Run Python code until an exception ends it."""
        pause = threading.Event()
        while True:
            pause.wait(0.001)


stage = Stage()


class Scene:
    """One session and one worker, which runs an actor or tasks.

    Attributes:
        link: The actor's, once `play` has created it.
    """

    link: LocalActorLink

    def __init__(self, directory: Path, concurrency: Concurrency = ONE_BY_ONE) -> None:
        self.session = Session(directory)
        self.worker = Worker(directory, concurrency)

    def play(self, body: Callable[[Scene], T], cls: type | None = None, *args: Any) -> T:
        """Serve while `body` runs on another thread, with an actor if a class is given. The main thread."""
        if cls is not None:
            self.link = self.session.create(self.worker, cls, *args)
        return self.worker.serve(lambda: body(self))

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the actor; see `Session.call`."""
        return self.session.call(self.link, method, *args, **options)

    def get(self, ref: Any) -> Any:
        """Return a reference's value."""
        return self.session.get(ref)

    def ask(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the actor, and return what it returns."""
        return self.get(self.call(method, *args, **options))

    def read(self, stream: Any) -> list[Any]:
        """Return the values of a generator."""
        return [self.get(ref) for ref in stream]

    def cancel(self, ref: Any, mode: CancelMode = CancelMode.CANCEL, recursive: bool = True) -> None:
        """Cancel a call."""
        ref._entry.call.cancel(mode, recursive)

    def task(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Submit a task, without granting a worker."""
        return self.session.submit(function, *args, options=TaskOptions(**options))


@contextmanager
def scene_of(directory: Path, concurrency: Concurrency = ONE_BY_ONE) -> Iterator[Scene]:
    """Make a scene. The verbs are those of the worker, as in the process of one."""
    scene = Scene(directory, concurrency)
    with tied(scene.session, scene.worker):
        assign = messages.Assign(b"a" * 16, "Actor", "", "", b"jjjj", [], {}, None, 1.0)
        own = WorkerEngine(scene.worker, scene.worker.executor)
        own.take(assign)
        engine.install(own)
        try:
            yield scene
        finally:
            engine.install(None)


def within(timeout_s: float) -> CallOptions:
    """Return the options of a call that must end in so many seconds."""
    return CallOptions(timeout_s=timeout_s)
