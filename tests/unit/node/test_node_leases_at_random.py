"""Requests, leases, deaths and losses in any order: what the node keeps for its leases all the time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from node_scenario import Client, Scenario

from nbactors.local.node.rules import events
from nbactors.local.node.rules.gpus import UNIT
from nbactors.local.node.rules.leases import LOOK_EVERY_S
from nbactors.local.node.rules.records import Process, Worker
from nbactors.local.node.rules.workers import CONNECT_WITHIN_S
from nbactors.local.wire import messages

TOTALS = {"num_cpus": 3.0, "num_gpus": 1.0, "resources": {"widget": 2.0}}

AMOUNTS: list[dict[str, float]] = [
    {"CPU": 1.0},
    {"CPU": 1.0},
    {"CPU": 2.0},
    {"CPU": 3.0, "widget": 1.0},
    {"widget": 1.0},
    {"GPU": 0.5},
    {"CPU": 1.0, "GPU": 1.0},
    {},
]

numbers = st.integers(0, 99)


@dataclass(eq=False)
class Holder:
    """A process that leases workers, and what it knows of its requests.

    Attributes:
        requests: The requests that the node has not answered yet, with the number of failed starts before them.
        leases: The worker of each lease that was granted and is not over.
    """

    client: Client
    requests: dict[int, int] = field(default_factory=dict)
    leases: dict[int, bytes] = field(default_factory=dict)


class LeasesMachine(RuleBasedStateMachine):
    """Two sessions and the leased workers, which lease workers themselves. The test speaks for all processes."""

    def __init__(self) -> None:
        super().__init__()
        self.node = Scenario(gpus=2)
        self.holders: list[Holder] = []
        self.ordered: list[events.Spawn] = []
        self.workers: dict[bytes, Client] = {}
        self.blocked: set[bytes] = set()
        self.retiring: list[bytes] = []
        self.failed_starts = 0
        self.owed: dict[Any, int] = {}
        """The CPUs that each session has given twice, because a blocked worker goes on."""

    # ------------------------------------------------------------------------------------------------------- rules

    @initialize()
    def open_sessions(self) -> None:
        for _ in range(2):
            self.open_session()

    def open_session(self) -> None:
        self.holders.append(Holder(self.node.session(**TOTALS)))

    def holder(self, number: int) -> Holder:
        return self.holders[number % len(self.holders)]

    @rule(number=numbers, amounts=st.sampled_from(AMOUNTS))
    def request(self, number: int, amounts: dict[str, float]) -> None:
        holder = self.holder(number)
        holder.requests[holder.client.request_lease(amounts)] = self.failed_starts

    @rule(number=numbers)
    def request_late(self, number: int) -> None:
        """Request what an idle worker can serve after it has checked its imported files."""
        self.node.pass_time(LOOK_EVERY_S)
        self.look()
        self.request(number, {"CPU": 1.0})

    @rule(number=numbers)
    def withdraw(self, number: int) -> None:
        holder = self.holder(number)
        if holder.requests:
            rid = sorted(holder.requests)[number % len(holder.requests)]
            holder.client.send(messages.CancelLease(rid))
            del holder.requests[rid]
            assert not holder.client.got(messages.LeaseGranted), "the grant of a withdrawn request"

    @precondition(lambda self: self.ordered)
    @rule()
    def start_all(self) -> None:
        while self.ordered:
            self.start(0)
            self.look()

    @precondition(lambda self: self.ordered)
    @rule(number=numbers)
    def start(self, number: int) -> None:
        spawn = self.ordered.pop(number % len(self.ordered))
        process_id = spawn.order.process_id
        record = self.node.state._context.processes.get(process_id)
        if not isinstance(record, Worker) or record.doomed:
            self.node.happen(events.Forked(process_id, 9))
            self.exit_unregistered(process_id)
            return
        worker = self.workers[process_id] = self.node.come_alive(spawn)
        self.holders.append(Holder(worker))

    def exit_unregistered(self, process_id: bytes) -> None:
        self.failed_starts += 1
        self.node.happen(events.Exited(process_id, -9))
        self.node.happen(events.OutputEnded(process_id, ""))

    @precondition(lambda self: self.ordered)
    @rule(number=numbers)
    def end_before_it_registers(self, number: int) -> None:
        process_id = self.ordered.pop(number % len(self.ordered)).order.process_id
        if number % 4 == 0:
            self.failed_starts += 1
            self.node.happen(events.Forked(process_id, 0, "no memory"))
        else:
            self.node.happen(events.Forked(process_id, 9))
            self.exit_unregistered(process_id)

    @rule(number=numbers)
    def give_back(self, number: int) -> None:
        holder = self.holder(number)
        if holder.leases:
            lease_id = sorted(holder.leases)[number % len(holder.leases)]
            self.finish_task(holder.leases.pop(lease_id))
            holder.client.send(messages.ReturnLease(lease_id))

    @rule()
    def give_all_back(self) -> None:
        """Make most workers idle."""
        for number in range(len(self.holders)):
            while self.holder(number).leases:
                self.give_back(number)

    def finish_task(self, process_id: bytes) -> None:
        """A worker whose lease is given back has no task that waits."""
        if process_id in self.blocked:
            self.unblock_worker(process_id)

    @rule(number=numbers)
    def give_back_the_leases_of_others(self, number: int) -> None:
        holder = self.holder(number)
        for other in self.holders:
            for lease_id in other.leases:
                if other is not holder:
                    holder.client.send(messages.ReturnLease(lease_id))

    @precondition(lambda self: self.workers)
    @rule(number=numbers)
    def crash(self, number: int) -> None:
        checking = [
            worker.process_id for worker in self.records() if worker.looks and worker.process_id in self.workers
        ]
        victims = checking or list(self.workers)
        process_id = victims[number % len(victims)]
        if number % 2:
            self.node.happen(events.Exited(process_id, -9))  # its exit is reported before its connection ends
        self.end_worker(process_id)

    def end_worker(self, process_id: bytes) -> None:
        worker = self.workers.pop(process_id)
        self.blocked.discard(process_id)
        self.holders = [holder for holder in self.holders if holder.client is not worker]
        self.node.end_worker(worker, -9)

    @precondition(lambda self: self.workers)
    @rule(number=numbers)
    def block(self, number: int) -> None:
        process_id = list(self.workers)[number % len(self.workers)]
        self.workers[process_id].send(messages.Blocked())
        self.blocked.add(process_id)

    @precondition(lambda self: self.blocked)
    @rule(number=numbers)
    def unblock(self, number: int) -> None:
        self.unblock_worker(sorted(self.blocked)[number % len(self.blocked)])

    def unblock_worker(self, process_id: bytes) -> None:
        self.blocked.discard(process_id)
        self.workers[process_id].send(messages.Unblocked())
        for session in self.sessions():
            self.owed[session] = max(self.owed.get(session, 0), -session.pool._free["CPU"])

    @precondition(lambda self: self.workers)
    @rule(number=numbers)
    def tell_of_edited_files(self, number: int) -> None:
        for worker in list(self.workers.values()):
            if worker.got(messages.Look):
                worker.send(messages.Looked(number % 3 == 0))

    @precondition(lambda self: self.retiring)
    @rule(number=numbers)
    def retire(self, number: int) -> None:
        process_id = self.retiring.pop(number % len(self.retiring))
        if process_id in self.workers:
            self.end_worker(process_id)

    @rule(number=numbers)
    def lose_the_forkserver(self, number: int) -> None:
        if number % 4 == 0:
            lost, self.ordered = self.ordered, []
            self.failed_starts += len(lost)
            gone = [spawn.order.process_id for spawn in lost] + list(self.workers)
            self.node.happen(events.ForkserverLost(gone, "it is gone"))

    @rule(number=numbers)
    def replace_session(self, number: int) -> None:
        if number % 4 == 0:
            sessions = [holder for holder in self.holders if holder.client.opened is not None]
            holder = sessions[number % len(sessions)]
            self.holders.remove(holder)
            holder.client.leave()
            self.open_session()

    @rule(number=numbers)
    def wait(self, number: int) -> None:
        if number % 4 < 3:
            self.node.pass_time((0.1, 1.0, 1.5)[number % 4])
            return
        for _ in range(2):  # so long that workers which do not register are given up, also those ordered meanwhile
            self.look()
            self.failed_starts += len(self.ordered)
            self.node.pass_time(0.6 * CONNECT_WITHIN_S)

    # -------------------------------------------------------------------------------------------------- invariants

    def sessions(self) -> list[Any]:
        return list(self.node.state._context.sessions.values())

    def processes(self) -> list[Process]:
        return list(self.node.state._context.processes.values())

    def records(self) -> list[Worker]:
        return [process for process in self.processes() if isinstance(process, Worker)]

    def look(self) -> None:
        """Read what the node has told, and end the processes that it has killed."""
        node = self.node
        for note in node.take(events.Note):
            assert "error" not in note.text
        self.ordered += node.take(events.Spawn)
        killed = node.killed()
        while killed:
            for process_id in killed:
                if process_id in self.workers:
                    self.end_worker(process_id)
                else:
                    self.ordered = [spawn for spawn in self.ordered if spawn.order.process_id != process_id]
                    self.exit_unregistered(process_id)
            killed = node.killed()
        self.ordered += node.take(events.Spawn)
        for process_id, worker in self.workers.items():
            if worker.got(messages.Terminate):
                self.retiring.append(process_id)
        for holder in self.holders:
            self.hear(holder)

    def hear(self, holder: Holder) -> None:
        for lost in holder.client.got(messages.LeaseLost):
            # Unless the loss has crossed the return on its way.
            assert holder.leases.pop(lost.lease_id, lost.process_id) == lost.process_id
        for granted in holder.client.got(messages.LeaseGranted):
            holder.requests.pop(granted.rid)  # else nobody has asked for it, or it is the second answer
            holder.leases[granted.lease_id] = granted.process_id
        for refused in holder.client.got(messages.Refused):
            assert refused.kind == "crashed"
            assert holder.requests.pop(refused.rid) < self.failed_starts, refused.text

    @invariant()
    def all_holds(self) -> None:
        self.look()
        self.resources_are_counted_exactly_and_never_given_twice()
        self.every_request_is_queued_or_gets_a_worker()
        self.no_request_waits_although_its_resources_are_free()
        self.no_worker_is_leased_twice()
        self.a_lease_lasts_as_long_as_its_holder()

    def resources_are_counted_exactly_and_never_given_twice(self) -> None:
        for session in self.sessions():
            held: Counter[str] = Counter()
            gpus: Counter[str] = Counter()
            for process in self.processes():
                for lease in process.leases.values():
                    if lease.home is session and lease.allocation is not None:
                        held.update(lease.allocation.held)
                        held["CPU"] -= lease.allocation.lent
                        gpus.update(dict(lease.allocation.gpus))
            pool = session.pool
            for name, free in pool._free.items():
                assert free + held[name] == pool.total[name]
                assert free >= (-self.owed.get(session, 0) if name == "CPU" else 0)
            self.owed[session] = max(0, -pool._free["CPU"])
            assert sum(gpus.values()) == held["GPU"]
        shares: Counter[str] = Counter()
        for process in self.processes():
            for lease in process.leases.values():
                if lease.allocation is not None:
                    shares.update(dict(lease.allocation.gpus))
        assert all(share <= UNIT for share in shares.values())

    def every_request_is_queued_or_gets_a_worker(self) -> None:
        for holder in self.holders:
            record = self.node.state._context.processes.get(holder.client.process_id)
            if record is None or record.lost:
                continue
            waiting = {rid for rid, lease in record.leases.items() if not lease.granted}
            assert waiting == set(holder.requests)
            for rid in waiting:
                lease = record.leases[rid]
                if lease.request is None:
                    assert lease.worker is not None
                    assert lease.worker.lease is lease
                    assert lease.allocation is not None
                else:
                    assert not lease.request.withdrawn

    def no_request_waits_although_its_resources_are_free(self) -> None:
        for session in self.sessions():
            heads = session.queue._heads()
            assert not any(session.queue._may_have(head, heads, self.node.now) for head in heads)

    def no_worker_is_leased_twice(self) -> None:
        known = [process_id for holder in self.holders for process_id in holder.leases.values()]
        alive = [process_id for process_id in known if process_id in self.workers]
        assert len(alive) == len(set(alive))
        leases = [lease for process in self.processes() for lease in process.leases.values()]
        workers = [lease.worker.process_id for lease in leases if lease.worker is not None]
        assert len(workers) == len(set(workers))
        for session in self.sessions():
            assert all(worker.lease is None for worker in session.idle)
            assert len(session.idle) == len(set(map(id, session.idle)))
            for worker in session.workers.values():
                busy = worker.doomed or worker.lost or worker.retired or worker.looks
                assert busy or not worker.ready or worker.lease is not None or worker in session.idle

    def a_lease_lasts_as_long_as_its_holder(self) -> None:
        for process in self.processes():
            if process.lost:
                assert process.leases == {}
        granted = self.node.state._leases._granted
        assert not any(lease.holder.lost for lease in granted.values())
        for holder in self.holders:
            for lease_id in holder.leases:
                assert granted[lease_id].holder.process_id == holder.client.process_id

    # --------------------------------------------------------------------------------------------------------- end

    def teardown(self) -> None:
        """Give everything back and let all workers start: then every request is answered, and nothing is in use."""
        if not self.holders:
            return
        for _ in range(1000):
            for process_id in list(self.blocked):
                self.unblock_worker(process_id)
            self.tell_of_edited_files(1)
            self.give_all_back()
            self.start_all()
            self.look()
            if not self.ordered and not any(holder.requests or holder.leases for holder in self.holders):
                break
            self.node.pass_time(0.01)
        for holder in self.holders:
            assert (holder.requests, holder.leases) == ({}, {})
        for session in self.sessions():
            if session.is_open:
                assert session.pool._free == {
                    name: total for name, total in session.pool.total.items() if name != "GPU"
                }


TestLeases = LeasesMachine.TestCase
# A failed run is shrunk to the shortest one, which takes minutes.
TestLeases.pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
TestLeases.settings = settings(deadline=None, max_examples=60, stateful_step_count=50)
