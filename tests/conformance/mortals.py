"""Actors that end while something of theirs goes on. Imported by workers, like `subjects`."""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import sys
import threading
from typing import Any

from conformance.subjects import Gate, Journal


def _exit_actor() -> None:
    """Call whichever engine's `exit_actor` runs here."""
    name = "nbactors" if "nbactors.local.worker.main" in sys.modules else "ray"
    __import__(f"{name}.actor")
    sys.modules[f"{name}.actor"].exit_actor()


class _Child:
    def end_child_by(self, number: int) -> int | None:
        """Return the exit code of a child that is sent a signal."""
        child = multiprocessing.get_context("fork").Process(target=threading.Event().wait)
        child.start()
        assert child.pid is not None
        os.kill(child.pid, number)
        child.join()
        return child.exitcode


class Waiting(_Child):
    """Waits at a gate, in a thread."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def pid(self) -> int:
        return os.getpid()

    def wait(self, gate: Gate, name: str) -> str:
        self.journal.note(f"{name} waits")
        gate.wait()
        return name

    def leave(self) -> None:
        _exit_actor()


class AsyncWaiting(_Child):
    """The same on an event loop."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def pid(self) -> int:
        return os.getpid()

    async def wait(self, gate: Gate, name: str) -> str:
        self.journal.note(f"{name} waits")
        await asyncio.to_thread(gate.wait)
        return name

    async def leave(self) -> None:
        _exit_actor()


class SelfMade:
    """Ends in a task or thread that it has made itself."""

    def __init__(self, way: str, journal: Journal) -> None:
        self._way = way
        self._journal = journal
        self._wanted = asyncio.Event()
        atexit.register(journal.note, "atexit")
        if way == "__init__":
            self._task = asyncio.get_event_loop().create_task(self._leave())

    async def begin(self) -> None:
        self._journal.note(os.getpid())
        if self._way == "method":
            self._task = asyncio.create_task(self._leave())
        elif self._way == "thread":
            threading.Thread(target=_quietly, args=(_exit_actor,)).start()
        self._wanted.set()

    async def _leave(self) -> None:
        await self._wanted.wait()
        _exit_actor()

    def __ray_shutdown__(self) -> None:
        self._journal.note("shutdown")


def _quietly(function: Any) -> None:
    try:
        function()
    except BaseException:
        pass


class Parent:
    """Has a child that multiprocessing joins at exit, for ever."""

    def start(self) -> int | None:
        self.child = multiprocessing.get_context("fork").Process(target=threading.Event().wait)
        self.child.start()
        return self.child.pid

    def exit_actor(self) -> None:
        _exit_actor()

    def sys_exit(self) -> None:
        sys.exit(0)
