"""Verbs that only nbactors has: `update` a living actor's class, `checkpoint` its state and `restore` it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nbactors import checkpoint_store, engine
from nbactors.actor import ActorClass, ActorHandle
from nbactors.actor_class_check import actor_meta, check_group
from nbactors.api import cancel, get
from nbactors.checkpoint_store import BadCheckpointError, CheckpointStore
from nbactors.exceptions import GetTimeoutError
from nbactors.meta import ActorMeta
from nbactors.object_ref import ObjectRef
from nbactors.option_checks import kind
from nbactors.renewal import RESTORE, SAVE, SWAP, missing_hook

_ANSWER_S = 5.0
"""What the answer may take beyond the time that the actor is given."""


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
    _check_handle(handle, "update")
    wrapped = cls.__wrapped__ if isinstance(cls, ActorClass) else cls
    if not isinstance(wrapped, type):
        raise TypeError(f"update() takes the new class, or an actor class. Got {kind(cls)}")
    link = handle._link
    meta = _changed(link.latest_meta(handle._meta), wrapped)
    current = engine.current()
    _finish(current.call_alone(link, SWAP, (wrapped, timeout)), timeout)
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


@dataclass(frozen=True)
class Checkpoint:
    """A state that was saved.

    Attributes:
        class_name: Of the actor.
        version: Counts the actor's checkpoints from 1.
        saved_at: When.
        path: The file that holds it; None for that of an actor that ends with the session, which is kept in memory.
    """

    class_name: str
    version: int
    saved_at: datetime
    path: Path | None
    _state: ObjectRef[Any] | None = field(default=None, repr=False, compare=False)


def checkpoint(handle: ActorHandle[Any], *, timeout: float = 60.0) -> Checkpoint:
    """Have an actor give its state by `__nbactors_save__(self)`, and keep it.

    A detached actor's is written to disk, where it outlives the node and a restart of the machine; the latest three are
    kept. That of any other is kept in this session.

    Args:
        handle: The actor.
        timeout: Seconds that saving may take, what the actor has to do before included.

    Raises:
        TypeError: Its class does not say how, or the state cannot be pickled.
        GetTimeoutError, TimeoutError: It was not done in time.
        RayTaskError: The method has raised.
        PermissionError: Others than this user could replace the file in its directory.
        OSError: The file cannot be written.
    """
    _check_handle(handle, "checkpoint")
    _check_hook(handle, SAVE)
    current = engine.current()
    ref = current.call_alone(handle._link, SAVE, (timeout,))
    state = _finish(ref, timeout)
    class_name = handle._meta.class_name
    place = _place_on_disk(current, handle)
    if place is None:
        kept = current.checkpoints.setdefault(handle._link.actor_id, [])
        version = kept[-1].version + 1 if kept else 1
        made = Checkpoint(class_name, version, datetime.now(timezone.utc), None, ref)
        kept.append(made)
        del kept[: -checkpoint_store.KEPT]
        return made
    path = place.write(class_name, state)
    return _described(path)


def restore(handle: ActorHandle[Any], checkpoint: Checkpoint | None = None, *, timeout: float = 60.0) -> Checkpoint:
    """Give an actor a state that was saved, by its `__nbactors_restore__(self, state)`.

    Args:
        handle: The actor: the one that has saved it, or another one of that name after the first has ended.
        checkpoint: None for the latest of this actor that can be read.
        timeout: As of `checkpoint`.

    Returns:
        The checkpoint that was taken.

    Raises:
        LookupError: There is none.
        TypeError: Its class does not say how.
        ValueError: It is a checkpoint of another class, or is damaged.
        PermissionError: Others than this user could have written it; nothing of it was read.
        GetTimeoutError, TimeoutError: It was not done in time.
        RayTaskError: The method has raised.
    """
    _check_handle(handle, "restore")
    _check_hook(handle, RESTORE)
    current = engine.current()
    if checkpoint is None:
        checkpoint, state = _latest(current, handle)
    else:
        state = _state_of(checkpoint)
    class_name = handle._meta.class_name
    if checkpoint.class_name != class_name:
        raise ValueError(f"that checkpoint is of {checkpoint.class_name}, and the actor is {class_name}")
    _finish(current.call_alone(handle._link, RESTORE, (state, timeout)), timeout)
    return checkpoint


def _latest(current: Any, handle: ActorHandle[Any]) -> tuple[Checkpoint, Any]:
    place = _place_on_disk(current, handle)
    for path in place.paths() if place is not None else ():
        try:
            made = _described(path)
            return made, _state_of(made)
        except PermissionError:  # somebody else's: to take an older one would hide it
            raise
        except (BadCheckpointError, OSError, ValueError) as error:
            warnings.warn(f"{error}; the one before is taken, if there is one", UserWarning, stacklevel=3)
    kept = current.checkpoints.get(handle._link.actor_id)
    if kept:
        return kept[-1], _state_of(kept[-1])
    raise LookupError(
        f"there is no checkpoint of {handle!r}: nbactors.checkpoint(handle) makes one. Those of detached actors are "
        f"found by namespace and name, in {checkpoint_store.directory()}"
    )


def _state_of(checkpoint: Checkpoint) -> Any:
    if checkpoint._state is not None:
        return checkpoint._state
    assert checkpoint.path is not None
    try:
        return checkpoint_store.read(checkpoint.path)[1]
    except BadCheckpointError as error:
        raise ValueError(str(error)) from None


def _described(path: Path) -> Checkpoint:
    header = checkpoint_store.read_header(path)
    saved_at = datetime.fromtimestamp(header["time"], timezone.utc)
    return Checkpoint(header["class"], header["version"], saved_at, path)


def _place_on_disk(current: Any, handle: ActorHandle[Any]) -> CheckpointStore | None:
    """Return where a detached actor's checkpoints are kept, None for any other."""
    wanted = handle._link.actor_id.hex()
    for row in current.list_actors():
        if row["actor_id"] == wanted and row["is_detached"]:
            return CheckpointStore(row["ray_namespace"], row["name"])
    return None


def _check_handle(handle: Any, verb: str) -> None:
    if not isinstance(handle, ActorHandle):
        raise TypeError(f"{verb}() takes a handle. Got {kind(handle)}")


def _check_hook(handle: ActorHandle[Any], name: str) -> None:
    if name not in handle._link.latest_meta(handle._meta).methods:
        raise missing_hook(handle._meta.class_name, name)


def _finish(ref: ObjectRef[Any], timeout: float) -> Any:
    """Wait for a call that runs alone; withdraw it if it is not done in time."""
    try:
        return get(ref, timeout=timeout + _ANSWER_S)
    except GetTimeoutError:
        cancel(ref)
        raise
