"""Explanations for errors that do not explain themselves: what happened, and what helps."""

from __future__ import annotations

import errno
import functools
import os
import sys
from types import FrameType, TracebackType

from nbactors.exceptions.task_error import text_of

FORKED = (
    "this process was forked from one with a session, and has none of its own: the connections and threads of a "
    "session stay with the parent. Call init() here, or start the process anew (multiprocessing's start method "
    "'spawn')."
)
"""The text of errors that verbs raise in a forked child."""

_READ_ONLY = (
    "This may be a value from nbactors: arrays that come from get(), or as arguments of a remote call, are read-only, "
    "small ones too, since all processes read large ones in shared memory without a copy. To change one, work on a "
    "copy: "
)

_ARRAY = "array = array.copy()"
_VIEW = "array = array.copy(), or view = bytearray(view) for a memoryview"
_COPIES = {
    "pandas": "df = df.copy()",
    "geopandas": "df = df.copy()",
    "xarray": "data = data.copy(deep=True)",
    "scipy": "matrix = matrix.copy()",
    "matplotlib": "fig = copy.deepcopy(fig)",
    "sklearn": "model = copy.deepcopy(model), or X = X.copy() for data",
}
"""How to copy what the user holds, by the package in whose code a write into an array inside of it has failed."""

_SERIES = "series = series.copy()"

_REFUSALS = (
    "read-only",
    "readonly array",  # numba
    "marked as readonly",  # cv2
    "is not writable",
    "read-write bytes-like object",
    "Assignment destination is a view",  # xarray
    "WRITEABLE flag to True",
    "must be contiguous, writable",
)
"""Parts of the texts with which numpy, Python and other packages refuse to write into a read-only array."""

_OTHER_ERRORS = ("cv2", "numba")
"""Packages that raise errors of their own for that, rather than ValueError or TypeError."""

_SUPER = "super() argument 1 must be"
_PATTERN = "called match pattern must be"
_ACTOR_CLASS = "ActorClass"
_MEANS = "The name of an actor class means the actor class in the class's own methods, too, and not the class itself"

_REMEDIES = {
    errno.EMFILE: "raise the limit of open files (ulimit -n) and start the node anew (`nbactors stop`)",
    errno.ENFILE: "the whole machine has no open file left: end what has many",
    errno.EAGAIN: "end some processes, or raise the limit of processes (ulimit -u; in a container, its pids limit)",
    errno.ENOMEM: "end what takes much memory, or raise the container's limit",
    errno.E2BIG: "the session's environment variables are too long together: take the longest out of os.environ",
    errno.ENOSPC: "free some space where the runtime directory lies, or set NBACTORS_DIR to another",
    errno.ENOENT: "the runtime directory was removed: end the node with `nbactors stop --force`",
}
_NO_INTERPRETER = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC, errno.EPERM, errno.ELOOP)


def hint(error: BaseException) -> str:
    """Return the hint for a user's error; empty for other errors.

    A hint tells why an array is read-only, and what the name of an actor class means in the class's own methods.
    """
    text = text_of(error)
    if isinstance(error, TypeError) and text.startswith((_SUPER, _PATTERN)):
        return _hint_for_actor_class(error, text)
    is_of_package = type(error).__module__.partition(".")[0] in _OTHER_ERRORS
    if not (isinstance(error, (ValueError, TypeError)) or is_of_package) or not any(part in text for part in _REFUSALS):
        return ""
    return f"{_READ_ONLY}{_way_to_copy(error.__traceback__, 'memory' in text or 'bytes-like' in text)}."


def _hint_for_actor_class(error: TypeError, text: str) -> str:
    """Return the hint for an error of Python's own that asks for a class and has got an actor class."""
    if text.startswith(_SUPER):
        return f"{_MEANS}. Call super() without arguments; type(self) is the class." if _ACTOR_CLASS in text else ""
    name = _actor_class_in(error.__traceback__)
    remedy = f"`case _ if isinstance(value, {name}):`, or match type(self)"
    return f"{name}: {_MEANS}. A pattern needs a class: use {remedy}." if name else ""


def _actor_class_in(trace: TracebackType | None) -> str:
    """Return the name of an actor class that the code uses in which an error was raised; "" if it uses none."""
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    code = frame.f_code
    names = (*code.co_names, *code.co_varnames, *code.co_freevars)
    used = ((name, frame.f_locals.get(name, frame.f_globals.get(name))) for name in names)
    return next((name for name, value in used if type(value).__name__ == _ACTOR_CLASS), "")


def _way_to_copy(trace: TracebackType | None, is_memory: bool) -> str:
    """Return how to copy what the user holds: the first known package in the traceback tells what it is."""
    while trace is not None:
        frame = trace.tb_frame
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package in _COPIES:
            return _SERIES if package == "pandas" and _is_of_series(frame) else _COPIES[package]
        trace = trace.tb_next
    return _VIEW if is_memory else _ARRAY


def _is_of_series(frame: FrameType) -> bool:
    """Return whether a method of a pandas Series, or of its `loc` and the like, runs in a frame."""
    owner = frame.f_locals.get("self")
    kind = type(getattr(owner, "obj", owner))
    return any(base.__name__ == "Series" for base in kind.__mro__)


@functools.cache
def explain_in_scripts() -> None:
    """Have the hint printed under the traceback that ends a script. Called at the start of each session."""
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        previous(kind, error, trace)
        print_hint(error)

    sys.excepthook = excepthook


def print_hint(error: BaseException) -> None:
    """Print the hint for an error, if there is one, on stderr."""
    text = hint(error)
    if text:
        print(f"nbactors: {text}", file=sys.stderr)


def start_failed(what: str, executable: str, error: OSError) -> str:
    """Return why an interpreter cannot be started, and what helps.

    Args:
        what: The process that it would have become, as in "no node".
        executable: The interpreter's path.
        error: The system's answer.
    """
    reason = error.strerror or str(error)
    path = None if error.filename is None else os.fsdecode(error.filename)
    if path == executable and error.errno in _NO_INTERPRETER:
        return (
            f"the Python interpreter {executable!r} cannot be started ({reason}): its environment was moved or removed "
            "since this session began. Make it again, or restart the session in another one"
        )
    where = f", {path!r}" if path not in (None, executable) else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{what} can be started ({reason}{where})" + (f": {remedy}" if remedy else "")
