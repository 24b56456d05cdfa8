"""Answers to `Query` and `FetchLog`."""

from __future__ import annotations

from collections.abc import Callable

from nbactors.local.node.rules.actors import Actors
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.gpus import UNIT
from nbactors.local.node.rules.lifecycle import State
from nbactors.local.node.rules.records import Actor, Process, Worker
from nbactors.local.wire import messages

LOGS = "logs"
"""The subdirectory of the workers' logs in the node's folder."""


WITH_STORES = frozenset({"load", "metrics", "object_store", "status"})
"""Queries whose answers tell what the object stores take."""


def log_name(process_id: bytes) -> str:
    """Return the file name of a worker's log, made from its process id because its pid is not known yet."""
    return f"{process_id[:8].hex()}.log"


def answer(
    context: Context,
    actors: Actors,
    asker: Process,
    query: messages.Query,
    stores: list[messages.StoreRow],
    bars: Callable[[], list[messages.Bar]],
    metrics: Callable[[list[messages.StoreRow]], str],
    groups: Callable[[], list[messages.GroupRow]],
) -> messages.Message:
    """Return the answer to `query`. `metrics` makes the text of the metrics, `bars` and `groups` their rows."""
    rid = query.rid
    if query.what == "actors":
        return messages.Listing(rid, [_row(context, actor) for actor in actors.table], {}, {})
    if query.what == "named_actors":
        return messages.Listing(rid, _named(context, actors, asker, query.all_namespaces), {}, {})
    if query.what in ("available_resources", "cluster_resources"):
        return messages.Listing(rid, [], _amounts(context, asker, query.what == "available_resources"), {})
    if query.what == "processes":
        return messages.Listing(rid, [], {}, {}, _processes(context))
    if query.what == "nodes":
        return messages.Listing(rid, [], _amounts(context, asker, False), _facts(context))
    if query.what in ("status", "load"):
        alive = [actor for actor in actors.table if actor.state is not State.DEAD] if query.what == "status" else []
        rows = [_row(context, actor) for actor in alive]
        return messages.Listing(rid, rows, _amounts(context, asker, False), _facts(context), stores=stores, bars=bars())
    if query.what == "object_store":
        return messages.Listing(rid, [], {}, {}, stores=stores)
    if query.what == "placement_groups":
        return messages.Listing(rid, [], {}, _facts(context), groups=groups())
    if query.what == "metrics":
        return messages.Listing(rid, [], {}, {"metrics": metrics(stores)})
    return messages.Refused(
        rid,
        "value",
        f"the node cannot list {query.what!r}: it knows actors, named_actors, available_resources, "
        "cluster_resources, load, nodes, processes, metrics, object_store, placement_groups and status.",
    )


def logs(context: Context, actors: Actors, asked: messages.FetchLog) -> messages.Listing:
    """Return the actors that a user may mean by a name, with the paths of their logs."""
    return messages.Listing(asked.rid, [_row(context, actor) for actor in actors.table.matching(asked.name)], {}, {})


def _named(context: Context, actors: Actors, asker: Process, all_namespaces: bool) -> list[messages.ActorRow]:
    own = asker.session.namespace if asker.session else ""
    rows = []
    for namespace, name in actors.names:
        if all_namespaces or not own or namespace == own:
            actor = actors.table.find(actors.names.find(namespace, name) or b"")
            if actor is not None:
                rows.append(_row(context, actor))
    return rows


def _row(context: Context, actor: Actor) -> messages.ActorRow:
    asked = actor.creation
    worker = actor.worker
    return messages.ActorRow(
        actor_id=actor.actor_id,
        class_name=asked.class_name,
        name=asked.name,
        namespace=actor.namespace,
        state=actor.shown,
        pid=actor.pid or (worker.pid if worker else 0),
        detached=asked.detached,
        job_id=actor.home.job_id,
        resources=asked.resources,
        death_cause=actor.down.text if actor.down else "",
        log_path=_log_path(context, worker.process_id if worker else b""),
        process_id=worker.process_id if worker else b"",
        last_log_path=_log_path(context, actor.crashed),
        restarts=actor.restarts,
        has_session=actor.home.is_open,
    )


def _processes(context: Context) -> list[messages.ProcessRow]:
    rows = []
    for process in context.processes.values():
        if isinstance(process, Worker):
            actor_id = process.actor.actor_id if process.actor is not None else b""
            job, label, is_ready = process.home.job_id, process.label, process.ready and not process.lost
        elif process.session is not None:
            actor_id, is_ready = b"", True
            job, label = process.session.job_id, process.session.namespace
        else:
            continue
        rows.append(messages.ProcessRow(process.process_id, process.pid, process.role, job, label, actor_id, is_ready))
    return rows


def _log_path(context: Context, process_id: bytes) -> str:
    return f"{context.facts.directory}/{LOGS}/{log_name(process_id)}" if process_id else ""


def _amounts(context: Context, asker: Process, is_free: bool) -> dict[str, float]:
    """Return the resources of the client's session; for the command line, those of the machine."""
    if asker.session is not None:
        return asker.session.pool.available() if is_free else asker.session.pool.totals()
    facts = context.facts
    amounts = {"CPU": facts.cpus, "memory": facts.memory_for_actors}
    if is_free:
        for session in context.sessions.values():
            total, free = session.pool.totals(), session.pool.available()
            for name in amounts:
                amounts[name] -= total.get(name, 0.0) - free.get(name, 0.0)
    return {name: round(amount * UNIT) / UNIT for name, amount in amounts.items()}


def _facts(context: Context) -> dict[str, str]:
    facts = context.facts
    return {
        "node_id": facts.node_id.hex(),
        "pid": str(facts.pid),
        "hostname": facts.hostname,
        "directory": facts.directory,
        "version": facts.package_version,
        "protocol": str(messages.PROTOCOL_VERSION),
        "sessions": str(sum(session.is_open for session in context.sessions.values())),
        "workers": str(sum(worker.ready and not worker.lost for worker in context.workers())),
    }
