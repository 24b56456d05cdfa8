"""`BuiltIn`: the methods of a host that are the runtime's own, such as `__ray_call__` and the change of a class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import ray

from nbactors.cluster.host.alone import AlonePlain
from nbactors.definitions.hooks import METHODS, MIGRATE, RESTORE, SAVE, SWAP, missing_hook
from nbactors.in_worker.class_change import ClassChange

OWN = frozenset({"__ray_ready__", "__ray_call__", "__ray_await__", "__ray_terminate__", *METHODS})
"""The methods that are the runtime's own."""


class BuiltIn:
    """Finds the function of a call.

    Attributes:
        instance: The user's object, None before it is constructed.
    """

    def __init__(self, alone: AlonePlain) -> None:
        self.instance: Any = None
        self._alone = alone
        self._own: dict[str, Callable[..., Any]] = {
            "__ray_ready__": lambda: True,
            "__ray_call__": self._call,
            "__ray_await__": self._call,
            "__ray_terminate__": _terminate,
            SWAP: self._swap,
            SAVE: self._save,
            RESTORE: self._restore,
        }

    def find(self, method: str) -> Callable[..., Any]:
        """Return the function for a method. On the thread that runs the call."""
        return self._own.get(method) or getattr(self.instance, method)

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(self.instance, *args, **kwargs)

    def _swap(self, cls: type, patience_s: float, draft: str = "") -> Any:
        del patience_s, draft
        instance = self.instance
        change = ClassChange(instance, cls)
        try:
            hook = getattr(instance, MIGRATE, None)
            outcome = hook(change.old) if hook is not None else None
        except BaseException:
            change.undo()
            raise
        return _finish_swap(outcome, change) if inspect.isawaitable(outcome) else True

    def _save(self, patience_s: float) -> Any:
        del patience_s
        return self._hook(SAVE)()

    def _restore(self, state: Any, patience_s: float) -> Any:
        del patience_s
        outcome = self._hook(RESTORE)(state)
        return _nothing_of(outcome) if inspect.isawaitable(outcome) else None

    def resume(self, checkpoint: Any) -> Any:
        """Pass the state of a checkpoint to the hook of a restarted actor, if there is one.

        Returns:
            What is to be awaited if the hook is a coroutine, else None.
        """
        if checkpoint is None:
            return None
        outcome = self._hook(RESTORE)(checkpoint._load())
        return outcome if inspect.isawaitable(outcome) else None

    def _hook(self, name: str) -> Callable[..., Any]:
        hook: Callable[..., Any] | None = getattr(self.instance, name, None)
        if hook is None:
            raise missing_hook(type(self.instance).__name__, name)
        return hook


async def _finish_swap(outcome: Any, change: ClassChange) -> bool:
    try:
        await outcome
    except BaseException:
        change.undo()
        raise
    return True


async def _nothing_of(outcome: Any) -> None:
    await outcome


def _terminate() -> None:
    ray.actor.exit_actor()
