"""`move` takes named actors, with their state, from this machine to a Ray cluster."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import Any

from nbactors import engine
from nbactors.actor import ActorHandle
from nbactors.api import get
from nbactors.definitions.actor_class import actor_meta
from nbactors.definitions.hooks import RESTORE, SAVE
from nbactors.engine import Engine
from nbactors.options import ActorOptions
from nbactors.options.engine_choice import engine_name
from nbactors.options.init_keywords import init_options
from nbactors.upkeep.asking import check_hook, finish


def move(address: str, names: Sequence[str] | None = None, *, timeout: float = 60.0) -> dict[str, ActorHandle[Any]]:
    """Move named actors of this session, with their state, to a Ray cluster, and go on there. Blocks. Any thread.

    Each actor's `__nbactors_save__(self)` returns its state. On the cluster an actor of the same class, name and
    lifetime is made, whose `__nbactors_restore__(self, state)` gets it. The constructor does not run again: the hook
    finds an object without attributes. When all are there, this session ends with its other actors, and the new one is
    on the cluster. If anything fails before, nothing has changed here. Handles and references of the old session end
    with it. Ray has no such verb. Example: `library = move("head.example:6379", ["library"])["library"]`.

    Args:
        address: The address of the cluster; "auto" for the one that this machine belongs to.
        names: The names of the actors in this session's namespace; None for all of them.
        timeout: Seconds for each actor to save its state, and to take it.

    Returns:
        The new handles by name.

    Raises:
        RuntimeError: The session is on a cluster already, or none is open.
        ValueError: There is no such actor; or the address is not that of a cluster.
        TypeError: A class lacks one of the two methods.
        GetTimeoutError, TimeoutError: An actor has not saved or taken its state in time.
        RayTaskError, ActorDiedError: One of these methods has raised an error.
        RaySystemError: The cluster cannot be joined.
    """
    here = engine.running()
    if here is None or here.name != "local":
        raise RuntimeError("move() takes actors of a session on this machine to a cluster, and no such session is open")
    engine_name("ray", address)
    handles = _named(here, names)
    for handle in handles.values():
        check_hook(handle, SAVE)
        check_hook(handle, RESTORE)
    rows = {row["actor_id"]: row for row in here.list_actors()}
    given = {"namespace": here.namespace, "engine": "ray"}
    there = engine.beside("ray", init_options(address, given, {}))
    try:
        moved = {
            name: _moved(here, there, name, handle, rows[handle._link.actor_id.hex()], timeout)
            for name, handle in handles.items()
        }
    except BaseException:
        there.shutdown()
        raise
    engine.replace(there)
    for handle in handles.values():
        here.kill(handle._link, True)
    here.shutdown()
    return moved


def _named(here: Engine, names: Sequence[str] | None) -> dict[str, ActorHandle[Any]]:
    if isinstance(names, str):
        raise TypeError(f"names must be a list of names: [{names!r}]")
    known = [name for _, name in here.list_named_actors(False)]
    for name in names or ():
        if name not in known:
            raise ValueError(
                f"there is no actor {name!r} in the namespace {here.namespace!r}; named actors there: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
    return {name: ActorHandle(*here.get_actor(name, None)) for name in (known if names is None else names)}


def _moved(
    here: Engine, there: Engine, name: str, handle: ActorHandle[Any], row: dict[str, Any], timeout: float
) -> ActorHandle[Any]:
    state = finish(here.call_alone(handle._link, SAVE, (timeout,)), timeout)
    cls = get(handle.__ray_call__.remote(type), timeout=timeout)
    held = dict(row["required_resources"])
    options = ActorOptions.parse(
        {
            "name": name,
            "lifetime": "detached" if row["is_detached"] else None,
            "num_cpus": held.pop("CPU", 0),
            "num_gpus": held.pop("GPU", 0),
            "memory": held.pop("memory", None),
            "resources": held,
        }
    )
    meta = actor_meta(cls)
    made: ActorHandle[Any] = ActorHandle(
        *there.create_actor(meta, _Revived(cls), options, (state,), {})  # type: ignore[arg-type] # makes one
    )
    there.get([made.__ray_ready__.remote()], timeout)
    return made


class _Revived:
    """Stands for a class, and makes an object of it from a saved state, without its constructor."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self.__name__ = cls.__name__
        self.__module__ = cls.__module__

    def __call__(self, state: Any) -> Any:
        cls: Any = self._cls
        instance = cls.__new__(cls)
        outcome = getattr(instance, RESTORE)(state)
        if inspect.iscoroutine(outcome):
            asyncio.run(outcome)
        return instance
