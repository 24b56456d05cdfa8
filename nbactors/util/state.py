"""The nodes of this machine, their actors, calls and logs, as in `ray.util.state`. The command line uses it, too.

All functions ask a running node; none starts a node or a session. They block. Any thread, any process. In a session on
a Ray cluster they ask the cluster instead; docs/scale.md tells what they know there, and which of them are refused.

The functions that list take Ray's arguments. `address`, `raise_on_missing_output` and `_explain` change nothing: there
is one node, and it knows everything. `filters` are `(key, "=" or "!=", value)` each; a row must meet all, and text
is compared without regard to case. `limit` is the most rows to return, `timeout` the most seconds to wait, and with
`detail` rows have more columns. A row is a dict whose keys are attributes, too. A listing is a list with `as_table()`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from nbactors import engine
from nbactors.engine.observer import Following, TaskChanges
from nbactors.exceptions import NodeMissingError
from nbactors.exceptions.user_warning import warn_user
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.util.calls import call_id
from nbactors.util.node_logs import get_log, list_logs
from nbactors.util.rows import Filter, Row, Rows, chosen

__all__ = [
    "Following",
    "NodeMissingError",
    "StateApiClient",
    "TaskChanges",
    "actor_logs",
    "follow",
    "get_actor",
    "get_job",
    "get_log",
    "get_node",
    "get_objects",
    "get_placement_group",
    "get_task",
    "get_worker",
    "inspect_actor",
    "list_actors",
    "list_cluster_events",
    "list_jobs",
    "list_logs",
    "list_nodes",
    "list_objects",
    "list_placement_groups",
    "list_runtime_envs",
    "list_tasks",
    "list_workers",
    "node_status",
    "stack",
    "stop_node",
    "stop_nodes",
    "summarize_actors",
    "summarize_objects",
    "summarize_tasks",
]

TIMEOUT_S = 30
"""Seconds to wait for an answer, as in Ray."""

MANY = 1_000_000
"""More rows than a node keeps."""

_ACTOR = ("actor_id", "class_name", "state", "job_id", "name", "ray_namespace", "pid", "is_detached")
_TASK = (
    "task_id",
    "attempt_number",
    "name",
    "state",
    "job_id",
    "actor_id",
    "type",
    "func_or_class_name",
    "parent_task_id",
    "node_id",
    "worker_id",
    "worker_pid",
    "error_type",
)
_GROUP = ("placement_group_id", "name", "creator_job_id", "state")
_OBJECT = ("object_id", "object_size", "task_status", "reference_type", "call_site", "type", "pid", "ip")
_WORKER = ("worker_id", "is_alive", "worker_type", "exit_type", "node_id", "ip", "pid")


# ---------------------------------------------------------------------------------------------------------- listing


def list_actors(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = TIMEOUT_S,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
    *,
    ended_sessions: bool = False,
) -> Rows:
    """Return a row for each actor that the node knows, in the order of creation, dead ones included.

    Follows Ray's `list_actors`. Empty if no node runs. For the arguments see the top of this module.

    Args:
        address: See the top of this module.
        filters: See the top of this module.
        limit: See the top of this module.
        timeout: See the top of this module.
        detail: See the top of this module.
        raise_on_missing_output: See the top of this module.
        ended_sessions: Also the dead actors of sessions that have ended.

    Returns:
        Rows with `actor_id`, `class_name`, `state`, `job_id`, `name`, `ray_namespace`, `pid` and `is_detached`; with
        `detail` also `required_resources`, `death_cause`, `num_restarts`, `worker_id`, `log_path` and `last_log_path`.

    Raises:
        ValueError: A filter names no key of the rows, or another operator.

    Example:
        list_actors(filters=[("state", "=", "ALIVE")])
    """
    rows = engine.observe().actors(timeout)
    shown = [row for row in rows if ended_sessions or row["has_session"] or row["state"] != "DEAD"]
    return chosen(shown, filters, limit, None if detail else _ACTOR, "actor")


def list_tasks(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = TIMEOUT_S,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> Rows:
    """Return a row for each call that the node knows: tasks, calls of methods, and constructions of actors.

    Follows Ray's `list_tasks`. The node learns of a call half a second after it has begun to wait or run, or has ended.
    It keeps the latest 10,000 ended calls of a session. Of more than 500 short calls of one process in a second, the
    others are only counted; see `summarize_tasks`. For the arguments see the top of this module.

    Returns:
        Rows in the order of their last changes, with Ray's columns; `state` is one of PENDING_ARGS_AVAIL,
        PENDING_NODE_ASSIGNMENT, SUBMITTED_TO_WORKER, PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY, RUNNING,
        RUNNING_IN_RAY_GET, RUNNING_IN_RAY_WAIT, FINISHED and FAILED. With `detail` also `waits_for` (the argument or
        the resources), `cell` (the number of the notebook cell that has made the call, 0 for none), `cell_id` (the
        cell's id in its notebook, empty if it is not known), `times` (submitted, arrived, started and ended, in seconds
        since 1970, 0 for not yet), and `waits` (in `get` and `wait`: kind, start, end).

    Raises:
        ValueError: A filter names no key of the rows, or another operator.

    Example:
        list_tasks(filters=[("state", "=", "RUNNING")], detail=True)
    """
    return chosen(engine.observe().tasks(timeout).tasks, filters, limit, None if detail else _TASK, "task")


def list_workers(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = TIMEOUT_S,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> Rows:
    """Return a row for each process of a session and each worker. Follows Ray's `list_workers`.

    With `detail`, rows also have `job_id`, `actor_id` and `label`: what a worker runs, or the namespace of a session.

    Raises:
        ValueError: A filter names no key of the rows, or another operator.
    """
    return chosen(engine.observe().processes(timeout), filters, limit, None if detail else _WORKER, "worker")


def list_jobs(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = TIMEOUT_S,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> Rows:
    """Return a row for each open session, which is a job. Follows Ray's `list_jobs`.

    Raises:
        ValueError: A filter names no key of the rows, or another operator.
    """
    drivers = [row for row in engine.observe().processes(timeout) if row["worker_type"] == "DRIVER"]
    jobs = [
        {
            "job_id": row["job_id"],
            "submission_id": None,
            "entrypoint": "",
            "type": "DRIVER",
            "status": "RUNNING",
            "driver_info": {"id": row["job_id"], "node_ip_address": row["ip"], "pid": str(row["pid"])},
            "ray_namespace": row["label"],
        }
        for row in drivers
    ]
    return chosen(jobs, filters, limit, None, "job")


def list_objects(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = TIMEOUT_S,
    detail: bool = False,
    raise_on_missing_output: bool = False,
    _explain: bool = False,
) -> Rows:
    """Return a row for each object and each process that owns or borrows it. Follows Ray's `list_objects`.

    Each session and worker is asked for its own objects, and looks through its interpreter for them. If a process does
    not answer in time, the other rows are returned.

    Args:
        address: See the top of this module.
        filters: See the top of this module.
        limit: See the top of this module.
        timeout: Seconds to wait for each process.
        detail: See the top of this module.
        raise_on_missing_output: Raise an error if rows are missing; without it a `RuntimeWarning` tells which.
        _explain: Changes nothing.

    Returns:
        Rows with `object_id`, `object_size` (bytes; -1 where the process does not have the value), `task_status`,
        `reference_type`, `call_site` ("disabled"), `type`, `pid` and `ip`; with `detail` also `worker_id`, the process,
        and `owner_id`, the process that owns the object.

    Raises:
        ValueError: A filter names no key of the rows, or another operator.
        TimeoutError: Rows are missing, with `raise_on_missing_output`.

    Example:
        list_objects(filters=[("reference_type", "=", "LOCAL_REFERENCE")])
    """
    rows = _objects(timeout, raise_on_missing_output)
    return chosen(rows, filters, limit, None if detail else _OBJECT, "object")


def _objects(timeout: float, raise_on_missing_output: bool) -> list[dict[str, Any]]:
    rows, gaps = engine.observe().objects(timeout)
    if gaps:
        text = f"the listing of objects is not complete: {'; '.join(gaps)}"
        if raise_on_missing_output:
            raise TimeoutError(text)
        warn_user(text, RuntimeWarning)
    return rows


def list_placement_groups(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = TIMEOUT_S,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> Rows:
    """Return a row for each placement group, removed ones included. Follows Ray's `list_placement_groups`.

    With `detail`, rows also have `bundles`, `is_detached` and `waits_for`; the last of these is ours.

    Raises:
        ValueError: A filter names no key of the rows, or another operator.
    """
    rows = [
        {
            "placement_group_id": facts.group_id.hex(),
            "name": facts.name,
            "creator_job_id": facts.job_id.hex(),
            "state": facts.state,
            "bundles": [
                {"bundle_id": str(number), "unit_resources": bundle, "node_id": node_id}
                for number, (bundle, node_id) in enumerate(zip(facts.bundles, facts.nodes, strict=True))
            ],
            "is_detached": facts.is_detached,
            "waits_for": facts.waits_for,
        }
        for facts in engine.observe().groups(timeout)
    ]
    return chosen(rows, filters, limit, None if detail else _GROUP, "placement group")


def list_nodes(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = TIMEOUT_S,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
    *,
    everywhere: bool = False,
) -> Rows:
    """Return a row for each node of this user, of any version of nbactors, whether it answers or not.

    Takes the arguments of Ray's `list_nodes`; the rows always have all columns. Sessions of different versions have a
    node each, and each node counts all the CPUs. Blocks for three seconds at most where a node does not answer.

    Args:
        address: See the top of this module.
        filters: See the top of this module.
        limit: See the top of this module.
        timeout: Seconds to wait for the answer of each node, three at most.
        detail: Changes nothing.
        raise_on_missing_output: See the top of this module.
        _explain: Changes nothing.
        everywhere: Also nodes of other runtime directories than this process's (see NBACTORS_DIR).

    Returns:
        `pid`, `directory`, `version` and `protocol` (empty and 0 if not known), `since` (its start, in seconds since
        1970), and `state`: ALIVE; OTHER_PROTOCOL if its version is one whose actors this version cannot list; STOPPED
        by a signal; SILENT if it does not answer; CUT_OFF if its socket was removed; NO_NODE if another program listens
        there. `status` is as `node_status` returns it. Unless the node is ALIVE it is None, and `processes` has the
        `pid` and the `title` of each worker instead. `is_own` is True for the node that sessions of this version use.
        Ray's `node_id`, `node_ip`, `node_name`, `is_head_node` and `resources_total` are empty unless it is ALIVE.

    Raises:
        OSError: The runtime directory is unsafe.
        ValueError: A filter names no key of the rows, or another operator.
    """
    rows = []
    for row in engine.observe().nodes(everywhere, timeout):
        status = row["status"] or {}
        facts = {
            "state": "ALIVE" if row["state"] == "RUNNING" else row["state"],
            "node_id": status.get("node_id", ""),
            "node_ip": status.get("node_ip", "127.0.0.1") if status else "",
            "node_name": status.get("hostname", ""),
            "is_head_node": status.get("is_head_node", True),
            "resources_total": status.get("resources", {}),
        }
        rows.append({**row, **facts})
    return chosen(rows, filters, limit, None, "node")


def list_runtime_envs(*args: Any, **options: Any) -> NoReturn:
    """Refuse to list runtime_envs.

    Raises:
        NotImplementedError: Always, with what to ask instead.
    """
    del args, options
    raise NotImplementedError(
        "list_runtime_envs(): the process that submits a call makes the environment, and no process keeps a list of "
        "them. get_runtime_context().runtime_env is that of the caller; docs/runtime-env.md tells where the cache is"
    )


def list_cluster_events(*args: Any, **options: Any) -> NoReturn:
    """Refuse to list the events of a cluster.

    Raises:
        NotImplementedError: Always, with what to ask instead.
    """
    del args, options
    raise NotImplementedError(
        "list_cluster_events(): nothing is scaled or scheduled across nodes here. list_actors() and list_tasks() tell "
        "what has happened, follow() tells it live, and get_log(filename='node.log') has the words of the node"
    )


class StateApiClient:
    """Ray's client of the dashboard's server. The name is there, so that programs can import it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Refuse to connect.

        Raises:
            NotImplementedError: Always, with what to call instead.
        """
        del args, options
        raise NotImplementedError(
            "StateApiClient: there is no dashboard whose server it could ask. Call list_actors(), list_tasks() and the "
            "other functions of nbactors.util.state"
        )


# ---------------------------------------------------------------------------------------------------------- getting


def get_actor(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    _explain: bool = False,
) -> Row | None:
    """Return the row of an actor with all columns, None if it is unknown. Follows Ray's `get_actor`."""
    return _only(list_actors(None, [("actor_id", "=", id)], timeout=timeout, detail=True, ended_sessions=True))


