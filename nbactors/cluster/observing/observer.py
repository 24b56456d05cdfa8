"""`RayObserver`: what runs on the cluster of this process's session, by Ray's tables and the reports of workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

import ray

from nbactors import engine, exceptions
from nbactors.cluster.common.usage import SessionEndedError
from nbactors.cluster.observing.actor_rows import actor_rows, has_worker_ended
from nbactors.cluster.observing.ray_following import RayFollowing
from nbactors.engine.observer import Following, Observer, TaskChanges
from nbactors.exceptions.source_lines import with_sources
from nbactors.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbactors.cluster.observing.actor_logs import ActorLogs
    from nbactors.cluster.observing.task_table import TaskTable
    from nbactors.engine import GroupFacts
    from nbactors.object_ref import ObjectRef

TAKE_S = 5.0
"""Seconds to wait for the reports of workers."""

HUB_S = 10.0
"""Seconds in which the hub answers, beside those that a host may take."""

_ENDED = ("FINISHED", "FAILED")


class RayObserver(Observer):
    """See the base class. It asks by the session of this process: without one there is nothing to ask.

    Raises:
        RaySystemError: This process has no session on a cluster.
    """

    def __init__(self) -> None:
        running: Any = engine.running()
        if getattr(running, "name", "") != "ray":
            raise exceptions.RaySystemError(
                'a cluster is observed by a session there, and this process has none: call init(engine="ray") first'
            )
        self._engine = running

    # -------------------------------------------------------------------------------------------------------- calls

    def table(self) -> TaskTable:
        """Return the table of calls.

        Raises:
            RaySystemError: This is a worker.
        """
        found: TaskTable | None = self._engine.task_table
        if found is None:
            raise exceptions.RaySystemError(
                "on a cluster only the session knows the calls, and this process is a worker: list them in the notebook"
            )
        return found

    def sync(self) -> None:
        """See `following.Source`."""
        table = self.table()
        with self._engine.usage.use():
            self._engine.catch_up(TAKE_S)
            table.pending(self._engine.calls.listed(), time.time())

    def look(self) -> None:
        """See `following.Source`."""
        table = self.table()
        with self._engine.usage.use():
            table.actors(actor_rows(), time.time())
            table.ended_workers(has_worker_ended, time.time())

    def tasks(self, timeout: float) -> TaskChanges:
        """See the base class."""
        table = self.table()
        try:
            self.sync()
            self.look()
        except SessionEndedError:
            pass  # what is known is told
        return table.changes(0)

    def follow(self) -> Following:
        """See the base class."""
        return RayFollowing(self)

    def call_id(self, ref: ObjectRef[Any]) -> str:
        """See the base class."""
        return ref.task_id().hex()

    def cancel_call(self, task_id: str, force: bool, interrupt: bool, timeout: float) -> str:
        """See the base class."""
        with self._engine.usage.use():
            own = self._engine.calls.find(task_id)
            if own is not None:
                if _has_ended(own):
                    return "ENDED"
                if force and own.origin.actor_id:
                    raise ValueError("force=True is not supported for calls of actors: it would end the actor")
                self._engine.calls.cancel([own], force, True, interrupt)
                return "CANCELLED"
        self.sync()
        row = self.table().row(task_id)
        if row is None:
            raise ValueError(f"there is no call {task_id}; list_tasks() tells which there are")
        if row["state"] in _ENDED:
            return "ENDED"
        if not row["actor_id"]:
            raise ValueError(
                "another worker has submitted this task, and on a Ray cluster only that worker can cancel it: cancel "
                "the call that has submitted it"
            )
        if force:
            raise ValueError("force=True is not supported for calls of actors: it would end the actor")
        phase = self._order(
            row["actor_id"], "cancel_call", "stop", (bytes.fromhex(task_id), interrupt, 0.0, True), timeout
        )
        return "ENDED" if phase == "ended" else "CANCELLED"

    # ------------------------------------------------------------------------------------------------------- actors

    def actors(self, timeout: float) -> list[dict[str, Any]]:
        """See the base class."""
        del timeout
        try:
            with self._engine.usage.use():
                rows = actor_rows()
                jobs = {row["JobID"] for row in ray._private.state.jobs() if not row["IsDead"]}
                own = ray.get_runtime_context().get_node_id()
        except SessionEndedError:
            return []
        return [{**row, "has_session": row["job_id"] in jobs, "is_here": row["node_id"] in ("", own)} for row in rows]

    def stack(self, actor: Any, timeout: float) -> str:
        """See the base class."""
        return with_sources(str(self._order(actor, "stack", "stack", (), timeout)))

    def inspect(self, actor: Any, timeout: float) -> dict[str, Any]:
        """See the base class."""
        found: dict[str, Any] = self._order(actor, "inspect_actor", "inspect", (), timeout)
        return found

    def interrupt_actor(self, actor: Any, timeout: float) -> int:
        """See the base class."""
        return int(self._order(actor, "interrupt_actor", "interrupt", (), timeout))

    def kill_actor(self, actor: Any, timeout: float) -> None:
        """See the base class."""
        row = self._row_of(actor, "kill_actor", timeout)
        if row["state"] == "DEAD":
            return
        handle = self._engine.handle_of(bytes.fromhex(row["actor_id"]))
        if handle is None and row["name"]:
            with self._engine.usage.use():
                handle = ray.get_actor(row["name"], namespace=row["ray_namespace"] or None)
        if handle is not None:
            with self._engine.usage.use():
                ray.kill(handle)
            return
        try:
            self._order(row["actor_id"], "kill_actor", "kill", (), timeout)
        except TimeoutError:
            if self._row_of(row["actor_id"], "kill_actor", timeout)["state"] != "DEAD":
                raise

    def _row_of(self, actor: Any, verb: str, timeout: float) -> dict[str, Any]:
        """Return the row of the actor that a user's argument stands for.

        Raises:
            ValueError: No actor or several actors have this id or name.
            TypeError: It is neither a handle nor a text.
        """
        link = getattr(actor, "_link", None)
        if not isinstance(actor, str) and link is None:
            raise TypeError(f"{verb}() takes a handle, an actor's id or its name. Got: {actor!r:.80}")
        wanted: str = actor if link is None else link.actor_id.hex()
        found = [row for row in self.actors(timeout) if wanted in (row["actor_id"], row["name"])]
        found = [row for row in found if row["state"] != "DEAD"] or found[-1:]
        if len(found) > 1:
            ids = ", ".join(row["actor_id"] for row in found)
            raise ValueError(f"several actors are named {wanted!r}; give one of their ids: {ids}")
        if not found:
            raise ValueError(f"there is no actor with the id or name {wanted!r}; list_actors() tells which there are")
        return found[0]

    def _order(self, actor: Any, verb: str, order: str, args: tuple[Any, ...], timeout: float) -> Any:
        """Have an actor's host carry out an order of this session, and return its answer."""
        row = self._row_of(actor, verb, timeout)
        if row["state"] == "DEAD":
            raise exceptions.ActorDiedError(f"the actor is dead: {row['death_cause']}", row["actor_id"])
        if not row["pid"]:
            raise ValueError("the actor has no process yet: it is being created or started again")
        with self._engine.usage.use():
            hub = self._engine.calls.hub()
            if hub is None:
                raise exceptions.RaySystemError("the session on the cluster has ended")
            asked = hub.order.remote(bytes.fromhex(row["actor_id"]), order, args, timeout)
            try:
                return ray.get(asked, timeout=timeout + HUB_S)
            except ray.exceptions.GetTimeoutError:
                raise TimeoutError(f"the session's hub has not answered within {timeout + HUB_S:g} s") from None
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, TimeoutError):
                    raise TimeoutError(
                        f"the actor has not answered within {timeout:g} s: code in it keeps the GIL, or this session "
                        "has not called it yet, so that it does not know the session"
                    ) from None
                raise error.cause from None

    # -------------------------------------------------------------------------------------- processes, nodes, stores

    def processes(self, timeout: float) -> list[dict[str, Any]]:
        """See the base class. Without its dashboard, Ray lists no idle workers: those of living actors are listed."""
        with self._engine.usage.use():
            context = ray.get_runtime_context()
            own, own_job = context.get_worker_id(), context.get_job_id()
            nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}
            jobs = [job for job in ray._private.state.jobs() if not job["IsDead"]]
            namespace = context.namespace
        drivers = [
            _process(
                worker_id=own if job["JobID"] == own_job and self._engine.task_table is not None else job["JobID"],
                worker_type="DRIVER",
                node_id=next((node for node, address in nodes.items() if address == job["DriverIPAddress"]), ""),
                ip=job["DriverIPAddress"],
                pid=job["DriverPid"],
                job_id=job["JobID"],
                label=namespace if job["JobID"] == own_job else "",
            )
            for job in jobs
        ]
        workers = [
            _process(
                worker_id=row["worker_id"],
                worker_type="WORKER",
                node_id=row["node_id"],
                ip=nodes.get(row["node_id"], ""),
                pid=row["pid"],
                job_id=row["job_id"],
                actor_id=row["actor_id"],
                label=row["name"] or row["class_name"],
            )
            for row in self.actors(timeout)
            if row["state"] == "ALIVE"
        ]
        return drivers + workers

    def node_status(self, with_actors: bool = True) -> dict[str, Any] | None:
        """See the base class: that of the whole cluster. `workers` are those of actors."""
        try:
            return self._status(with_actors)
        except SessionEndedError:
            return None

    def _status(self, with_actors: bool) -> dict[str, Any]:
        actors = [row for row in self.actors(HUB_S) if row["state"] != "DEAD"]
        with self._engine.usage.use():
            facts = self._engine.describe()
            store, _ = self._engine.object_store()
            return {
                "pid": 0,
                "directory": facts["directory"],
                "version": __version__,
                "node_id": facts["node_id"],
                "hostname": facts["address"],
                "sessions": sum(not row["IsDead"] for row in ray._private.state.jobs()),
                "workers": sum(bool(row["pid"]) for row in actors),
                "resources": facts["resources"],
                "available": self._engine.available_resources(),
                "actors": actors if with_actors else [],
                "object_stores": [
                    {
                        "job_id": "",
                        "namespace": "",
                        "pid": 0,
                        "held": store.held,
                        "spilled": 0,
                        "limit": store.limit,
                        "silent": 0,
                    }
                ],
                "bars": [],
            }

    def groups(self, timeout: float) -> list[GroupFacts]:
        """See the base class."""
        del timeout
        with self._engine.usage.use():
            found: list[GroupFacts] = self._engine.groups()
        return found

    def nodes(self, everywhere: bool, timeout: float) -> list[dict[str, Any]]:
        """See the base class: the nodes of the cluster."""
        del everywhere, timeout
        with self._engine.usage.use():
            own = ray.get_runtime_context().get_node_id()
            found = ray.nodes()
        return [
            {
                "pid": 0,
                "directory": "",
                "version": __version__,
                "protocol": 0,
                "since": 0.0,
                "state": "RUNNING" if node["Alive"] else "DEAD",
                "is_own": node["NodeID"] == own,
                "status": {
                    "node_id": node["NodeID"],
                    "node_ip": node["NodeManagerAddress"],
                    "hostname": node["NodeManagerHostname"],
                    "is_head_node": "node:__internal_head__" in node["Resources"],
                    "resources": dict(node["Resources"]),
                },
                "processes": [],
            }
            for node in found
        ]

    def surroundings(self) -> dict[str, Any]:
        """See the base class: those of this machine."""
        return engine.observe("local").surroundings()

    # ------------------------------------------------------------------------------------------------- what is refused

    def objects(self, timeout: float) -> tuple[list[dict[str, Any]], list[str]]:
        """See the base class."""
        _refuse("a session on a cluster cannot list objects: Ray's own `ray memory` does, which asks all of its nodes")

    def metrics(self) -> str:
        """See the base class."""
        _refuse(
            "a session on a cluster gathers no metrics: Ray's own agents serve them, at MetricsExportPort of each node "
            "in nbactors.nodes()"
        )

    def profile(self, actor: Any, seconds: float, interval: float) -> tuple[str, int, list[tuple[list[str], int]]]:
        """See the base class."""
        _refuse("workers of a cluster take no profiles yet; nbactors.util.state.stack(actor) tells what it does now")

    def stop_nodes(self, force: bool, everywhere: bool) -> list[dict[str, Any]]:
        """See the base class."""
        _refuse("a session ends no cluster: `ray stop` does, on each node. nbactors.shutdown() ends the session")

    def actor_logs(self, name: str) -> list[dict[str, Any]]:
        """See the base class. The logs are copies on this machine of the ends that the hosts keep."""
        logs: ActorLogs | None = self._engine.actor_logs
        if logs is None:
            _refuse("on a cluster only the session reads logs, and this process is a worker: read them in the notebook")
        return [{**row, **logs.paths(row, self._writer_of(row))} for row in _matching(self.actors(HUB_S), name)]

    def _writer_of(self, row: dict[str, Any]) -> Callable[[int], tuple[int, str]] | None:
        """Return what asks an actor's host for its output, None where there is no process."""
        if row["state"] == "DEAD" or not row["pid"]:
            return None

        def since(position: int) -> tuple[int, str]:
            written: tuple[int, str] = self._order(row["actor_id"], "actor_logs", "written_since", (position,), HUB_S)
            return written

        return since


def _matching(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the actors that a user may mean: by name, else by class, else by process, else by the id's beginning."""
    kinds: list[Callable[[dict[str, Any]], bool]] = [
        lambda row: row["name"] == name,
        lambda row: row["class_name"] == name,
        lambda row: str(row["pid"]) == name,
        lambda row: row["actor_id"].startswith(name),
    ]
    return next((found for kind in kinds if (found := [row for row in rows if kind(row)])), [])


def _process(**facts: Any) -> dict[str, Any]:
    return {"is_alive": True, "exit_type": None, "exit_detail": None, "actor_id": None, **facts}


def _has_ended(thing: Any) -> bool:
    """Return whether a call of this session has ended."""
    return getattr(thing, "verdict", None) is not None or bool(ray.wait([thing.ref], timeout=0, fetch_local=False)[0])


def _refuse(why: str) -> NoReturn:
    raise exceptions.RaySystemError(why)
