"""`PoolWorkers`: the actors of a pool, which of them gets a batch, and their ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors import api
from nbactors.exceptions import RayError
from nbactors.object_ref import ObjectRef
from nbactors.util.multiprocessing.pool_actor import Form, Outcome

if TYPE_CHECKING:
    from nbactors.views.summaries import ActorFacts

Ref = ObjectRef[list[Outcome]]


class _Place:
    """A place of the pool: its present actor, and the number of batches that this has got."""

    def __init__(self) -> None:
        self.actor: Any = None
        self.batches = 0

    def load(self) -> int:
        """Return the number of batches that the actor has not returned; forget an actor that has died."""
        if self.actor is None:
            return 0
        facts: ActorFacts = self.actor._link.facts()
        if facts.state == "dead":
            self.actor = None
        return facts.calls


class PoolWorkers:
    """The actors of a pool. Any thread.

    A batch goes to the actor with the fewest pending batches. An actor that has died, or has got `limit` batches, is
    replaced with the next batch for its place.
    """

    def __init__(self, count: int, make: Callable[[], Any], limit: int | None) -> None:
        self.count = count
        self._make = make
        self._limit = limit
        # Reentrant, since a signal handler that uses the pool may come in between.
        self._lock = threading.RLock()
        self._places = [_Place() for _ in range(count)]
        self._leaving: list[tuple[Any, ObjectRef[None]]] = []
        for place in self._places:
            place.actor = make()

    def submit(self, function: Callable[..., Any], batch: list[Any], form: Form) -> Ref:
        """Give a batch to an actor.

        With a limit of batches, this waits while as many replaced actors as the pool has places still work.
        """
        with self._lock:
            place = min(self._places, key=lambda each: (each.load(), each.actor is None))
            if place.actor is None:
                self._await_room()
                place.actor = self._make()
                place.batches = 0
            ref: Ref = place.actor.run_batch.remote(function, batch, form)
            place.batches += 1
            if place.batches == self._limit:
                self._let_go(place)
            return ref

    def close(self) -> None:
        """Let each actor end after its batches."""
        with self._lock:
            for place in self._places:
                if place.actor is not None:
                    self._let_go(place)

    def kill(self) -> None:
        """End all actors at once."""
        with self._lock:
            self.close()
            for actor, _ in self._leaving:
                api.kill(actor)

    def join(self) -> None:
        """Wait until all actors have ended, after `close` or `kill`."""
        endings = [ending for _, ending in self._leaving]
        if endings:
            api.wait(endings, num_returns=len(endings), timeout=None)
        self._leaving = []

    def _let_go(self, place: _Place) -> None:
        self._leaving = [(actor, ending) for actor, ending in self._leaving if not ending.done()]
        self._leaving.append((place.actor, place.actor.__ray_terminate__.remote()))
        place.actor = None

    def _await_room(self) -> None:
        """Wait until fewer replaced actors than places are still working, so that processes do not pile up."""
        working = [ending for _, ending in self._leaving if not ending.done()]
        if len(working) >= self.count:
            api.wait(working, num_returns=len(working) - self.count + 1, timeout=None)


def outcomes(ref: Ref) -> list[Outcome]:
    """Return the outcomes of a batch that is ready; one failure if its actor has returned none."""
    try:
        return api.get(ref)
    except RayError as error:
        return [(False, error)]
