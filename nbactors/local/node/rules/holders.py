"""Holders: the processes that have handles of an actor. An actor without a holder is out of scope.

*Watchers* are the processes that have weak handles. They are counted in the same way, and told the same news.

A sender counts the receiver of a handle, and the receiver gives its tokens back when its handle is gone. These messages
take different ways to the node, so a count may be negative for a moment. Only a count of zero is none.
"""

from __future__ import annotations

from nbactors.local.node.rules import deaths
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.records import Actor, Process
from nbactors.local.wire import messages

EARLY_S = 0.5
"""How long, in seconds, a count of an unknown actor waits for the actor's creation. Both were sent at the same time."""


def unknown(actor_id: bytes) -> messages.ActorDown:
    """Return the message about an actor of which there is no record."""
    return messages.ActorDown(actor_id, "unknown", deaths.UNKNOWN, "", "", 0)


def add(
    context: Context, actor: Actor, process: Process, tokens: int, *, asks: bool = False, weak: bool = False
) -> bool:
    """Count handles, or weak handles, of `process`. Tell it where the actor is if its first one comes, or if it asks.

    Returns:
        Whether no process holds the actor any more: the tokens may have been given back before.
    """
    if actor.announced and actor.down is not None:
        context.send(process, actor.down)
        return False
    if process.process_id not in (actor.watchers if weak else actor.holders) or asks:
        tell(context, actor, process)
    return _count(actor, process, tokens, weak)


def tell(context: Context, actor: Actor, process: Process) -> None:
    """Tell a process that an actor is up, restarts or is dead; tell nothing before its first process is up."""
    if actor.announced and actor.down is not None:
        context.send(process, actor.down)
    elif actor.process_id:
        context.send(process, _up(actor))
    elif actor.restarting is not None:
        context.send(process, actor.restarting)


def release(actor: Actor, process: Process, tokens: int, weak: bool = False) -> bool:
    """Take `tokens` from the count of `process`. Return whether no process holds the actor any more."""
    return not actor.announced and _count(actor, process, -tokens, weak)


def forget(actor: Actor, process: Process) -> bool:
    """Take all tokens of a process that is gone. Return whether no process holds the actor any more."""
    actor.watchers.pop(process.process_id, None)
    process.holds.discard(actor.actor_id)
    tokens = actor.holders.get(process.process_id)
    return tokens is not None and release(actor, process, tokens)


def _count(actor: Actor, process: Process, tokens: int, weak: bool) -> bool:
    counts = actor.watchers if weak else actor.holders
    count = counts.pop(process.process_id, 0) + tokens
    if count:
        counts[process.process_id] = count
    if process.process_id in actor.holders or process.process_id in actor.watchers:
        process.holds.add(actor.actor_id)
    else:
        process.holds.discard(actor.actor_id)
    return not weak and not actor.holders


def tell_up(context: Context, actor: Actor) -> None:
    """Tell all holders, all watchers and the creator where the actor is."""
    for process_id in _interested(actor):
        context.tell(process_id, _up(actor))


def tell_restarting(context: Context, actor: Actor, text: str, has_run: bool) -> None:
    """Tell all holders and watchers, and those that come until it is up, that it is about to be another process."""
    actor.restarting = messages.ActorRestarting(actor.actor_id, text, has_run)
    for process_id in {**actor.holders, **actor.watchers}:
        context.tell(process_id, actor.restarting)


def tell_down(context: Context, actor: Actor) -> None:
    """Tell all holders and watchers, once, that the actor is dead. It has neither after that."""
    if actor.announced or actor.down is None:
        return
    actor.announced = True
    for process_id in _interested(actor):
        context.tell(process_id, actor.down)
        process = context.processes.get(process_id)
        if process is not None:
            process.holds.discard(actor.actor_id)
    actor.holders.clear()
    actor.watchers.clear()


def _up(actor: Actor) -> messages.ActorUp:
    detached = actor.creation.name if actor.creation.detached else ""
    return messages.ActorUp(actor.actor_id, actor.process_id, actor.pid, actor.restarts, detached)


def _interested(actor: Actor) -> list[bytes]:
    """Return the holders, the watchers, and the creator, which keeps what a restart or the next node needs."""
    return list(dict.fromkeys([*actor.holders, *actor.watchers, actor.owner]))


class EarlyCounts:
    """Counts of actors that are unknown: a creator's request takes another way, and may come just now."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: dict[bytes, list[messages.AddHold]] = {}

    def keep(self, message: messages.AddHold) -> None:
        """Keep a count for `EARLY_S`. Then its process is told that there is no such actor.

        A process of a crashed node that has not returned may have created the actor, or be the actor. The time counts
        from the return of the last one.
        """
        if message.actor_id not in self._kept:
            self._kept[message.actor_id] = []
            self._wait(message.actor_id)
        self._kept[message.actor_id].append(message)

    def _wait(self, actor_id: bytes) -> None:
        is_last = not self._context.absent

        def go_on() -> None:
            if is_last:
                self._give_up(actor_id)
            elif actor_id in self._kept:
                self._wait(actor_id)

        self._context.later(EARLY_S, go_on)

    def _take(self, actor_id: bytes) -> list[messages.AddHold]:
        """Return the counts of an actor whose creator's request has come, and forget them."""
        return self._kept.pop(actor_id, [])

    def pass_on(self, actor: Actor) -> None:
        """Count what was kept, since the actor is known now."""
        for early in self._take(actor.actor_id):
            holder = self._context.find(early.process_id)
            if holder is not None and not holder.lost:
                add(self._context, actor, holder, early.tokens, weak=early.weak)

    def _give_up(self, actor_id: bytes) -> None:
        for message in self._take(actor_id):
            if message.tokens > 0:  # else the process has no handle any more
                self._context.tell(message.process_id, unknown(actor_id))
