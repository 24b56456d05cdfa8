"""Tracebacks under cells show the user's frames only. `%xmode Verbose` shows the runtime's frames, too.

IPython formats an error from its `__traceback__`, and from those of the errors in its chain. So these are cut for as
long as IPython formats them. Afterwards the error is whole again, for `logging` and all else that prints it.
"""

from __future__ import annotations

import builtins
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors import exceptions
from nbactors.exceptions import source_lines
from nbactors.exceptions.user_frames import are_users, is_runtime

_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())
_listeners: list[Callable[[BaseException], None]] = []


def before_shown(listener: Callable[[BaseException], None]) -> None:
    """Have a function called with each error of the runtime before it is shown. Calling it again does nothing."""
    if listener not in _listeners:
        _listeners.append(listener)


def watch(shell: InteractiveShell) -> None:
    """Make this shell show the user's frames only. Calling it again does nothing. On the main thread."""
    if getattr(shell, "_nbactors_plain_showtraceback", None) is not None:
        return
    plain: Any = shell.showtraceback
    shell._nbactors_plain_showtraceback = plain

    def showtraceback(exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        try:
            is_shown = _show(shell, plain, exc_tuple, *args, **options)
        except Exception:
            # Such as an error of the user's `__str__`. The user has to see the cell's own error in any case.
            logging.getLogger("nbactors").warning("a traceback cannot be shown without the runtime", exc_info=True)
            is_shown = False
        if not is_shown:
            plain(exc_tuple, *args, **options)

    shell.showtraceback = showtraceback
    source_lines.name_cells(lambda filename: _cell_name(shell, filename))


def _show(shell: InteractiveShell, plain: Any, exc_tuple: Any, *args: Any, **options: Any) -> bool:
    """Show an error if the runtime has to do with it; return whether it has. The arguments are `showtraceback`'s."""
    try:
        kind, error, trace = shell._get_exc_info(exc_tuple)
    except ValueError:  # there is no error
        return False
    if not _is_concerned(error, trace):
        return False
    for listener in _listeners:
        listener(error)
    is_verbose = shell.InteractiveTB.mode == "Verbose"
    with _all_shown(shell) if is_verbose else _cut(error):
        shown = trace if is_verbose else users_part(trace)
        lines = _own_lines(shell, error, shown, *args, **options)
        if lines is not None:
            shell._showtraceback(kind, error, lines)
        else:
            plain((kind, error, shown), *args, **options)
    sys.last_traceback = trace
    return True


def users_part(trace: TracebackType | None, then: TracebackType | None = None) -> TracebackType | None:
    """Return a traceback of the user's frames, and then the frames of another traceback."""
    nodes = list(_nodes(trace))
    mine = are_users([node.tb_frame.f_code.co_filename for node in nodes])
    result = then
    for node, is_users in reversed(list(zip(nodes, mine, strict=True))):
        if is_users:
            result = TracebackType(result, node.tb_frame, node.tb_lasti, node.tb_lineno)
    return result


def _nodes(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _cell_name(shell: InteractiveShell, filename: str) -> str:
    format_name = getattr(shell.compile, "format_code_name", None)  # IPython has it since 8.7
    parts = format_name(filename) if format_name is not None else None
    return " ".join(parts) if parts else ""


def linked(error: BaseException) -> list[BaseException]:
    """Return an error, and all errors that are shown with it: causes, contexts, and members of groups."""
    found = [error]
    seen = {id(error)}
    for each in found:
        members = each.exceptions if isinstance(each, _GROUP) else ()
        for other in (each.__cause__, each.__context__, *members):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                found.append(other)
    return found


def _is_concerned(error: BaseException, trace: TracebackType | None) -> bool:
    """Return whether the runtime has to do with an error. IPython shows all others as without this module."""
    every = linked(error)
    if any(isinstance(each, exceptions.RayError) for each in every):
        return True
    traces = [trace, *(each.__traceback__ for each in every)]
    return any(is_runtime(node.tb_frame.f_code.co_filename) for each in traces for node in _nodes(each))


@contextmanager
def _cut(error: BaseException) -> Iterator[None]:
    """Cut the tracebacks of an error and of those in its chain. On the main thread."""
    whole = [(each, each.__traceback__, each.__cause__, each.__suppress_context__) for each in linked(error)]
    try:
        for each, trace, cause, _ in whole:
            each.__traceback__ = users_part(trace)
            if isinstance(each, exceptions.RayTaskError) and cause is not None and cause is each.cause.__cause__:
                # The text of the error has the remote chain, with frames.
                each.__cause__ = None
        yield
    finally:
        for each, trace, cause, suppress in whole:
            each.__traceback__, each.__cause__, each.__suppress_context__ = trace, cause, suppress


@contextmanager
def _all_shown(shell: InteractiveShell) -> Iterator[None]:
    """Make IPython show frames with `__tracebackhide__`, which pytest leaves out. On the main thread."""
    printer: Any = shell.InteractiveTB
    before = printer.skip_hidden
    printer.skip_hidden = False
    try:
        yield
    finally:
        printer.skip_hidden = before


def _own_lines(
    shell: InteractiveShell,
    error: BaseException,
    trace: TracebackType | None,
    filename: str | None = None,
    tb_offset: int | None = None,
    exception_only: bool = False,
    **_options: Any,
) -> list[str] | None:
    """Return the lines of an error that IPython shows badly, None for the others.

    IPython prints exception groups on stderr, with its own frames. Of a SyntaxError it shows the code that is
    wrong, and not the call that found it.
    """
    if exception_only:
        return None
    if isinstance(error, exceptions.RayTaskError) and isinstance(error, SyntaxError):
        return shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=tb_offset)  # type: ignore[no-any-return]
    if _GROUP and any(isinstance(each, _GROUP) for each in linked(error)):
        offset = shell.InteractiveTB.tb_offset if tb_offset is None else tb_offset
        for _ in range(offset):
            trace = trace.tb_next if trace is not None and trace.tb_next is not None else trace
        return _native_lines(error, trace)
    return None


def _native_lines(error: BaseException, trace: TracebackType | None) -> list[str]:
    """Return the lines of Python's own traceback."""
    whole = traceback.TracebackException(type(error), error, trace)
    _drop_members(whole, error)
    return source_lines.with_cell_names("".join(whole.format())).rstrip().split("\n")


def _drop_members(part: Any, error: BaseException) -> None:
    """Leave out the members of remote groups, which the text of a RayTaskError has."""
    if isinstance(error, exceptions.RayTaskError):
        part.exceptions = None
    members = zip(part.exceptions or (), getattr(error, "exceptions", ()), strict=False)
    for inner, each in ((part.__cause__, error.__cause__), (part.__context__, error.__context__), *members):
        if inner is not None and each is not None:
            _drop_members(inner, each)
