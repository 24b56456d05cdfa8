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
from typing import Any, NamedTuple

from nbactors.in_worker.import_hook import after_import
from nbactors.local.worker.jobs.job import Job, current


class _Owner(NamedTuple):
    """The call that code belongs to: its job and its origin, or only the origin in a thread that it has started."""

    job: Job | None
    origin: int | None


_NOBODY = _Owner(None, None)

_CONSTRUCTOR = "ACTOR_CREATION_TASK"


class ThreadCalls:
    """Follows the threads of a worker. Methods: any thread.

    Args:
        on_main: Returns the job whose code the main thread runs, None if it runs none.
        end_lines: Ends the calling thread's unfinished lines.
    """

    def __init__(self, on_main: Callable[[], Job | None], end_lines: Callable[[], None]) -> None:
        self._on_main = on_main
        self._end_lines = end_lines
        self._of_thread = threading.local()

    def origin(self) -> int | None:
        """Return the origin of the calling code on a loop or in a thread, None if it belongs to no call."""
        job = current.get()
        if job is not None:
            return job.message.origin
        origin: int | None = getattr(self._of_thread, "origin", None)
        return origin

    def follow(self) -> None:
        """Follow threads, jobs of executors and callbacks of futures from now on. Once."""
        self._follow_threads()
        after_import("concurrent.futures._base", self._follow_callbacks)
        after_import("concurrent.futures.thread", self._follow_executors)

    def _owner(self) -> _Owner:
        """Return the call that the calling code belongs to."""
        job = current.get()
        if job is None and threading.current_thread() is threading.main_thread():
            job = self._on_main()
        return _Owner(job, self.origin()) if job is None else _Owner(job, job.message.origin)

    def _run(self, owner: _Owner, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function that belongs to a call."""
        of_thread, token = self._of_thread, current.set(owner.job)
        before = getattr(of_thread, "origin", None)
        of_thread.origin = owner.origin
        try:
            return function(*args)
        finally:
            of_thread.origin = before
            current.reset(token)

    def _follow_threads(self) -> None:
        start = threading.Thread.start

        def new_start(thread: threading.Thread) -> None:
            owner, run = self._owner(), thread.run
            # Not the job, which holds the arguments of the call: the thread may live for long.
            owner = _NOBODY if owner.job is not None and owner.job.kind == _CONSTRUCTOR else _Owner(None, owner.origin)

            def new_run() -> None:
                del thread.run
                try:
                    self._run(owner, run)
                finally:
                    self._end_lines()

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
            job.nbactors_owner = self._owner()

        def new_run(job: Any, *args: Any) -> None:
            try:
                self._run(getattr(job, "nbactors_owner", _NOBODY), run, job, *args)
            finally:
                self._end_lines()

        item.__init__, item.run = new_init, new_run

    def _follow_callbacks(self, module: ModuleType) -> None:
        future: Any = module.__dict__["Future"]
        add = future.add_done_callback

        def new_add(done: Any, callback: Callable[[Any], object]) -> None:
            owner = self._owner()
            add(done, lambda future: self._run(owner, callback, future))

        future.add_done_callback = new_add
