"""`Usage`: counts the threads of a session that use Ray on behalf of readers, so that its end waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from nbactors.exceptions import RaySystemError


class SessionEndedError(RaySystemError):
    """The session on the cluster has ended."""


class Usage:
    """Any thread. A call of Ray's after the session's end would start a cluster, or abort the process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._is_closed = False

    @contextmanager
    def use(self) -> Iterator[None]:
        """Use Ray within the `with` block, for a bounded time.

        Raises:
            SessionEndedError: The session has ended.
        """
        with self._changed:
            if self._is_closed or not ray.is_initialized():
                raise SessionEndedError("the session on the cluster has ended")
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Let no more threads use Ray, and wait for those that do, `timeout` seconds at most."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._count, timeout)