def get_task(
    id: Any,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    _explain: bool = False,
) -> Row | None:
    """Return the row of a call with all columns, None if it is unknown. Follows Ray's `get_task`.

    Args:
        id: The id of the call in hexadecimal digits, or a reference or generator that the call returns.
        address: See the top of this module.
        timeout: See the top of this module.

    Raises:
        TypeError: `id` is something else.
    """
    if not isinstance(id, str | ObjectRef | ObjectRefGenerator):
        raise TypeError(f"get_task() takes an id or a reference. Got: {id!r:.80}")
    task_id = id if isinstance(id, str) else call_id(id)
    return _only(list_tasks(None, [("task_id", "=", task_id)], timeout=timeout, detail=True))


def get_worker(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    _explain: bool = False,
) -> Row | None:
    """Return the row of a session's or worker's process, None if it is unknown. Follows Ray's `get_worker`."""
    return _only(list_workers(None, [("worker_id", "=", id)], timeout=timeout, detail=True))


def get_job(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    _explain: bool = False,
) -> Row | None:
    """Return the row of an open session, None if it is unknown. Follows Ray's `get_job`."""
    return _only(list_jobs(None, [("job_id", "=", id)], timeout=timeout))


def get_node(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    _explain: bool = False,
) -> Row | None:
    """Return the row of a running node, None if it is unknown. Follows Ray's `get_node`."""
    return _only(list_nodes(filters=[("node_id", "=", id)], timeout=timeout))


