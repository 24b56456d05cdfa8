"""The built-in methods of every actor, such as `__ray_ready__`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nbactors.definitions.hooks import NOW
from nbactors.frontend.user_code import lets_through
from nbactors.local.worker.running.ending import ActorExit
from nbactors.local.worker.running.interrupts import invoke


def find(method: str, instance: Any, is_async: bool) -> Callable[..., Any]:
    """Return the function for a method whose name begins with `__ray_`. The thread that runs the call.

    Args:
        method: The method's name.
        instance: The actor's instance, None before it is constructed.
        is_async: Whether the call runs on an event loop.
    """
    if method == "__ray_ready__":
        return lambda: True
    if method == "__ray_call__" or (method == "__ray_await__" and not is_async):
        return lets_through(lambda function, *args, **kwargs: function(instance, *args, **kwargs))
    if method == "__ray_await__":
        return _awaiting(instance)
    if method == NOW:
        if instance is None:
            raise RuntimeError(
                "the actor's constructor still runs, so there is no instance yet; handle.stack() tells where it is"
            )
        return lets_through(lambda function, *args, **kwargs: function(instance, *args, **kwargs))
    if method == "__ray_terminate__":
        raise ActorExit("exit_actor() is called.", after_queue=True)
    return getattr(instance, method)  # type: ignore[no-any-return]


def _awaiting(instance: Any) -> Callable[..., Any]:
    async def call(function: Callable[..., Any], *args: Any) -> Any:
        outcome = invoke(function, (instance, *args), {})
        return await outcome if inspect.iscoroutine(outcome) else outcome

    return call
