"""`MemoryLimit`: sets RLIMIT_DATA while calls run. The theory is in this room's `__init__`."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import threading
from collections.abc import Callable

from nbactors import byte_sizes
from nbactors.local.worker.memory import usage

RESERVE = 16 << 20
"""Bytes by which the runtime raises the limit when the runtime itself needs memory while a call runs."""

NEAR = 0.8
"""The used share of the limit above which freed memory is given back to the system before a call."""

_C = ctypes.PyDLL(None)
_NATIVE = ("allocate memory", "out of memory", "bad_alloc")


class MemoryLimit:
    """The limit of one worker; a context manager around each of its calls, on any thread.

    Args:
        size: The limit in bytes.
        is_watched: Whether a watch holds the limit, and not the kernel.

    Attributes:
        is_watched: As above. Set by `watch`.
        calls: How many calls run now.
        on_call: Called when a call begins while none runs and the limit is watched.
    """

    def __init__(self, size: int, *, is_watched: bool) -> None:
        self.size = size
        self.is_watched = is_watched
        self.calls = 0
        self.on_call: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._is_raised = False
        self._soft, self._hard = resource.getrlimit(resource.RLIMIT_DATA)

    def __enter__(self) -> None:
        with self._lock:
            self.calls += 1
            is_first = self.calls == 1
            if is_first or self._is_raised:
                self._apply()
        if is_first and self.is_watched:
            self.on_call()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.calls -= 1
            if not self.calls:
                self._is_raised = False
                self._set(self._soft)
            elif self._is_raised:
                self._apply()

    def watch(self, is_watched: bool) -> None:
        """Have a watch hold the limit, or the kernel, from the next lease of a task worker on. Any thread.

        A call may run by then: the last one of the lease before is about to end, or the first one of this lease has
        arrived before the news of its lease, and waits for it.
        """
        with self._lock:
            if is_watched == self.is_watched:
                return
            self.is_watched = is_watched
            if not self.calls:
                return
            if is_watched:
                self._is_raised = False
                self._set(self._soft)
            else:
                self._apply()
        if is_watched:
            self.on_call()

    def relieve(self) -> bool:
        """Raise the limit a little for the runtime, until the next call begins or ends. Any thread.

        Returns:
            Whether the limit was in force, so that a step which has failed may succeed now.
        """
        if self.is_watched or not self.calls:
            return False
        self._is_raised = True
        soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
        self._set(soft + RESERVE if soft != resource.RLIM_INFINITY else soft)
        return True

    def explain(self, name: str, *, lives_on: bool) -> str:
        """Return the text for the user about a MemoryError.

        Args:
            name: The name of the method, constructor or task that has raised it.
            lives_on: Whether there is an actor that lives on.
        """
        advice = (
            "The actor lives on with what the method has left in it: free some of that, or give the actor a higher "
            "memory_limit."
            if lives_on
            else "Give it a higher memory_limit."
        )
        return (
            f"{name} has reached its memory_limit of {byte_sizes.shown(self.size)}: its process (pid {os.getpid()}) "
            f"uses {byte_sizes.shown(usage.now().own)} of its own, and has asked for more than the rest. {advice}"
        )

    def _apply(self) -> None:
        self._is_raised = False
        if self.is_watched:
            return
        now = usage.now()
        if now.own > self.size * NEAR:
            # The C library keeps freed memory, so that large mappings would be refused although the memory is free.
            trim()
            now = usage.now()
        self._set(now.mapped + max(self.size - now.own, 0))

    def _set(self, soft: int) -> None:
        if self._hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > self._hard):
            soft = self._hard
        resource.setrlimit(resource.RLIMIT_DATA, (soft, self._hard))


def trim() -> None:
    """Have the C library give freed memory back to the system, if it can."""
    try:
        _C.malloc_trim(0)
    except AttributeError:  # it is not glibc
        pass


def is_lack(error: BaseException) -> bool:
    """Return whether an exception tells that an allocation was refused. Native libraries have types of their own."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NATIVE)
