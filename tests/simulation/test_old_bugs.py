"""The simulation finds bugs of this package's own history that are put back. Otherwise it would be too weak."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nbactors.exceptions import reasons
from nbactors.local.connections import node_link
from nbactors.local.connections.node_link import NodeLink
from nbactors.local.node.rules import holders
from nbactors.local.node.rules.recovering.restoring import Restoring
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.target import Target, in_turn
from nbactors.local.submitting.task_queue import TaskQueue
from nbactors.local.wire import failures, messages
from simulation import seams
from simulation.plan import Call, Create, Delay, NodeCrash, NodeCrashAfter, Plan, Stall, Task, draw
from simulation.simulation import simulate
from simulation.sockets import Weather

MOST_SEEDS = 5000


def tokens_that_come_back_early_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The node counted no less than zero, so an actor whose handle came back before it was counted lived for ever."""

    real = holders._count

    def count(actor: Any, process: Any, tokens: int, weak: bool) -> bool:
        if weak:
            return real(actor, process, tokens, weak)
        left = max(actor.holders.pop(process.process_id, 0) + tokens, 0)
        if left:
            actor.holders[process.process_id] = left
            process.holds.add(actor.actor_id)
        else:
            process.holds.discard(actor.actor_id)
        return not actor.holders

    patch.setattr(holders, "_count", count)


def counts_before_the_creation_are_refused(patch: pytest.MonkeyPatch) -> None:
    """The node called an actor unknown whose creation came after its first count."""

    def refuse(self: Any, message: Any) -> None:
        self._context.tell(message.process_id, holders.unknown(message.actor_id))

    patch.setattr(holders.EarlyCounts, "keep", refuse)


def nothing_is_sent_behind_a_cancelled_call(patch: pytest.MonkeyPatch) -> None:
    """Calls behind a cancelled one waited for the next call, or for ever."""

    @in_turn
    def cancel(self: Any, call: Any, cancel: Any) -> None:
        if call.connection is not None:
            call.canceled = cancel.mode
            call.connection.send_now(cancel)
        elif self._take_out(call):
            call.canceled = cancel.mode
            self._doom(call, call.error_if_canceled(cancel))

    patch.setattr(Target, "cancel", cancel)


def a_call_that_is_tried_again_comes_last(patch: pytest.MonkeyPatch) -> None:
    """It waited behind the calls that waited for its result."""

    @in_turn
    def try_again(self: Any, connection: Any, answer: Any, call: Any) -> None:
        call.return_to(self._queue_of(call), connection, answer, is_tried=True, is_last=True)
        self._links.keep(self)
        self._pump()

    patch.setattr(LocalActorLink, "_try_again", try_again)


def only_the_first_task_of_a_dead_worker_counts_a_try(patch: pytest.MonkeyPatch) -> None:
    """A task ran again without a retry, since the answer to the task before it had not been sent when both ended."""

    @in_turn
    def lost(self: Any, connection: Any, text: str) -> None:
        calls = [call for call in connection.in_flight.calls.values() if call.connection is connection]
        for call in reversed(calls[1:]):
            self._requeue(call, connection)
        if calls and (calls[0].retries or calls[0].canceled):
            self._requeue(calls[0], connection, is_tried=True)
        elif calls:
            self._doom(calls[0], failures.encode(reasons.worker_crashed(self._label, text)))
        connection.in_flight.calls.clear()
        self._pump()

    patch.setattr(TaskQueue, "lost", lost)


def a_lease_that_was_returned_is_restored_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A worker that returned to the next node after its last holder was counted as leased, and nobody returned it."""
    restored = Restoring.restored

    def forget(self: Any, *args: Any) -> None:
        restored(self, *args)
        self._complete.clear()

    patch.setattr(Restoring, "restored", forget)


def a_process_that_stands_still_loses_patience(patch: pytest.MonkeyPatch) -> None:
    """The time in which it could not search for the next node counted as a search in vain."""
    patch.setattr(node_link, "STEP_S", node_link.PATIENCE_S)


def a_worker_is_idle_twice(patch: pytest.MonkeyPatch) -> None:
    """A worker that returned after its lease was returned to the next node got two leases at the same time."""

    def return_to_lease(self: Any, holder: Any, worker: Any, message: Any) -> None:
        assign = message.assign
        is_returned = worker.lease is None and holder.process_id in self._complete
        self._leases.restore(holder, worker, assign.asked, assign.lease_id, assign.gpu_ids)
        if is_returned:
            self._leases.give_back(holder, messages.ReturnLease(assign.lease_id))
        elif message.blocked:
            self._leases.block(worker)

    patch.setattr(Restoring, "_return_to_lease", return_to_lease)


def plans_of_a_worker_that_returns_late() -> Iterator[Plan]:
    children = (("task", 3, 0, (("sleep", 0.02),)), ("task", 4, 0, ()))
    tasks = (Task(0.0, 1, 0, False, ()), Task(0.0, 2, 0, False, children))
    late = Delay(0, False, 3, 1, 0.6)  # the chunk with the second task, which the worker finds after it stood still
    for seed in range(8):
        yield Plan(seed, Weather(), 4, (*tasks, late, Stall(0.3, 0, 2.0), NodeCrash(0.35)))


def what_nobody_waits_for_is_lost_with_the_node(patch: pytest.MonkeyPatch) -> None:
    """An actor whose constructor's argument had failed lived on, and its calls waited for ever."""
    patch.setattr(NodeLink, "insist", lambda self, make: self.send_now(make(self.number())))


def plans_of_an_actor_that_is_abandoned() -> Iterator[Plan]:
    elements = (
        Create(0.0, 1),
        Call(0.0, 2, 1, None, False, (("sleep", 0.3), ("exit",))),
        Create(0.1, 3, things=(("value", 2),)),
        Call(0.2, 4, 3, None, False, ()),
    )
    for actions in range(1, 40):
        yield Plan(1, Weather(), 4, (*elements, NodeCrashAfter(0, actions, 0)))


BUGS = [
    tokens_that_come_back_early_are_forgotten,
    counts_before_the_creation_are_refused,
    nothing_is_sent_behind_a_cancelled_call,
    a_call_that_is_tried_again_comes_last,
    only_the_first_task_of_a_dead_worker_counts_a_try,
    a_lease_that_was_returned_is_restored_for_ever,
    a_process_that_stands_still_loses_patience,
]


RARE_BUGS = [
    (a_worker_is_idle_twice, plans_of_a_worker_that_returns_late),
    (what_nobody_waits_for_is_lost_with_the_node, plans_of_an_actor_that_is_abandoned),
]
"""Bugs that one of 10,000 seeds finds, with plans that find them sooner."""


def first_failing_seed() -> int | None:
    for seed in range(MOST_SEEDS):
        if simulate(draw(seed)).failures:
            return seed
        if not seed % 50:
            gc.collect()
    return None


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("put_back", BUGS, ids=lambda bug: bug.__name__)
def test_an_old_bug_is_found(put_back: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    put_back(monkeypatch)
    with seams.prepared():
        assert first_failing_seed() is not None


@pytest.mark.parametrize(("put_back", "plans"), RARE_BUGS, ids=lambda part: part.__name__)
def test_a_rare_bug_is_found(
    put_back: Callable[[pytest.MonkeyPatch], None], plans: Callable[[], Iterator[Plan]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with seams.prepared():
        assert not any(simulate(plan).failures for plan in plans())
        put_back(monkeypatch)
        assert any(simulate(plan).failures for plan in plans())
