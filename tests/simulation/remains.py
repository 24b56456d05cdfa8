"""What is left in the tables of a process or of the node, where nothing should be."""

from __future__ import annotations

from typing import Any

from nbactors.local.node.rules.lifecycle import State
from nbactors.local.node.rules.records import Worker
from nbactors.local.node.rules.state import NodeState


def remains_of(process: Any, worker: Any = None) -> list[str]:
    """Return what a session or worker keeps although nobody refers to anything."""
    references, fetching = process.objects.references, process.objects.fetching
    tasks, actors, reactor = process.tasks, process.actors, process.reactor
    left = {
        "calls in flight": [list(one.in_flight.calls) for one in process.peers.outgoing() if one.in_flight.calls],
        "calls in handling": [one.in_flight.answering for one in process.peers.outgoing() if one.in_flight.answering],
        "answers that are due": [one.claims.listeners for one in process.peers.incoming() if one.claims.listeners],
        "links that are kept": actors._kept,
        "links": [link for link in list(actors._links) if actors.existing(link) is not None],
        "holds": [hold for hold in list(actors._holds) if actors.hold_on(hold) is not None],
        "constructions": actors._constructions,
        "requests for leases": tasks.expected,
        "queues that wait": tasks.waiting,
        "leased workers": tasks._leased,
        "dead workers": tasks._dead,
        "queued tasks": tasks.queued(),
        "tokens": references._tokens,
        "exported objects": references._exported,
        "borrowers": [one for one in references._lent_to.values() if one],
        "objects asked for": [one for one in fetching._asked.values() if one],
        "left steps": reactor.left_steps.targets,
        "unsent messages": process.peers.unsent(),
    }
    if worker is not None:
        jobs = [one.jobs for one in process.peers.incoming()]
        left |= {
            "waiting jobs": [one.waiting for one in jobs if one.waiting],
            "running jobs": [one.running for one in jobs if one.running],
            "queued jobs": worker.executor._jobs,
            "early jobs": worker.executor._early,
            "pursuits": worker.executor.interrupts._pursuits,
        }
    return [f"{process.name} keeps {what}: {_brief(thing)}" for what, thing in left.items() if thing]


def _brief(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) < 200 else text[:200] + "…"


def remains_of_node(state: NodeState, spare_id: bytes, is_closed: bool = False) -> list[str]:
    """Return what the node keeps although nobody has a handle or a lease, or with `is_closed` anything at all.

    The forkserver has a spare with the id `spare_id`.
    """
    context, actors = state._context, state._actors
    left: dict[str, Any] = {
        "actors that live": [(one.class_name, one.state.name, one.holders) for one in _rows(actors) if one.lives],
        "leases": state._leases._granted,
        "early counts": actors._early._kept,
        "sessions that wait": state._waiting,
        "requests without a hello": state._without_hello,
        "spares that are gone": set(state._sessions.environments.spares._joined.values()) - {spare_id},
        "names": actors.names._actors,
        "events for the end of its recovery": state._recovery._waiting,
        "leases that are declared": state._restoring._claimed,
        "workers without an assignment": state._restoring._unassigned,
        "ends of workers": state._restoring._ended,
    }
    for process in context.processes.values():
        who = process.process_id.hex()[:4]
        left |= {
            f"handles of {who}": process.holds,
            f"actors of {who}": process.children,
            f"leases of {who}": process.leases,
        }
    for session in context.sessions.values():
        idle = {worker.process_id for worker in session.idle}
        left["workers"] = [
            (worker.process_id.hex()[:4], worker.label, worker.retired, worker.lost)
            for worker in context.workers()
            if worker.process_id not in idle
        ]
        left["resources"] = {
            name: (amount, session.pool.total[name])
            for name, amount in session.pool._free.items()
            if amount != session.pool.total[name]
        }
    if is_closed:
        left["processes that have not returned"] = context.absent
        left["sessions"] = list(context.sessions)
        left["processes"] = [(type(one) is Worker, one.process_id.hex()[:4]) for one in context.processes.values()]
    return [f"the node keeps {what}: {_brief(thing)}" for what, thing in left.items() if thing]


class _Row:
    def __init__(self, actor: Any) -> None:
        self.class_name = actor.creation.class_name
        self.state = actor.state
        self.holders = actor.holders
        self.lives = actor.state is not State.DEAD


def _rows(actors: Any) -> list[_Row]:
    return [_Row(actor) for actor in actors.table]