def get_objects(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    _explain: bool = False,
) -> Rows:
    """Return the rows of an object with all columns, one for each process that has it. Follows Ray's `get_objects`.

    Args:
        id: The id of the object in hexadecimal digits, as of `ref.hex()`.
        address: See the top of this module.
        timeout: Seconds to wait for each process.
    """
    return list_objects(None, [("object_id", "=", id)], MANY, timeout, detail=True)


def get_placement_group(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    _explain: bool = False,
) -> Row | None:
    """Return the row of a placement group with all columns, None if it is unknown. Follows Ray's function."""
    return _only(list_placement_groups(None, [("placement_group_id", "=", id)], timeout=timeout, detail=True))


def _only(rows: Rows) -> Row | None:
    return rows[0] if rows else None


# ------------------------------------------------------------------------------------------------------ summarizing


def summarize_tasks(
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> dict[str, Any]:
    """Return how many calls of each name are in each state. Follows Ray's `summarize_tasks`.

    Returns:
        `{"cluster": {"summary": {name: {"func_or_class_name", "type", "state_counts"}}, "total_tasks",
        "total_actor_tasks", "total_actor_scheduled", "summary_by", "unlisted"}}`. `unlisted` is ours: how many calls of
        each function have ended that have no row.
    """
    found = engine.observe().tasks(timeout)
    kinds = Counter(row["type"] for row in found.tasks)
    summary = _summary(found.tasks, "name", lambda row: {"func_or_class_name": row["name"], "type": row["type"]})
    return {
        "cluster": {
            "summary": summary,
            "total_tasks": kinds["NORMAL_TASK"],
            "total_actor_tasks": kinds["ACTOR_TASK"],
            "total_actor_scheduled": kinds["ACTOR_CREATION_TASK"],
            "summary_by": "func_name",
            "unlisted": found.unlisted,
        }
    }


def summarize_actors(
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
    *,
    ended_sessions: bool = False,
) -> dict[str, Any]:
    """Return how many actors of each class are in each state. Follows Ray's `summarize_actors`.

    Args:
        address: See the top of this module.
        timeout: See the top of this module.
        raise_on_missing_output: See the top of this module.
        ended_sessions: As for `list_actors`.

    Returns:
        `{"cluster": {"summary": {class name: {"class_name", "state_counts"}}, "total_actors", "summary_by"}}`.
    """
    rows = list_actors(limit=MANY, timeout=timeout, ended_sessions=ended_sessions)
    summary = _summary(rows, "class_name", lambda row: {"class_name": row["class_name"]})
    return {"cluster": {"summary": summary, "total_actors": len(rows), "summary_by": "class"}}


def summarize_objects(
    address: str | None = None,
    timeout: float = TIMEOUT_S,
    raise_on_missing_output: bool = False,
    _explain: bool = False,
) -> dict[str, Any]:
    """Return how many objects there are, and their sizes. Follows Ray's `summarize_objects`, for one call site.

    Args:
        address: See the top of this module.
        timeout: Seconds to wait for each process.
        raise_on_missing_output: As for `list_objects`.

    Returns:
        `{"cluster": {"summary": {"disabled": {"total_objects", "total_size_mb", "total_num_workers",
        "total_num_nodes", "task_state_counts", "ref_type_counts"}}, "total_objects", "total_size_mb",
        "callsite_enabled", "summary_by"}}`. An object counts once for each process that has it, as in Ray.
    """
    rows = _objects(timeout, raise_on_missing_output)
    size = sum(max(row["object_size"], 0) for row in rows) / 1024**2
    group = {
        "total_objects": len(rows),
        "total_size_mb": size,
        "total_num_workers": len({row["pid"] for row in rows}),
        "total_num_nodes": min(len(rows), 1),
        "task_state_counts": dict(Counter(row["task_status"] for row in rows)),
        "ref_type_counts": dict(Counter(row["reference_type"] for row in rows)),
    }
    return {
        "cluster": {
            "summary": {"disabled": group} if rows else {},
            "total_objects": len(rows),
            "total_size_mb": size,
            "callsite_enabled": False,
            "summary_by": "callsite",
        }
    }


def _summary(rows: Iterable[dict[str, Any]], key: str, facts: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        group = found.setdefault(row[key], {**facts(row), "state_counts": {}})
        counts = group["state_counts"]
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return found


# -------------------------------------------------------------------------------------------------------- following


def follow() -> Following:
    """Return a reader of the changes of calls and actors, for panels and other tools. Not in Ray.

    `next(timeout)` returns a snapshot at first, and then what has changed since the last call. `seq` is the number of
    the last change. Changes are gathered for a tenth of a second. A reader that is too far behind gets a snapshot; so
    does a reader after a crash of the node. The node keeps nothing for a reader that does not ask.

    Example:
        changes = follow()
        while True:
            news = changes.next(timeout=10)
            if news is not None:
                show(news.tasks, news.removed, anew=news.is_snapshot)
    """
    return engine.follow()


# ------------------------------------------------------------------------------------------- nodes, actors, logs


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
    return engine.observe().stack(actor, timeout)


def inspect_actor(actor: Any, timeout: float = 5.0) -> dict[str, Any]:
    """Return what an actor's process does now, for panels and other tools. Not in Ray.

    The process itself answers, on the thread that reads its sockets, even while a method blocks. Its calls go on, and
    cost nothing more while nobody asks. No user code runs: an argument's text is made from plain values, and from the
    names of types. Needs no session. Times are seconds since 1970.

    Args:
        actor: A handle, an id in hexadecimal digits, or a name.
        timeout: Seconds to wait for the answer.

    Returns:
        - `pid`, `worker_id`; `since`, the start of the process; `at`, the time of the answer.
        - `cpu_s`: seconds of CPU time since the start, user and system.
        - `memory`: bytes in RAM, without files and without shared memory.
        - `groups`: a dict for each concurrency group, the default one first, whose `name` is "". `size` is how many
          calls run in it at the same time, `running` the ids of those that run, and `queued` how many wait.
        - `running`: a dict for each running call, at most 200, oldest first: `task_id`, `name`, `group`, `since`;
          `arguments`, pairs of a name and a short text; and `paused`, whether the call stands in `breakpoint()` or
          `input()`. Calls of `__ray_now__` have a group of that name, which is not in `groups`.
        - `queued`: a dict for each call that waits in the process, at most 200, in order: `task_id`, `name`, `group`,
          `since`. Calls that still wait at their caller are not in it; see `list_tasks`.

        Arguments of synchronous methods are those that were passed, with their names in the signature, "" where it
        names none. Arguments of coroutines and generators are read from the method's variables: a rebound name has its
        new value. There are none while a call begins or answers, or while a generator waits for its reader.

    Raises:
        TimeoutError: No answer in time, since code in the process keeps the GIL.
        RayActorError: The actor is dead.
        ValueError: There is no such actor, several have that name, or it has no process yet.
        TypeError: `actor` is something else.

    Example:
        for call in inspect_actor(trainer)["running"]:
            print(call["name"], *(f"{name}={text}" for name, text in call["arguments"]))
            # Trainer.fit data=ndarray (1000, 3) float64 epochs=5
    """
    return engine.observe().inspect(actor, timeout)


def node_status(with_actors: bool = True) -> dict[str, Any] | None:
    """Return the state of the node that sessions of this version use, None if none runs.

    Args:
        with_actors: Whether to list the actors. Without them the answer is quick even if there are thousands.

    Returns:
        `pid`, `directory`, `version`, `node_id`, `hostname`, `sessions` and `workers` (how many), `resources` and
        `available` (of the machine, by name), `actors` (rows of the living, as `list_actors(detail=True)` has), `bars`,
        and `object_stores`.

        A row of `bars` is a progress bar of a worker that goes on: `task_id` of the call (None if it cannot be
        cancelled), `worker_id`, `pid`, `description`, `n` and `total` (units done and in all), `share` (from 0 to 1),
        `unit`, `unit_scale`, `rate` (units per second), `elapsed` (seconds), `postfix`. `total` and `share` are None
        where the total is not known.

        `object_stores` has a row for all sessions together, and one for each session that has named its limit: `held`
        (bytes of memory), `spilled` (bytes on disk), `limit` (bytes of memory), `silent` (how many processes did not
        answer), and the session's `job_id`, `namespace` and driver's `pid`, which are empty and 0 for all.

    Raises:
        OSError: The node does not answer. `list_nodes` has a row for it all the same.
    """
    return engine.observe().node_status(with_actors)


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
    return engine.observe().stop_nodes(force, everywhere)


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
    return engine.observe().actor_logs(name)
