"""Running a function inside an actor's process, with its instance: what `%%on` is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbactors.actor import ActorHandle
from nbactors.definitions.metadata import MethodMeta
from nbactors.definitions.signature import Signature
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions

__all__ = ["is_async", "run_inside"]

_TAKES_ALL = Signature.of(lambda *args: None, skip_self=False)
_IN_TURN = MethodMeta("__ray_await__", _TAKES_ALL)
_NOW = MethodMeta("__ray_now__", _TAKES_ALL, group="__ray_now__")
"""The group is one of its own, so that the call waits behind no other, neither here nor there."""


def run_inside(
    handle: ActorHandle[Any], function: Callable[..., Any], *args: Any, now: bool = False, name: str = ""
) -> ObjectRef[Any]:
    """Call `function(instance, *args)` in an actor's process; returns at once. Any thread.

    Args:
        handle: Of the actor.
        function: If it returns a coroutine, an asyncio actor awaits that on its loop.
        *args: Copied there, and references replaced by their values.
        now: Do not take a turn in the actor's queue, but run at once, in a thread of its own.
        name: What process listings and stacks call it.

    Returns:
        A reference to what the function returns.
    """
    options = CallOptions(name=name) if name else None
    ref: ObjectRef[Any] = handle._link.call(_NOW if now else _IN_TURN, (function, *args), {}, options)
    return ref


def is_async(handle: ActorHandle[Any]) -> bool:
    """Return whether an actor's calls run on an event loop."""
    return handle._meta.is_async
