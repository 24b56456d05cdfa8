"""The actors that the line of `%%on` names, and what a busy one of them does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors import exceptions
from nbactors.actor import ActorHandle
from nbactors.jupyter.magics.magic_line import variables
from nbactors.util import state

ANSWER_S = 5.0
"""Seconds to wait for the stack of a process. Without an answer it runs no Python code, and no `--now` either."""

BUSY_ANSWER_S = 1.0
"""Seconds to wait for the stack of an actor that may be busy."""

_RUNNING = re.compile(r"^(?P<call>.+), running for (?P<seconds>[\d.]+) s$", re.MULTILINE)
_GIL = "code in it keeps the GIL, so not even --now can run; %kill ends it"


class NamedActor(NamedTuple):
    """An actor, and the user's expression for it, as in ``workers[2]``."""

    label: str
    handle: ActorHandle[Any]


def find(shell: InteractiveShell, text: str) -> tuple[list[NamedActor], bool]:
    """Return the actors that a line means, and whether it means a list: the expression's value, else the actor's name.

    Raises:
        UsageError: There is no such actor.
    """
    try:
        value = eval(text, shell.user_global_ns, shell.user_ns)
    except (NameError, SyntaxError):
        value = None
    except Exception as error:  # noqa: BLE001 - an error of the user's expression
        raise UsageError(f"%%on: {text}: {type(error).__name__}: {error}") from None
    else:
        if isinstance(value, ActorHandle):
            return [NamedActor(text, value)], False
        items = list(value.items() if isinstance(value, dict) else enumerate(value)) if _is_many(value) else []
        if items and all(isinstance(item, ActorHandle) for _, item in items):
            return list(_labelled(shell, text, items)), True
    try:
        return [NamedActor(text, nbactors.get_actor(text))], False
    except (TypeError, ValueError):
        pass
    if value is not None:
        raise UsageError(f"%%on: {text} is {type(value).__name__}, no handle of an actor and no list of handles")
    raise UsageError(f"%%on: there is neither a variable nor an actor {text!r}; %actors lists the actors")


def _is_many(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple, set, frozenset))


def _labelled(shell: InteractiveShell, text: str, items: Iterable[tuple[Any, Any]]) -> Iterable[NamedActor]:
    known = {value: name for name, value in variables(shell) if type(value) is ActorHandle}
    for key, handle in items:
        label = f"{text}[{key!r}]" if text.isidentifier() else known.get(handle) or f"actor {key}"
        yield NamedActor(label, handle)


def check_answers(actor: NamedActor) -> None:
    """Check that an actor's process runs Python code at all, before a call is left waiting there.

    Raises:
        UsageError: It does not, or the actor is dead.
    """
    try:
        state.stack(actor.handle, timeout=ANSWER_S)
    except TimeoutError:
        raise UsageError(f"%%on: {actor.label} has not answered for {ANSWER_S:g} seconds: {_GIL}") from None
    except ValueError:  # the process is starting
        return
    except exceptions.RayError as error:
        raise UsageError(f"%%on: {error}") from None


def why_waiting(actor: NamedActor) -> str:
    """Return why a cell has not begun in an actor; "" if it has. Waits for the actor's answer."""
    try:
        text = state.stack(actor.handle, timeout=BUSY_ANSWER_S)
    except TimeoutError:
        return f"{actor.label} does not answer: {_GIL}"
    except ValueError as error:  # it has no process yet
        return str(error)
    except exceptions.RayError:  # the call tells that it is dead
        return ""
    running = [(found["call"], found["seconds"]) for found in _RUNNING.finditer(text)]
    if not running or any(call == "%%on" for call, _ in running):
        return ""
    call, seconds = running[0]
    return (
        f"{actor.label} has run {call} for {float(seconds):.1f} s, and this cell waits its turn. "
        f"`%%on --now {actor.label}` looks inside at once"
    )
