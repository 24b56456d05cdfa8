"""`Renewal`: changes an actor's class, and saves or restores its state, while no call runs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.definitions.hooks import MIGRATE, RESTORE, SAVE, SWAP, missing_hook
from nbactors.frontend.user_code import lets_through
from nbactors.in_worker.class_change import ClassChange
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import restart_files

if TYPE_CHECKING:
    from nbactors.local.objects.held import Held
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.worker.jobs.hosted import Hosted

TICK_S = 0.005
"""Seconds between two looks whether the calls on other threads and loops have ended."""


class Renewal:
    """The runtime's own methods that run while no other call does. On the main thread.

    An actor without lanes runs them in their turn. An actor with lanes begins no further calls, waits until the running
    calls have ended, and begins calls again afterwards.
    """

    def __init__(self, hosted: Hosted, reactor: Reactor) -> None:
        self._hosted = hosted
        self._reactor = reactor

    def find(self, method: str) -> Callable[..., Any]:
        """Return the function for one of `nbactors.definitions.hooks.METHODS`."""
        found: dict[str, Callable[..., Any]] = {SWAP: self.swap, SAVE: self.save, RESTORE: self.restore}
        return found[method]

    @lets_through
    def swap(self, cls: type, patience_s: float, draft: str = "") -> bool:
        """Change the class of the actor's instance, which keeps its state.

        Args:
            cls: The changed class.
            patience_s: Seconds to wait for running calls.
            draft: The path of the file with the class for restarts. If the actor may restart, the file is moved to its
                place here, and not in the process that updates: so the actor never restarts with another class than
                that of its last call.

        Returns:
            Whether the file was moved.

        Raises:
            TypeError: Instances of the old class cannot become instances of the new one.
            TimeoutError: A running call has not ended within `patience_s` seconds.
        """
        instance = self._hosted.instance
        with self._alone(patience_s):
            change = ClassChange(instance, cls)
            try:
                hook = getattr(instance, MIGRATE, None)
                if hook is not None:
                    self._finish(hook(change.old))
                if self._hosted.may_restart:
                    os.replace(draft, restart_files.changed_class(self._hosted.directory, self._hosted.actor_id))
            except BaseException:
                change.undo()
                raise
            self._hosted.cls = cls
            self._hosted.module = cls.__module__
            return self._hosted.may_restart

    @lets_through
    def save(self, patience_s: float) -> Any:
        """Return the state that the actor's hook returns."""
        with self._alone(patience_s):
            return self._finish(self._hook(SAVE)())

    @lets_through
    def restore(self, state: Any, patience_s: float) -> None:
        """Pass a saved state to the actor's hook."""
        with self._alone(patience_s):
            self._finish(self._hook(RESTORE)(state))

    @lets_through
    def resume(self, saved: Held) -> None:
        """Pass the state of a checkpoint to the hook of a restarted actor, which runs no calls yet.

        Args:
            saved: The description of the checkpoint, an `upkeep.Checkpoint`; this room may not import that one.
        """
        self._finish(self._hook(RESTORE)(saved.load()._load()))

    def _hook(self, name: str) -> Callable[..., Any]:
        hook: Callable[..., Any] | None = getattr(self._hosted.instance, name, None)
        if hook is None:
            raise missing_hook(self._hosted.class_name, name)
        return hook

    @lets_through
    def _finish(self, result: Any) -> Any:
        """Return a hook's result; await the coroutine of an asynchronous hook first."""
        calls = self._hosted.calls
        if inspect.iscoroutine(result) and calls is not None and calls.is_async:
            return calls.complete(result)
        return result

    @contextmanager
    def _alone(self, patience_s: float) -> Iterator[None]:
        """Keep calls from running within the `with` block; raise TimeoutError if a running call does not end."""
        calls = self._hosted.calls
        if calls is None:
            yield
            return
        calls.pause()
        try:
            deadline = monotonic() + patience_s
            self._turn()
            while calls.runs:
                if monotonic() > deadline:
                    raise TimeoutError(
                        f"a call was still running in {self._hosted.class_name} after {patience_s:g} s, and this is "
                        "done between calls only. Nothing was changed: cancel that call, or try again with a longer "
                        "timeout"
                    )
                self._turn()
            yield
        finally:
            calls.resume()

    def _turn(self) -> None:
        """Let the running calls go on for `TICK_S`."""
        calls = self._hosted.calls
        assert calls is not None
        if calls.is_async:
            calls.turn(TICK_S)
        else:
            self._reactor.wait(Waiter(), TICK_S)
