"""The nodes of this machine, their actors and logs, as in `ray.util.state`. The command line uses it, too.

All functions ask a running node; none starts a node or a session. Any thread, any process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors.exceptions import NodeMissingError
from nbactors.local import stack_of_actor
from nbactors.local.access import discovery, sightings
from nbactors.local.access.control import ControlClient
from nbactors.local.wire import messages
from nbactors.version import __version__

if TYPE_CHECKING:
    from nbactors.local.access.reports import Report
    from nbactors.local.access.sightings import Sighting

__all__ = [
    "NodeMissingError",
    "actor_logs",
    "list_actors",
    "list_nodes",
    "node_status",
    "stack",
    "stop_node",
    "stop_nodes",
]

Filter = tuple[str, str, Any]


def list_actors(
    filters: Sequence[Filter] | None = None, limit: int = 100, detail: bool = False
) -> list[dict[str, Any]]:
    """Return a row for each actor that the node knows, in the order of creation, dead ones included.

    Follows Ray's `list_actors`. Empty if no node runs.

    Args:
        filters: `(key, "=" or "!=", value)` each; a row must meet all. Text is compared without regard to case.
        limit: The most rows to return.
        detail: Include `required_resources`, `death_cause`, `log_path` and `last_log_path`.

    Raises:
        ValueError: A filter names no key of the rows, or another operator.
    """
    actors, _ = _actor_rows()
    rows = [_row(actor) for actor in actors]
    for key, operator, value in filters or ():
        rows = [row for row in rows if _meets(row, key, operator, value)]
    return rows[:limit] if detail else [{key: row[key] for key in _BRIEF} for row in rows[:limit]]


def stack(actor: Any, timeout: float = 5.0) -> str:
    """Return the stacks of an actor's process as text: its calls, frames of user code, other threads, asyncio tasks.

    The process goes on meanwhile, and answers even while a method blocks. Needs no session.

    Args:
        actor: A handle, an id in hexadecimal digits, or a name.
        timeout: Seconds to wait for the answer.

    Raises:
        TimeoutError: No answer in time, since code in the process keeps the GIL.
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
    return stack_of_actor.of_actor(directory, found, timeout)


def _actor_rows() -> tuple[list[messages.ActorRow], str]:
    """Return the node's rows of actors, and its directory."""
    try:
        with ControlClient.find() as client:
            return _ask(client, "actors").actors, discovery.node_directory()
    except NodeMissingError:
        return [], ""


def node_status() -> dict[str, Any] | None:
    """Return the state of the node that sessions of this version use, None if none runs.

    Returns:
        `pid`, `directory`, `version`, `node_id`, `hostname`, `sessions` and `workers` (how many), `resources` and
        `available` (of the machine, by name), `actors` (rows of the living, as `list_actors(detail=True)` has).

    Raises:
        OSError: The node does not answer. `list_nodes` has a row for it all the same.
    """
    try:
        with ControlClient.find() as client:
            return _status(_ask(client, "status"), _ask(client, "available_resources").amounts)
    except NodeMissingError:
        return None


def list_nodes(everywhere: bool = False) -> list[dict[str, Any]]:
    """Return a row for each node of this user, of any version of nbactors, whether it answers or not.

    Sessions of different versions have a node each, and each node counts all the CPUs. Blocks for a few seconds where
    a node does not answer.

    Args:
        everywhere: Also nodes of other runtime directories than this process's (see NBACTORS_DIR).

    Returns:
        `pid`, `directory`, `version` and `protocol` (empty and 0 if not known), `since` (its start, in seconds since
        1970), and `state`: RUNNING; OTHER_PROTOCOL if its version is one whose actors this version cannot list; STOPPED
        by a signal; SILENT if it does not answer; CUT_OFF if its socket was removed; NO_NODE if another program listens
        there. `status` is as `node_status` returns it. Unless the node is RUNNING it is None, and `processes` has the
        `pid` and the `title` of each worker instead. `is_own` is True for the node that sessions of this version use.

    Raises:
        OSError: The runtime directory is unsafe.
    """
    from nbactors.local.access.reports import report  # noqa: PLC0415 - it takes psutil, which no session needs

    own = discovery.node_directory()
    found = [report(node) for node in _nodes(str(discovery.ensure_directory()), everywhere)]
    return [_node_row(node, own) for node in found if node is not None]


