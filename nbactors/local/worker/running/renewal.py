"""What is done to an actor between its calls: its class is changed, its state is saved or restored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.definitions.hooks import MIGRATE, RESTORE, SAVE, SWAP, missing_hook
from nbactors.frontend.user_code import lets_through
from nbactors.local.reactor.waiter import Waiter

if TYPE_CHECKING:
    from nbactors.local.worker.running.executor import Executor

TICK_S = 0.005
"""How often it is looked whether the calls on other threads and loops have ended."""


class Renewal:
    """Calls of the runtime's own that run while no other call does. On the main thread.

    A single-threaded actor runs them in their turn. One that runs several calls at once begins no more, lets those that
    run end, and goes on afterwards.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def find(self, method: str) -> Callable[..., Any]:
        """Return what runs for one of `nbactors.definitions.hooks.METHODS`."""
        found: dict[str, Callable[..., Any]] = {SWAP: self.swap, SAVE: self.save, RESTORE: self.restore}
        return found[method]

    @lets_through
    def swap(self, cls: type, patience_s: float) -> None:
        """Make the actor one of another class, with the state that it has.

        Raises:
            TypeError: Instances of its class cannot become instances of that one.
            TimeoutError: A call runs that does not end.
        """
        instance = self._executor.instance
        with self._alone(patience_s):
            old = type(instance)
            before = dict(getattr(instance, "__dict__", {}))
            try:
                instance.__class__ = cls
            except TypeError as error:
                raise TypeError(
                    f"{old.__name__} cannot become the new class: {error}. The actor goes on with the old one; create "
                    "a new actor of the new class"
                ) from None
            try:
                hook = getattr(instance, MIGRATE, None)
                if hook is not None:
                    self._finish(hook(old))
            except BaseException:
                instance.__class__ = old
                if hasattr(instance, "__dict__"):
                    instance.__dict__.clear()
                    instance.__dict__.update(before)
                raise
            self._executor.cls = cls
            self._executor.module = cls.__module__

    @lets_through
    def save(self, patience_s: float) -> Any:
        """Return what the actor gives as its state."""
        with self._alone(patience_s):
            return self._finish(self._hook(SAVE)())

    @lets_through
    def restore(self, state: Any, patience_s: float) -> None:
        """Give the actor a state that it has once saved."""
        with self._alone(patience_s):
            self._finish(self._hook(RESTORE)(state))

    def _hook(self, name: str) -> Callable[..., Any]:
        hook: Callable[..., Any] | None = getattr(self._executor.instance, name, None)
        if hook is None:
            raise missing_hook(self._executor.class_name, name)
        return hook

    @lets_through
    def _finish(self, result: Any) -> Any:
        """Await what an asynchronous hook has returned."""
        lanes = self._executor.lanes
        if inspect.iscoroutine(result) and lanes is not None and lanes.is_async:
            return lanes.complete(result)
        return result

    @contextmanager
    def _alone(self, patience_s: float) -> Iterator[None]:
        """Have no call run meanwhile."""
        lanes = self._executor.lanes
        if lanes is None:
            yield
            return
        lanes.pause()
        try:
            deadline = monotonic() + patience_s
            self._turn()
            while lanes.runs:
                if monotonic() > deadline:
                    raise TimeoutError(
                        f"a call was still running in {self._executor.class_name} after {patience_s:g} s, and this is "
                        "done between calls only. Nothing was changed: cancel that call, or try again with a longer "
                        "timeout"
                    )
                self._turn()
            yield
        finally:
            lanes.resume()

    def _turn(self) -> None:
        """Let what runs go on for a moment."""
        lanes = self._executor.lanes
        assert lanes is not None
        if lanes.is_async:
            lanes.turn(TICK_S)
        else:
            self._executor.process.reactor.wait(Waiter(), TICK_S)
