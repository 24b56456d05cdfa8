"""Functions that `update`, `checkpoint` and `restore` share: checks of the handle, and the wait for the answer."""

from __future__ import annotations

from typing import Any

from nbactors.actor import ActorHandle
from nbactors.api import cancel, get
from nbactors.definitions.hooks import missing_hook
from nbactors.exceptions import GetTimeoutError
from nbactors.object_ref import ObjectRef
from nbactors.options.checks import kind

_ANSWER_S = 5.0
"""Extra seconds for the answer, beyond the seconds that the actor has for its work."""


def check_handle(handle: Any, verb: str) -> None:
    """Raise TypeError if the verb's argument is not a handle."""
    if not isinstance(handle, ActorHandle):
        raise TypeError(f"{verb}() takes a handle. Got {kind(handle)}")


def check_hook(handle: ActorHandle[Any], name: str) -> None:
    """Raise TypeError if the actor's class lacks the hook `name`."""
    if name not in handle._link.latest_meta(handle._meta).methods:
        raise missing_hook(handle._meta.class_name, name)


def finish(ref: ObjectRef[Any], timeout: float) -> Any:
    """Return the result of a call of `Engine.call_alone`; cancel the call if it does not end in `timeout` seconds."""
    try:
        return get(ref, timeout=timeout + _ANSWER_S)
    except GetTimeoutError:
        cancel(ref)
        raise
