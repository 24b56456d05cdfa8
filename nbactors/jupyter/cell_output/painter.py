"""The thread that draws live displays, so that none of the work is done on the kernel's main thread."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import Protocol

SETTLE_S = 0.5
"""Seconds that `Painter.settle` waits at most."""

IDLE_S = 5.0
"""Seconds without anything to paint after which the thread ends."""


class Picture(Protocol):
    """A live display, as the painter sees it."""

    def paint(self, now: float) -> float | None:
        """Show the present state. Called on the painter's thread.

        Returns:
            The time at which to call this again at the latest; None to call it after the next `Painter.touch` only.
        """


class Painter:
    """Paints pictures: each after a change, and at the time that it has asked for. Methods: any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: dict[Picture, float] = {}
        self._thread: threading.Thread | None = None
        self._is_painting = False

    def touch(self, picture: Picture, at: float = 0.0) -> None:
        """Have a picture painted as soon as possible, or at the time `at` at the earliest."""
        with self._condition:
            known = self._due.get(picture)
            if known is None or at < known:
                self._due[picture] = at
                self._condition.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nbactors-painter", daemon=True)
                self._thread.start()

    def settle(self) -> None:
        """Wait until the pictures that are due now have been painted, for `SETTLE_S` at most."""
        now = monotonic()
        with self._condition:
            self._condition.wait_for(
                lambda: not self._is_painting and all(at > now for at in self._due.values()), SETTLE_S
            )

    def _run(self) -> None:
        while True:
            due = self._next()
            if due is None:
                return
            for picture in due:
                try:
                    again = picture.paint(monotonic())
                except Exception:
                    logging.getLogger("nbactors").warning("live output cannot be shown", exc_info=True)
                    continue
                if again is not None:
                    self.touch(picture, again)
            with self._condition:
                self._is_painting = False
                self._condition.notify_all()

    def _next(self) -> list[Picture] | None:
        """Wait for pictures that are due and return them; None when there is nothing to do."""
        idle_at = monotonic() + IDLE_S
        with self._condition:
            while True:
                now = monotonic()
                due = [picture for picture, at in self._due.items() if at <= now]
                if due:
                    for picture in due:
                        del self._due[picture]
                    self._is_painting = True
                    return due
                if not self._due and now >= idle_at:
                    self._thread = None
                    return None
                self._condition.wait(min([*self._due.values(), idle_at]) - now if self._due else idle_at - now)


painter = Painter()
"""The painter of the kernel."""
