"""Who has handles of an actor. An actor that nobody has a handle of is out of scope."""

from __future__ import annotations

from nbactors.local.node.rules import deaths
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.records import Actor, Process
from nbactors.local.wire import messages


def unknown(actor_id: bytes) -> messages.ActorDown:
    """Return what is said of an actor that there is no record of."""
    return messages.ActorDown(actor_id, "unknown", deaths.UNKNOWN, "", "", 0)


def add(context: Context, actor: Actor, process: Process, tokens: int, asks: bool = False) -> None:
    """Count handles of `process`, and tell it where the actor is if these are its first or it wants to know."""
    if actor.announced and actor.down is not None:
        context.send(process, actor.down)
        return
    is_new = process.process_id not in actor.holders
    actor.holders[process.process_id] = actor.holders.get(process.process_id, 0) + tokens
    process.holds.add(actor.actor_id)
    if is_new or asks:
        tell(context, actor, process)


def tell(context: Context, actor: Actor, process: Process) -> None:
    """Tell a process where an actor is, or that it is dead; nothing, if it is not up yet."""
    if actor.announced and actor.down is not None:
        context.send(process, actor.down)
    elif actor.process_id:
        context.send(process, messages.ActorUp(actor.actor_id, actor.process_id, actor.pid))


def release(actor: Actor, process: Process, tokens: int) -> bool:
    """Count `tokens` handles of `process` less.

    Returns:
        Whether these were the last ones of all.
    """
    had = actor.holders.get(process.process_id)
    if had is None:
        return False
    if had > tokens:
        actor.holders[process.process_id] = had - tokens
        return False
    del actor.holders[process.process_id]
    process.holds.discard(actor.actor_id)
    return not actor.holders


def tell_up(context: Context, actor: Actor) -> None:
    """Tell all holders where the actor is."""
    up = messages.ActorUp(actor.actor_id, actor.process_id, actor.pid)
    for process_id in actor.holders:
        context.tell(process_id, up)


def tell_down(context: Context, actor: Actor) -> None:
    """Tell all holders that the actor is dead, once; nobody holds it then."""
    if actor.announced or actor.down is None:
        return
    actor.announced = True
    for process_id in actor.holders:
        context.tell(process_id, actor.down)
        process = context.processes.get(process_id)
        if process is not None:
            process.holds.discard(actor.actor_id)
    actor.holders.clear()
