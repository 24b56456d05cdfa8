"""Ways to interrupt the runtime at a given step, as a signal's handler, a finalizer or an exception does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from nbactors.local.connections.connection import Connection

WITHIN_S = 10.0

T = TypeVar("T")


class Probe:
    """A stand-in for an object: a handler interrupts the next use of one method.

    Args:
        target: The object.
        name: The method.
        handler: Runs once, before the method.
    """

    def __init__(self, target: Any, name: str, handler: Callable[[], object]) -> None:
        self._target = target
        self._name = name
        self._handler: Callable[[], object] | None = handler

    def __getattr__(self, name: str) -> Any:
        handler = self._handler
        if name == self._name and handler is not None:
            self._handler = None
            handler()
        return getattr(self._target, name)


def interrupted(function: Callable[..., T], handler: Callable[[], object], after: bool = False) -> Callable[..., T]:
    """Return a function whose first call is interrupted, at its begin or at its end."""
    handlers = [handler]

    def call(*args: Any) -> T:
        if handlers and not after:
            handlers.pop()()
        value = function(*args)
        if handlers:
            handlers.pop()()
        return value

    return call


class Pause:
    """A place where a thread stops until the test releases the thread."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._goes_on = threading.Event()

    def __call__(self) -> None:
        self._reached.set()
        assert self._goes_on.wait(WITHIN_S)

    def run(self, body: Callable[[], object]) -> threading.Thread:
        """Run `body` on a new thread, and wait until the thread stops here."""
        thread = threading.Thread(target=body)
        thread.start()
        assert self._reached.wait(WITHIN_S)
        return thread

    def end(self, thread: threading.Thread) -> None:
        """Release the thread, and wait for the end of the thread."""
        self._goes_on.set()
        thread.join(WITHIN_S)
        assert not thread.is_alive()


def raising(error: BaseException) -> Callable[[], None]:
    """Return a handler that raises an exception, as an exception from outside does."""

    def handler() -> None:
        raise error

    return handler


def probe_socket(connection: Connection, name: str, handler: Callable[[], object]) -> None:
    """Have a handler interrupt a connection before the connection uses a method of the socket."""
    connection.sock = Probe(connection.sock, name, handler)
