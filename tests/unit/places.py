"""An event that comes at one place after the other of the runtime's code: an exception, a handler or a finalizer.

The places are those at which CPython handles signals and raises asynchronous exceptions: after a call, and at the entry
of a function; for finalizers those where an object is made that the collector tracks.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ROOM = f"{os.sep}nbactors{os.sep}local{os.sep}"


class Injected(BaseException):
    """Comes from outside."""


class Event:
    """Something that happens once, at the place with a number.

    Args:
        act: Does it.
        in_finalizer: Whether the places are those where the collector may run.
        leaves_out: Returns whether a frame is no place.

    Attributes:
        count: How many places were met.
        place: The place at which it was done; empty before.
    """

    def __init__(
        self,
        number: int,
        act: Callable[[], None],
        *,
        in_finalizer: bool = False,
        leaves_out: Callable[[FrameType], bool] = lambda frame: False,
    ) -> None:
        self._number = number
        self._act = act
        self._in_finalizer = in_finalizer
        self._leaves_out = leaves_out
        self.count = 0
        self.place = ""

    @contextmanager
    def may_come(self) -> Iterator[None]:
        """Let it happen in this block, if it has not happened before."""
        if self.place:
            yield
        elif self._in_finalizer:
            # Coverage's trace function makes objects between all lines, where the collector never runs without it.
            tracer = sys.gettrace()
            sys.settrace(None)
            gc.callbacks.append(self._on_collection)
            gc.set_threshold(1)
            gc.enable()
            try:
                yield
            finally:
                gc.disable()
                gc.callbacks.remove(self._on_collection)
                sys.settrace(tracer)
        else:
            sys.setprofile(self._on_call)
            try:
                yield
            finally:
                sys.setprofile(None)

    def _on_call(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "c_call":
            self._come(frame, event, getattr(argument, "__name__", ""))

    def _on_collection(self, phase: str, info: object) -> None:
        if phase == "stop":
            self._come(sys._getframe(1), "collection", "")

    def _come(self, frame: FrameType, event: str, function: str) -> None:
        if self.place or _ROOM not in frame.f_code.co_filename or self._leaves_out(frame):
            return
        self.count += 1
        if self.count == self._number:
            self.place = f"{event} {frame.f_code.co_qualname}:{frame.f_lineno} {function}"
            self._act()
