"""`Callbacks`: calls the callbacks of a pool's results, one after another, on a thread of their own."""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from nbactors.util.multiprocessing.async_result import AsyncResult

Callback = Callable[[Any], object]


class Callbacks:
    """The callbacks of a pool. Any thread. The thread that calls them lives while results with callbacks are due."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._due: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waiting = 0
        self._thread: threading.Thread | None = None

    def add(self, result: AsyncResult, callback: Callback | None, error_callback: Callback | None) -> None:
        """Have a callback called once the result is there: with the value, or with the exception."""
        if callback is None and error_callback is None:
            return
        called_back = result._called_back = threading.Event()
        context = contextvars.copy_context()

        def call() -> None:
            try:
                is_good, value = result._settled()
                chosen = callback if is_good else error_callback
                if chosen is not None:
                    context.run(chosen, value)
            finally:
                called_back.set()

        missing = len(result._refs)

        def count_down(_: object) -> None:
            nonlocal missing
            with self._lock:
                missing -= 1
                is_last = missing == 0
            if is_last:
                self._due.put(call)

        with self._lock:
            self._waiting += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nbactors-pool-callbacks", daemon=True)
                self._thread.start()
        if not result._refs:
            self._due.put(call)
        for ref in list(result._refs):
            ref.future().add_done_callback(count_down)

    def join(self) -> None:
        """Wait until no callback is due. Returns at once inside a callback."""
        while (thread := self._thread) is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            call = self._due.get()
            try:
                call()
            except BaseException:  # noqa: BLE001 - an error of a callback must not hold up the others
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            del call
            with self._lock:
                self._waiting -= 1
                if not self._waiting:
                    self._thread = None
                    return
