"""Runs a function in an actor's process, with the actor's instance. `%%on` is built on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbactors.actor import ActorHandle
from nbactors.definitions.hooks import NOW
from nbactors.definitions.metadata import MethodMeta
from nbactors.definitions.signature import Signature
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions

__all__ = ["is_async", "run_inside"]

_TAKES_ALL = Signature.of(lambda *args: None, skip_self=False)
_IN_TURN = MethodMeta("__ray_await__", _TAKES_ALL)
_NOW = MethodMeta(NOW, _TAKES_ALL, group=NOW)
"""A concurrency group of its own: the call waits behind no other call, in this process or in the actor."""


def run_inside(
    handle: ActorHandle[Any], function: Callable[..., Any], *args: Any, now: bool = False, name: str = ""
) -> ObjectRef[Any]:
    """Call `function(instance, *args)` in an actor's process; returns at once. Any thread.

    Args:
        handle: The actor's handle.
        function: Takes the instance first. A coroutine that it returns is awaited on the loop of an asyncio actor.
        *args: Further arguments, copied; references among them are replaced by their values.
        now: Run at once in a thread of its own, instead of in turn with the actor's calls.
        name: The call's name in process listings and stacks.

    Returns:
        A reference to the function's result.
    """
    options = CallOptions(name=name) if name else None
    ref: ObjectRef[Any] = handle._link.call(_NOW if now else _IN_TURN, (function, *args), {}, options)
    return ref


def is_async(handle: ActorHandle[Any]) -> bool:
    """Return whether an actor's calls run on an event loop."""
    return handle._meta.is_async
