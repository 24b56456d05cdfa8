"""`checkpoint` saves an actor's state, and `restore` gives the saved state to an actor."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nbactors import engine
from nbactors.actor import ActorHandle
from nbactors.api import get
from nbactors.definitions.hooks import RESTORE, SAVE
from nbactors.exceptions.user_warning import warn_user
from nbactors.object_ref import ObjectRef
from nbactors.upkeep import checkpoint_store
from nbactors.upkeep.asking import check_handle, check_hook, finish
from nbactors.upkeep.checkpoint_store import BadCheckpointError, CheckpointStore


@dataclass(frozen=True)
class Checkpoint:
    """A saved state of an actor. Ray has no checkpoints.

    Attributes:
        class_name: Name of the actor's class.
        version: Number of the checkpoint, counted from 1 for each actor.
        saved_at: Time of the checkpoint, in UTC.
        path: The checkpoint's file; None for an actor that is not detached, whose checkpoints are kept in memory.
    """

    class_name: str
    version: int
    saved_at: datetime
    path: Path | None
    _state: ObjectRef[Any] | None = field(default=None, repr=False, compare=False)

    def _load(self) -> Any:
        """Return the state. A restarted actor calls this, which has unpickled the description of its checkpoint.

        Raises:
            ValueError: The checkpoint is damaged.
            OSError: The file cannot be read.
            ObjectLostError: The session that has kept the checkpoint has ended.
        """
        return _state_of(self) if self._state is None else get(self._state)


def checkpoint(handle: ActorHandle[Any], *, timeout: float = 60.0) -> Checkpoint:
    """Save the state that the actor's method `__nbactors_save__(self)` returns. Any thread; blocks it.

    The state of a detached actor is written to disk, where it outlives the node and a restart of the machine. The state
    of another actor is kept in this session. The latest three checkpoints of an actor are kept. Ray has no such verb.
    When the actor restarts after a crash (`max_restarts`), it gets the state of its last checkpoint: its process calls
    `__nbactors_restore__(self, state)` after the constructor. If that raises an error, the actor is dead.
    Example: `saved = checkpoint(model)`.

    Args:
        handle: The actor.
        timeout: Limit in seconds, including the actor's earlier calls.

    Raises:
        TypeError: The actor's class lacks the method, or the state cannot be pickled.
        GetTimeoutError, TimeoutError: The state was not saved in time.
        RayTaskError: The method has raised an error.
        PermissionError: Other users could replace the file in its directory.
        OSError: The file cannot be written.
    """
    check_handle(handle, "checkpoint")
    check_hook(handle, SAVE)
    current = engine.current()
    ref = current.call_alone(handle._link, SAVE, (timeout,))
    state = finish(ref, timeout)
    class_name = handle._meta.class_name
    place = _place_on_disk(current, handle)
    if place is None:
        kept = current.checkpoints.setdefault(handle._link.actor_id, [])
        version = kept[-1].version + 1 if kept else 1
        made = Checkpoint(class_name, version, datetime.now(timezone.utc), None, ref)
        kept.append(made)
        del kept[: -checkpoint_store.KEPT]
    else:
        made = _described(place.write(class_name, state))
    current.note_checkpoint(handle._link, made)
    return made


def restore(handle: ActorHandle[Any], checkpoint: Checkpoint | None = None, *, timeout: float = 60.0) -> Checkpoint:
    """Pass a saved state to the actor's method `__nbactors_restore__(self, state)`. Any thread; blocks it.

    Example: `restore(model)`. Ray has no such verb.

    Args:
        handle: The actor that has saved the state, or a later actor of the same name.
        checkpoint: None for the actor's latest readable checkpoint.
        timeout: Limit in seconds, including the actor's earlier calls.

    Returns:
        The restored checkpoint.

    Raises:
        LookupError: There is no checkpoint of this actor.
        TypeError: The actor's class lacks the method.
        ValueError: The checkpoint is of another class, or is damaged.
        PermissionError: Other users could have written the file. Nothing of it was unpickled.
        GetTimeoutError, TimeoutError: The state was not restored in time.
        RayTaskError: The method has raised an error.
    """
    check_handle(handle, "restore")
    check_hook(handle, RESTORE)
    current = engine.current()
    if checkpoint is None:
        checkpoint, state = _latest(current, handle)
    else:
        state = _state_of(checkpoint)
    class_name = handle._meta.class_name
    if checkpoint.class_name != class_name:
        raise ValueError(f"that checkpoint is of {checkpoint.class_name}, and the actor is {class_name}")
    finish(current.call_alone(handle._link, RESTORE, (state, timeout)), timeout)
    return checkpoint


def _latest(current: Any, handle: ActorHandle[Any]) -> tuple[Checkpoint, Any]:
    place = _place_on_disk(current, handle)
    for path in place.paths() if place is not None else ():
        try:
            made = _described(path)
            return made, _state_of(made)
        except PermissionError:  # silently using an older checkpoint would hide that another user could have written
            raise
        except (BadCheckpointError, OSError, ValueError) as error:
            warn_user(f"{error}; the one before is taken, if there is one")
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
    """Return the store of a detached actor's checkpoints, None for an actor that is not detached."""
    wanted = handle._link.actor_id.hex()
    for row in current.list_actors():
        if row["actor_id"] == wanted and row["is_detached"]:
            return CheckpointStore(row["ray_namespace"], row["name"])
    return None
