"""The node's own metrics: actors, workers, calls, requests that wait, resources, memory and the object store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nbactors.local.node.rules.actors import Actors
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.memory.monitor import MemoryMonitor
from nbactors.local.node.rules.metrics.series import Sample, family
from nbactors.local.node.rules.tracing.task_table import TaskTable
from nbactors.local.wire import messages


def lines(
    context: Context, actors: Actors, memory: MemoryMonitor, calls: TaskTable, stores: list[messages.StoreRow]
) -> Iterable[str]:
    """Return the text, line by line. `stores`: what the object stores take, all together first."""
    states = Counter(actor.shown for actor in actors.table)
    workers = [worker for worker in context.workers() if worker.ready and not worker.lost]
    sessions = context.sessions.values()
    yield from _gauge("actors", "Actors by state; dead ones as far as they are remembered.", _by("State", states))
    yield from _gauge("workers", "Processes of actors and tasks.", [("", (), len(workers))])
    yield from _gauge("sessions", "Open sessions.", [("", (), sum(session.is_open for session in sessions))])
    yield from _gauge("calls", "Calls that wait or run, by state.", _by("State", calls.states()))
    ended = [("_total", labels, value) for _, labels, value in _by("End", calls.ended)]
    yield from family("nbactors_calls_ended", "counter", "Calls that have ended, by their end.", ended)
    waiting = sum(len(session.queue) for session in sessions)
    yield from _gauge("waiting_requests", "Actors and workers that wait for resources.", [("", (), waiting)])
    free: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for session in sessions:
        free.update(session.pool.available())
        total.update(session.pool.totals())
    yield from _gauge("resources_total", "Resources of all sessions.", _by("Name", total))
    yield from _gauge("resources_available", "Free resources of all sessions.", _by("Name", free))
    used, whole = memory.latest
    yield from _gauge("memory_used_bytes", "Memory in use, of the machine or the container.", [("", (), used)])
    yield from _gauge("memory_total_bytes", "Memory of the machine or the container.", [("", (), whole)])
    whole_store = stores[0]
    yield from _gauge("store_held_bytes", "Memory of all object stores.", [("", (), whole_store.held)])
    yield from _gauge("store_spilled_bytes", "Values on disk of all object stores.", [("", (), whole_store.spilled)])
    yield from _gauge("store_limit_bytes", "Memory for all object stores.", [("", (), whole_store.limit)])
    yield from _gauge(
        "worker_memory_bytes",
        "Memory of a worker of its own, at most ten seconds old.",
        [
            ("", (("Label", worker.label), ("Pid", str(worker.pid))), memory.used_by(worker))
            for worker in workers
            if memory.used_by(worker)
        ],
    )


def _gauge(name: str, description: str, samples: list[Sample]) -> Iterable[str]:
    return family(f"nbactors_{name}", "gauge", description, samples)


def _by(label: str, values: Counter[str]) -> list[Sample]:
    return [("", ((label, key),), value) for key, value in sorted(values.items())]
