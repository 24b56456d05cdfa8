"""Asking an actor to change itself or to give its state, and waiting for that."""

from __future__ import annotations

from typing import Any

from nbactors.actor import ActorHandle
from nbactors.api import cancel, get
from nbactors.definitions.hooks import missing_hook
from nbactors.exceptions import GetTimeoutError
from nbactors.object_ref import ObjectRef
from nbactors.options.checks import kind

_ANSWER_S = 5.0
"""What the answer may take beyond the time that the actor is given."""


def check_handle(handle: Any, verb: str) -> None:
    """Raise TypeError if a verb was given something else than a handle."""
    if not isinstance(handle, ActorHandle):
        raise TypeError(f"{verb}() takes a handle. Got {kind(handle)}")


def check_hook(handle: ActorHandle[Any], name: str) -> None:
    """Raise if the actor's class lacks a hook."""
    if name not in handle._link.latest_meta(handle._meta).methods:
        raise missing_hook(handle._meta.class_name, name)


def finish(ref: ObjectRef[Any], timeout: float) -> Any:
    """Wait for a call that runs alone; withdraw it if it is not done in time."""
    try:
        return get(ref, timeout=timeout + _ANSWER_S)
    except GetTimeoutError:
        cancel(ref)
        raise
