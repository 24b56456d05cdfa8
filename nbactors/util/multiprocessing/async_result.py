"""`AsyncResult`: the result of a pool's call that may still run."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from typing import Any

from nbactors import api
from nbactors.util.multiprocessing.pool_actor import Outcome
from nbactors.util.multiprocessing.pool_workers import Ref, outcomes


class AsyncResult:
    """The result of `apply_async`, `map_async` or `starmap_async`, as in the standard library. Any thread."""

    def __init__(self, refs: Sequence[Ref], *, is_single: bool) -> None:
        self._refs = list(refs)
        self._is_single = is_single
        self._outcome: Outcome | None = None
        self._called_back: threading.Event | None = None

    def get(self, timeout: float | None = None) -> Any:
        """Wait, and return the value of the call, or the list of values.

        Args:
            timeout: Seconds; None for no limit.

        Raises:
            multiprocessing.TimeoutError: There is no result in time.
            Exception: What the function has raised, with the text of its traceback in the process as the cause; of
                several exceptions the first in the order of the items.
            RayActorError: The process of the call has ended before it.
            RayTaskError: The value cannot be pickled.
        """
        self.wait(timeout)
        if not self.ready():
            raise multiprocessing.TimeoutError(f"There is no result after {timeout} s; the call goes on")
        is_good, value = self._settled()
        if not is_good:
            raise value
        return value

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the result is ready and its callback has run, or until the timeout, in seconds."""
        if timeout is not None:
            timeout = max(0.0, timeout)
        if self._called_back is not None:
            self._called_back.wait(timeout)
        elif self._outcome is None and self._refs:
            api.wait(self._refs, num_returns=len(self._refs), timeout=timeout)

    def ready(self) -> bool:
        """Return whether the call has ended, and its callback has run."""
        if self._called_back is not None:
            return self._called_back.is_set()
        return self._outcome is not None or all(ref.done() for ref in self._refs)

    def successful(self) -> bool:
        """Return whether the call has returned without an exception.

        Raises:
            ValueError: The result is not ready.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._settled()[0]

    def _settled(self) -> Outcome:
        """Return the outcome of calls that have ended. The references are dropped, so that the store has room."""
        if self._outcome is None:
            found = [outcome for ref in self._refs for outcome in outcomes(ref)]
            failed = next((outcome for outcome in found if not outcome[0]), None)
            values = [value for _, value in found]
            self._outcome = failed or (True, values[0] if self._is_single else values)
            self._refs = []
        return self._outcome
