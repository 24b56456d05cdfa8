"""Tracebacks for the user, with the frames of user code and without the runtime's."""

from __future__ import annotations

import traceback
import types

from nbactors.exceptions.user_frames import are_users


def user_traceback(error: BaseException) -> str:
    """Return the formatted traceback without the frames of the runtime, in chained exceptions, too.

    An error without a frame of user code, such as one in unpickling the arguments, keeps all its frames.
    """
    whole = traceback.TracebackException.from_exception(error, compact=False)
    seen: set[int] = set()
    chain: list[traceback.TracebackException | None] = [whole]
    while chain:
        part = chain.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        mine = are_users([frame.filename for frame in part.stack])
        own = [frame for frame, is_users in zip(part.stack, mine, strict=True) if is_users]
        if own:
            part.stack = traceback.StackSummary.from_list(own)
        chain += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
    return "".join(whole.format())


def clear(error: BaseException) -> None:
    """Clear the locals of an error's frames, so that the arguments of a failed call are freed now."""
    trace: types.TracebackType | None = error.__traceback__
    if trace is not None:
        traceback.clear_frames(trace)
