"""Tracebacks for the user, with the frames of user code and without the runtime's."""

from __future__ import annotations

import linecache
import traceback
import types
from typing import Any, ClassVar

from nbactors.exceptions.user_frames import are_users

_MOST_TEXTS = 512


class _Stack(traceback.StackSummary):
    """Frames whose texts are remembered: Python parses the source of each to find what to underline.

    A text holds as long as `linecache` has the same source for the file. Python 3.10, which underlines nothing, does
    not call the method.
    """

    _texts: ClassVar[dict[tuple[Any, ...], tuple[Any, str]]] = {}

    def format_frame_summary(self, frame_summary: traceback.FrameSummary, **options: Any) -> str:
        """See the base class."""
        frame: Any = frame_summary
        source = linecache.cache.get(frame.filename)
        place = (frame.filename, frame.lineno, frame.name, frame.colno, frame.end_lineno, frame.end_colno, *options)
        known = self._texts.get(place)
        if known is not None and known[0] is source:
            return known[1]
        text: str = super().format_frame_summary(frame_summary, **options)  # type: ignore[misc] # not in 3.10
        if len(self._texts) >= _MOST_TEXTS:
            self._texts.clear()
        self._texts[place] = (source, text)
        return text


def user_traceback(error: BaseException) -> str:
    """Return the formatted traceback without the frames of the runtime, in chained exceptions, too.

    An error without a frame of user code, such as one in unpickling the arguments, keeps all its frames.
    """
    # The runtime's frames, from which the user's code was called, are left out before Python looks for their sources.
    mine, trace = _without_runtime(error.__traceback__)
    whole = traceback.TracebackException(type(error), error, trace, compact=False)
    seen: set[int] = set()
    chain: list[traceback.TracebackException | None] = [whole]
    while chain:
        part = chain.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        if part is not whole or len(mine) != len(part.stack):  # `sys.tracebacklimit` limits the stack
            mine = are_users([frame.filename for frame in part.stack])
        own = [frame for frame, is_users in zip(part.stack, mine, strict=True) if is_users]
        if own:
            part.stack = _Stack(own)
        chain += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
    return "".join(whole.format())


def _without_runtime(trace: types.TracebackType | None) -> tuple[list[bool], types.TracebackType | None]:
    """Return a traceback from the first frame of user code on, if there is one, and which of its frames are users'."""
    names = []
    entry = trace
    while entry is not None:
        names.append(entry.tb_frame.f_code.co_filename)
        entry = entry.tb_next
    mine = are_users(names)
    if True not in mine:
        return mine, trace
    first = mine.index(True)
    for _ in range(first):
        assert trace is not None
        trace = trace.tb_next
    return mine[first:], trace


def clear(error: BaseException) -> None:
    """Clear the locals of an error's frames, so that the arguments of a failed call are freed now."""
    trace: types.TracebackType | None = error.__traceback__
    if trace is not None:
        traceback.clear_frames(trace)
