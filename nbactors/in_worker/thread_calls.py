"""The call that the code of a thread belongs to, so that the thread's output shows under the cell of this call.

- A thread belongs to the call that has started it, also after the end of the call. A thread that a constructor has
  started serves later calls, so it belongs to no call.
- A job of a `ThreadPoolExecutor` belongs to the call that has submitted it, whichever thread runs it.
- A callback of a future belongs to the call that has added it. joblib, for one, reports its progress by such callbacks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from nbactors.in_worker.import_hook import after_import

Owner = TypeVar("Owner")

OWN = "nbactors-"
"""How the names of the runtime's own threads begin. They belong to no call."""


class Owners(Protocol[Owner]):
    """What tells of a worker's calls. Methods: any thread."""

    def owner(self) -> Owner:
        """Return the call that the calling code belongs to."""

    def of_thread(self, owner: Owner) -> Owner:
        """Return what a thread belongs to that a call starts. It keeps no arguments: the thread may live for long."""

    def enter(self, owner: Owner) -> Any:
        """Have the calling code belong to a call. Return what `leave` takes."""

    def leave(self, token: Any) -> None:
        """Undo `enter`."""

    def end_lines(self, owner: Owner) -> None:
        """End the calling thread's unfinished lines."""


class ThreadCalls(Generic[Owner]):
    """Follows the threads of a worker. Methods: any thread."""

    def __init__(self, owners: Owners[Owner]) -> None:
        self._owners = owners

    def follow(self) -> None:
        """Follow threads, jobs of executors and callbacks of futures from now on. Once."""
        self._follow_threads()
        after_import("concurrent.futures._base", self._follow_callbacks)
        after_import("concurrent.futures.thread", self._follow_executors)

    def _run(self, owner: Owner, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function that belongs to a call."""
        token = self._owners.enter(owner)
        try:
            return function(*args)
        finally:
            self._owners.leave(token)

    def _follow_threads(self) -> None:
        start = threading.Thread.start

        def new_start(thread: threading.Thread) -> None:
            if not thread.name.startswith(OWN):
                owner, run = self._owners.of_thread(self._owners.owner()), thread.run

                def new_run() -> None:
                    del thread.run
                    try:
                        self._run(owner, run)
                    finally:
                        self._owners.end_lines(owner)

                thread.run = new_run  # type: ignore[method-assign]
            start(thread)

        threading.Thread.start = new_start  # type: ignore[method-assign,assignment]

    def _follow_executors(self, module: ModuleType) -> None:
        item = getattr(module, "_WorkItem", None)
        if item is None:
            return
        init, run = item.__init__, item.run

        def new_init(job: Any, *args: Any, **kwargs: Any) -> None:
            init(job, *args, **kwargs)
            job.nbactors_owner = self._owners.owner()

        def new_run(job: Any, *args: Any) -> None:
            owner = getattr(job, "nbactors_owner", item)
            if owner is item:  # it was made before
                run(job, *args)
                return
            try:
                self._run(owner, run, job, *args)
            finally:
                self._owners.end_lines(owner)

        item.__init__, item.run = new_init, new_run

    def _follow_callbacks(self, module: ModuleType) -> None:
        future: Any = module.__dict__["Future"]
        add = future.add_done_callback

        def new_add(done: Any, callback: Callable[[Any], object]) -> None:
            owner = self._owners.owner()
            add(done, lambda future: self._run(owner, callback, future))

        future.add_done_callback = new_add