def stop_node(force: bool = False) -> bool:
    """End all nodes of the runtime directory, as `stop_nodes` does.

    Returns:
        False if no node ran.
    """
    return bool(stop_nodes(force))


def stop_nodes(force: bool = False, everywhere: bool = False) -> list[dict[str, Any]]:
    """End the user's nodes, of any version of nbactors, with the actors and tasks of all sessions.

    Blocks until they have ended: a few seconds, and up to half a minute for a hung node, which has to be killed.

    Args:
        force: Kill the actors, instead of letting them end gracefully for up to three seconds.
        everywhere: Also the nodes of other runtime directories than this process's (see NBACTORS_DIR).

    Returns:
        A row for each node: `pid`, `directory`, `version`, `protocol`, and `was_killed` if it did not end when asked.
        The pid is 0 if the node had crashed, no other one could be started, and its workers were ended.

    Raises:
        OSError: A node or a worker has not ended; the text tells which and why. All others have.
    """
    from nbactors.local.access import stopping  # noqa: PLC0415 - it takes psutil, which no session needs

    rows, problems = [], []
    for node in _nodes(discovery.located(), everywhere):
        try:
            was_killed = stopping.stop(node, force)
        except OSError as error:
            problems.append(str(error))
        else:
            known = {"pid": node.pid, "directory": node.directory, "version": node.version, "protocol": node.protocol}
            rows.append({**known, "was_killed": was_killed})
    if problems:
        raise OSError("; ".join(problems))
    home = discovery.located_node()
    if not rows and stopping.stop_without_node(home):
        rows.append(
            {
                "pid": 0,
                "directory": home,
                "version": __version__,
                "protocol": messages.PROTOCOL_VERSION,
                "was_killed": False,
            }
        )
    return rows


def _nodes(directory: str, everywhere: bool) -> list[Sighting]:
    nodes = sightings.within(directory)
    if everywhere:
        nodes += [node for node in sightings.everywhere() if node not in nodes]
    return nodes


def _node_row(found: Report, own: str) -> dict[str, Any]:
    node = found.node
    return {
        "pid": node.pid,
        "directory": node.directory,
        "version": node.version,
        "protocol": node.protocol,
        "since": found.since,
        "state": found.state,
        "is_own": os.path.realpath(node.directory) == os.path.realpath(own),
        "status": _status(found.status, found.available) if found.status is not None else None,
        "processes": [{"pid": pid, "title": title} for pid, title in found.workers],
    }


def _status(status: messages.Listing, available: dict[str, float]) -> dict[str, Any]:
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
        "actors": [_row(actor) for actor in status.actors],
    }


def actor_logs(name: str) -> list[dict[str, Any]]:
    """Return the actors that `name` may mean, each with the path of its log.

    Args:
        name: An actor's name, else the name of its class, else its process number, else the beginning of its id.

    Returns:
        Rows as of `list_actors(detail=True)`, the latest actor last. `log_path` is the path of a text file, empty
        before the first output of the actor's process; `last_log_path` that of the process before the last restart.

    Raises:
        NodeMissingError: No node runs, and logs live no longer than the node.
    """
    with ControlClient.find() as client:
        answer = client.request(messages.FetchLog(client.next_rid(), name))
    _check(answer)
    assert isinstance(answer, messages.Listing)
    return [_row(actor) for actor in answer.actors]


def _ask(client: ControlClient, what: str) -> messages.Listing:
    answer = client.request(messages.Query(client.next_rid(), what))
    _check(answer)
    assert isinstance(answer, messages.Listing)
    return answer


def _check(answer: messages.Control) -> None:
    if isinstance(answer, messages.Refused):
        raise ValueError(answer.text) if answer.kind == "value" else RuntimeError(answer.text)


_BRIEF = ("actor_id", "class_name", "state", "job_id", "name", "ray_namespace", "pid", "is_detached")


def _row(actor: messages.ActorRow) -> dict[str, Any]:
    paths = {"log_path": actor.log_path, "last_log_path": actor.last_log_path}
    return {**actor.shown(), **{key: path if os.path.exists(path) else "" for key, path in paths.items()}}


def _meets(row: dict[str, Any], key: str, operator: str, value: Any) -> bool:
    if key not in row:
        raise ValueError(f"no actor can be filtered by {key!r}: the keys are {', '.join(sorted(row))}")
    if operator not in ("=", "!="):
        raise ValueError(f"a filter's operator is '=' or '!=', not {operator!r}")
    return (str(row[key]).lower() == str(value).lower()) == (operator == "=")
