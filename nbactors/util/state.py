"""What runs on this machine: the node, its actors and their logs. As `ray.util.state`; the command line uses it too.

All functions ask the node that runs; none starts a node or a session. May be called on any thread and in any process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nbactors.local import discovery
from nbactors.local.client import stacks
from nbactors.local.control import ControlClient, NodeMissingError
from nbactors.local.wire import messages

__all__ = ["NodeMissingError", "actor_logs", "list_actors", "node_status", "stack", "stop_node"]

_STOP_TIMEOUT_S = 15.0

Filter = tuple[str, str, Any]


def list_actors(
    filters: Sequence[Filter] | None = None, limit: int = 100, detail: bool = False
) -> list[dict[str, Any]]:
    """Return a row for each actor that the node knows, in the order of creation, dead ones included.

    Follows Ray's `list_actors`. Empty if no node runs.

    Args:
        filters: `(key, "=" or "!=", value)` each; a row must meet all. Text is compared without regard to case.
        limit: At most so many rows.
        detail: Include `required_resources`, `death_cause` and `log_path`.

    Raises:
        ValueError: A filter names no key of the rows, or another operator.
    """
    try:
        listing = _listing("actors")
    except NodeMissingError:
        return []
    rows = [_row(actor, detail=True) for actor in listing.actors]
    for key, operator, value in filters or ():
        rows = [row for row in rows if _meets(row, key, operator, value)]
    return [row if detail else _brief(row) for row in rows[:limit]]


def stack(actor: Any, timeout: float = 5.0) -> str:
    """Return what an actor's process does now: its calls, their user code's frames, other threads, asyncio tasks.

    The process goes on meanwhile, and answers also while a method blocks. Needs no session.

    Args:
        actor: A handle, an id in hexadecimal digits, or a name.
        timeout: Seconds to wait for the answer.

    Raises:
        TimeoutError: No answer in time: code in the process keeps the GIL.
        RayActorError: The actor is dead.
        ValueError: There is no such actor, several have that name, or it has no process yet.
    """
    rows, directory = _actor_rows()
    if isinstance(actor, str):
        found = [row for row in rows if actor in (row.actor_id.hex(), row.name)]
        found = [row for row in found if row.state != "DEAD"] or found[-1:]
        if len(found) > 1:
            ids = ", ".join(row.actor_id.hex() for row in found)
            raise ValueError(f"several actors are named {actor!r}; give one of their ids: {ids}")
        if not found:
            raise ValueError(f"there is no actor with the id or name {actor!r}; list_actors() tells which there are")
    else:
        link = getattr(actor, "_link", None)
        if link is None:
            raise TypeError(f"stack() takes a handle, an actor's id or its name. Got: {actor!r:.80}")
        found = [row for row in rows if row.actor_id == link.actor_id]
    return stacks.of_actor(directory, found, timeout)


def _actor_rows() -> tuple[list[messages.ActorRow], str]:
    """Return what the node knows of actors, and its directory."""
    try:
        with ControlClient.find() as client:
            return _ask(client, "actors").actors, discovery.ensure_directory()
    except NodeMissingError:
        return [], ""


def node_status() -> dict[str, Any] | None:
    """Return what there is to say about the node, None if none runs.

    Returns:
        `pid`, `directory`, `version`, `node_id`, `hostname`, `sessions` and `workers` (how many), `resources` and
        `available` (of the machine, by name), `actors` (rows of the living, as `list_actors(detail=True)` has).
    """
    try:
        with ControlClient.find() as client:
            status = _ask(client, "status")
            available = _ask(client, "available_resources").amounts
    except NodeMissingError:
        return None
    facts = status.facts
    return {
        "pid": int(facts["pid"]),
        "directory": facts["directory"],
        "version": facts["version"],
        "node_id": facts["node_id"],
        "hostname": facts["hostname"],
        "sessions": int(facts["sessions"]),
        "workers": int(facts["workers"]),
        "resources": status.amounts,
        "available": available,
        "actors": [_row(actor, detail=True) for actor in status.actors],
    }


def stop_node(force: bool = False) -> bool:
    """End all sessions' actors and tasks, and the node. Blocks until that is done, a few seconds at most.

    Args:
        force: Kill the actors, instead of letting them end gracefully for up to three seconds.

    Returns:
        False if no node ran.

    Raises:
        TimeoutError: The node does not answer.
    """
    try:
        with ControlClient.find() as client:
            answer = client.request(messages.Stop(client.next_rid(), force), _STOP_TIMEOUT_S)
            _check(answer)
            _wait_until_gone(client)
    except NodeMissingError:
        return False
    return True


def actor_logs(name: str) -> list[dict[str, Any]]:
    """Return the actors that `name` may mean, each with the path of its log.

    Args:
        name: An actor's name, else its class's, else its process's number, else the beginning of its id.

    Returns:
        Rows as `list_actors(detail=True)` has, the latest actor last. `log_path` is the path of a text file, empty
        if the actor never had a process; the file does not exist before something was printed.

    Raises:
        NodeMissingError: No node runs, and logs live no longer than the node.
    """
    with ControlClient.find() as client:
        answer = client.request(messages.FetchLog(client.next_rid(), name))
    _check(answer)
    assert isinstance(answer, messages.Listing)
    return [_row(actor, detail=True) for actor in answer.actors]


def _listing(what: str) -> messages.Listing:
    with ControlClient.find() as client:
        return _ask(client, what)


def _ask(client: ControlClient, what: str) -> messages.Listing:
    answer = client.request(messages.Query(client.next_rid(), what))
    _check(answer)
    assert isinstance(answer, messages.Listing)
    return answer


def _check(answer: messages.Control) -> None:
    if isinstance(answer, messages.Refused):
        raise ValueError(answer.text) if answer.kind == "value" else RuntimeError(answer.text)


def _wait_until_gone(client: ControlClient) -> None:
    """Wait until the node has closed its end, which it does last."""
    try:
        client.receive(messages.Done, timeout_s=_STOP_TIMEOUT_S)
    except NodeMissingError:
        pass


_BRIEF = ("actor_id", "class_name", "state", "job_id", "name", "ray_namespace", "pid", "is_detached")


def _row(actor: messages.ActorRow, detail: bool) -> dict[str, Any]:
    row = {
        "actor_id": actor.actor_id.hex(),
        "class_name": actor.class_name,
        "state": actor.state,
        "job_id": actor.job_id.hex(),
        "name": actor.name,
        "ray_namespace": actor.namespace,
        "pid": actor.pid,
        "is_detached": actor.detached,
        "required_resources": actor.resources,
        "death_cause": actor.death_cause,
        "log_path": actor.log_path if os.path.exists(actor.log_path) else "",
    }
    return row if detail else _brief(row)


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in _BRIEF}


def _meets(row: dict[str, Any], key: str, operator: str, value: Any) -> bool:
    if key not in row:
        raise ValueError(f"no actor can be filtered by {key!r}: the keys are {', '.join(sorted(row))}")
    if operator not in ("=", "!="):
        raise ValueError(f"a filter's operator is '=' or '!=', not {operator!r}")
    return (str(row[key]).lower() == str(value).lower()) == (operator == "=")
