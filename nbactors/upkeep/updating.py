"""`update` makes a living actor one of another class."""

from __future__ import annotations

from typing import Any

from nbactors import engine
from nbactors.actor import ActorClass, ActorHandle
from nbactors.definitions.actor_class import actor_meta, check_group
from nbactors.definitions.hooks import SWAP
from nbactors.definitions.metadata import ActorMeta
from nbactors.options.checks import kind
from nbactors.upkeep.asking import check_handle, finish


def update(handle: ActorHandle[Any], cls: type | ActorClass[Any], *, timeout: float = 30.0) -> None:
    """Make a living actor one of another class: it keeps its state, and its calls run the new code from now on.

    Happens between two calls, in the call's turn; in an actor that runs several at once, new ones wait until those that
    run have ended. Then the class's hook `__nbactors_update__(self, old_class)` is called, if it has one, to change
    attributes; if it raises, the actor stays what it was. References stay valid, and this handle knows the new methods
    at once; other handles do when they are made or looked up anew.

    Args:
        handle: The actor.
        cls: The new class, or an actor class.
        timeout: Seconds until it must be done.

    Raises:
        TypeError, ValueError: The actor cannot become that; the message says why. Nothing was changed.
        GetTimeoutError, TimeoutError: It was not done in time. Nothing was changed.
        RayTaskError: The hook has raised. The actor has its old class.
        RayActorError: The actor is dead.
    """
    check_handle(handle, "update")
    wrapped = cls.__wrapped__ if isinstance(cls, ActorClass) else cls
    if not isinstance(wrapped, type):
        raise TypeError(f"update() takes the new class, or an actor class. Got {kind(cls)}")
    link = handle._link
    meta = _changed(link.latest_meta(handle._meta), wrapped)
    current = engine.current()
    finish(current.call_alone(link, SWAP, (wrapped, timeout)), timeout)
    current.publish_meta(link, meta)
    handle._update(meta)


def living(cls: ActorClass[Any]) -> list[ActorHandle[Any]]:
    """Return handles to the actors of a class's name that live: this session's, and the namespace's detached ones.

    Whatever version of the class they run, and whoever else has handles to them.
    """
    current = engine.running()
    if current is None:
        return []
    job_id = current.runtime_facts().job_id.hex()
    found: list[ActorHandle[Any]] = []
    known = actor_meta(cls.__wrapped__)
    for row in current.list_actors():
        is_ours = row["job_id"] == job_id or (row["is_detached"] and row["ray_namespace"] == current.namespace)
        if row["class_name"] == known.class_name and row["state"] != "DEAD" and is_ours:
            link = current.link_of(bytes.fromhex(row["actor_id"]))
            found.append(ActorHandle(link, link.latest_meta(getattr(link, "meta", None) or known)))
    return found


def _changed(old: ActorMeta, cls: type) -> ActorMeta:
    """Return what handles know of an actor once it has the new class; refuse what cannot be changed in a process."""
    new = actor_meta(cls)
    what = f"a living {old.class_name} cannot be updated"
    if new.class_name != old.class_name:
        raise ValueError(f"{what} to {new.class_name}: that is another class. Give it the same name, if it is the same")
    if new.is_async != old.is_async:
        before, after = ("an asyncio", "a synchronous") if old.is_async else ("a synchronous", "an asyncio")
        raise ValueError(
            f"{what}: it was {before} actor and would become {after} one, which runs its calls in another way. "
            "Create a new actor"
        )
    for method in new.methods.values():
        check_group(method.group, old.groups, f"{new.class_name}.{method.name}")
    return new._replace(groups=old.groups, in_order=old.in_order, max_pending_calls=old.max_pending_calls)
