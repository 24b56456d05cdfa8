"""`Deaths`: tells a session that actors have died, without a call to them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from time import monotonic
from typing import Any

import ray

from nbactors.cluster.observing.actor_rows import actor_row

KEPT = 10_000
"""Dead actors whose causes are remembered, the latest ones."""

ASK_S = 1.0
"""Seconds between two questions about an actor that this process has not called."""

_DEAD, _UNKNOWN = 4, (0, None)
"""Ray's numbers of states: of a dead actor, and of an actor whose news this process does not get before its first
call."""


class Deaths:
    """Why actors are dead. Any thread.

    Ray tells a process the news of the actors that it has called, some milliseconds after a death. For the cause, and
    for other actors, this class asks Ray's table, which takes less than a millisecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._causes: OrderedDict[bytes, str] = OrderedDict()
        self._asked: OrderedDict[bytes, float] = OrderedDict()

    def cause(self, handle: Any) -> str | None:
        """Return why the actor of a handle of Ray's is dead; None if it is not known to be."""
        actor_id = handle._actor_id.binary()
        known = self._causes.get(actor_id)
        if known is not None or not ray.is_initialized():
            return known
        state = handle._get_local_state()
        if state != _DEAD and (state not in _UNKNOWN or not self._is_due(actor_id)):
            return None
        row = actor_row(actor_id)
        if row is None or row["state"] != "DEAD":
            return None
        with self._lock:
            self._causes[actor_id] = row["death_cause"]
            while len(self._causes) > KEPT:
                self._causes.popitem(last=False)
        cause: str = row["death_cause"]
        return cause

    def _is_due(self, actor_id: bytes) -> bool:
        now = monotonic()
        with self._lock:
            if now - self._asked.get(actor_id, -ASK_S) < ASK_S:
                return False
            self._asked[actor_id] = now
            while len(self._asked) > KEPT:
                self._asked.popitem(last=False)
        return True
