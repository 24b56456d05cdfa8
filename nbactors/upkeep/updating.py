"""`update` gives a living actor a changed class."""

from __future__ import annotations

from typing import Any

from nbactors import engine
from nbactors.actor import ActorClass, ActorHandle
from nbactors.definitions.actor_class import actor_meta, check_group
from nbactors.definitions.hooks import SWAP
from nbactors.definitions.metadata import ActorMeta
from nbactors.exceptions import RaySystemError
from nbactors.options.checks import kind
from nbactors.upkeep.asking import check_handle, finish


def update(handle: ActorHandle[Any], cls: type | ActorClass[Any], *, timeout: float = 30.0) -> None:
    """Give a living actor a changed class. The actor keeps its state; its later calls and restarts run the new code.

    The update waits for its turn among the actor's calls. If the actor runs several calls at once, the update waits
    until the running calls have ended, and later calls wait for the update. After the change the actor calls the hook
    `__nbactors_update__(self, old_class)`, if the class has it, to change attributes; if the hook raises an error, the
    actor gets its old class back. References stay valid. `handle` knows the new methods at once, and other handles when
    they are created or looked up anew. Any thread; blocks it. Example: `update(counter, Counter)`. Ray has no `update`.

    Args:
        handle: The actor.
        cls: The changed class, or an actor class of it. Its name must be that of the old class.
        timeout: Limit in seconds.

    Raises:
        TypeError, ValueError: The actor cannot get this class; the message says why. Nothing was changed.
        GetTimeoutError, TimeoutError: The update was not done in time. Nothing was changed.
        RayTaskError: The hook has raised an error. The actor has its old class.
        RayActorError: The actor is dead.
        OSError: The class cannot be written to the file that a restart reads. Nothing was changed.
    """
    check_handle(handle, "update")
    wrapped = cls.__wrapped__ if isinstance(cls, ActorClass) else cls
    if not isinstance(wrapped, type):
        raise TypeError(f"update() takes the new class, or an actor class. Got {kind(cls)}")
    link = handle._link
    meta = _changed(link.latest_meta(handle._meta), wrapped)
    current = engine.current()

    def swap(draft: str) -> bool:
        return bool(finish(current.call_alone(link, SWAP, (wrapped, timeout, draft)), timeout))

    current.update_class(link, wrapped, meta, swap)
    handle._update(meta)


def living(cls: ActorClass[Any]) -> list[ActorHandle[Any]]:
    """Return handles to the living actors whose class has the name of `cls`. Any thread.

    These are the session's actors and the detached actors of its namespace, whatever version of the class they run. On
    a Ray cluster those are left out that have no name and to which this process has no handle.
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
            try:
                link = current.link_of(bytes.fromhex(row["actor_id"]))
            except RaySystemError:  # on a cluster another process has made it, and it has no name
                continue
            found.append(ActorHandle(link, link.latest_meta(getattr(link, "meta", None) or known)))
    return found


def _changed(old: ActorMeta, cls: type) -> ActorMeta:
    """Return the actor's metadata with the new class. Raise ValueError for a change that needs a new process."""
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
    return new._replace(
        groups=old.groups,
        in_order=old.in_order,
        max_pending_calls=old.max_pending_calls,
        max_task_retries=old.max_task_retries,
    )
