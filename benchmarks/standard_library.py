"""Calls by means of the standard library, beside which the processor time of calls is measured.

Run as a script, this file serves the work of one process, as `nbactors/benchmark/workloads.py` does. Its argument is
"Pipe" or "Manager".
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import sys
from multiprocessing.connection import Connection
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbactors.benchmark import workloads as base
    from nbactors.benchmark.workloads import Step
else:
    _spec = importlib.util.spec_from_file_location(
        "base_workloads", Path(__file__).parents[1] / "nbactors" / "benchmark" / "workloads.py"
    )
    base = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(base)

PIPE, MANAGER = "Pipe", "Manager"


class Echo:
    """The object whose method is called in another process."""

    def small(self) -> bytes:
        """Return a small reply."""
        return base.REPLY


class Manager(BaseManager):
    """`multiprocessing.Manager` with an `Echo`."""


Manager.register("Echo", Echo)


def answer(connection: Connection) -> None:
    """Answer each pickled request until the other side closes the pipe. The second process runs this function."""
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        connection.send(base.REPLY)


class StandardLibrary(base.Workloads):
    """Calls one method in another process, one call at a time.

    Args:
        kind: `PIPE` or `MANAGER`.
    """

    def __init__(self, kind: str) -> None:
        self._make = self._manager_call if kind == MANAGER else self._pipe_call
        self._call: Any = None
        self._manager: Any = None

    def one_at_a_time(self) -> Step:  # type: ignore[override] # there is one kind
        """Call a method 20 times, each time after the result of the previous call."""
        if self._call is None:
            self._call = self._make()
        return base.repeated(self._call, 20)

    def _manager_call(self) -> Any:
        self._manager = manager = Manager()
        manager.start()
        return manager.Echo().small  # type: ignore[attr-defined]

    def _pipe_call(self) -> Any:
        ours, theirs = multiprocessing.Pipe()
        multiprocessing.Process(target=answer, args=(theirs,), daemon=True).start()
        theirs.close()

        def call() -> None:
            ours.send(("small", (), {}))
            ours.recv()

        return call


if __name__ == "__main__":
    # A fresh interpreter would import this file again as another main module: fork, as nbactors does.
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn")
    base.serve(StandardLibrary)
