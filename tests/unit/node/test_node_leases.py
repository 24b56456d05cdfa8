"""Workers that the node leases for tasks."""

from __future__ import annotations

import pytest
from node_scenario import Scenario

from nbactors.local.node.rules import events, leases, workers
from nbactors.local.wire import messages


class TestLeases:
    def test_a_worker_that_is_given_back_is_leased_again(self, node: Scenario) -> None:
        session = node.session()
        rid = session.request_lease()
        worker = node.start_worker()
        granted = session.one(messages.LeaseGranted)
        assert (granted.rid, granted.process_id) == (rid, worker.process_id)
        assert worker.one(messages.Assign).resources == {"CPU": 1.0}
        assert session.ask("available_resources").amounts["CPU"] == 1.0
        session.send(messages.ReturnLease(granted.lease_id))
        assert session.ask("available_resources").amounts["CPU"] == 2.0
        session.request_lease()
        assert node.take(events.Spawn) == []
        assert session.one(messages.LeaseGranted).process_id == worker.process_id

    @pytest.mark.parametrize("is_told", ["while it is leased", "while it is idle"])
    def test_a_worker_that_runs_no_more_tasks_is_not_leased_again(self, node: Scenario, is_told: str) -> None:
        session = node.session()
        session.request_lease()
        worker = node.start_worker()
        lease_id = session.one(messages.LeaseGranted).lease_id
        if is_told == "while it is leased":
            worker.send(messages.Spent())
            assert worker.got(messages.Terminate) == [], "the holder has to return it first"
        session.send(messages.ReturnLease(lease_id))
        if is_told == "while it is idle":
            assert worker.got(messages.Terminate) == []
            worker.send(messages.Spent())
        assert worker.one(messages.Terminate).kind == "idle"
        session.request_lease()
        assert len(node.take(events.Spawn)) == 1
        assert node.killed() == [], "other processes may need what it owns"

    def test_requests_for_workers_are_granted_in_order(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        rids = [session.request_lease() for _ in range(3)]
        node.start_worker()
        for rid in rids:
            granted = session.one(messages.LeaseGranted)
            assert granted.rid == rid
            session.send(messages.ReturnLease(granted.lease_id))

    def test_a_worker_is_not_leased_for_another_runtime_env(self, node: Scenario) -> None:
        session = node.session()
        session.request_lease()
        node.start_worker()
        session.send(messages.ReturnLease(session.one(messages.LeaseGranted).lease_id))
        env = messages.RuntimeEnv({b"A": b"1"}, b"", [])
        session.send(messages.RequestLease(9, {"CPU": 1.0}, env, "g", [], b""))
        (spawn,) = node.take(events.Spawn)
        assert spawn.order.runtime_env == env

    def test_a_process_that_is_about_to_end_is_told_that_it_gets_no_worker(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        session.create_alive(resources={})
        _, owner = session.create_alive(resources={})
        session.request_lease()
        node.start_worker()
        rid = owner.request_lease()
        session.leave()
        refused = owner.one(messages.Refused)
        assert (refused.rid, refused.kind) == (rid, "runtime")
        assert "about to end" in refused.text

    def test_a_blocked_worker_lends_its_cpus(self, node: Scenario) -> None:
        session = node.session(num_cpus=1)
        session.request_lease()
        outer = node.start_worker()
        inner_rid = outer.request_lease()
        assert node.take(events.Spawn) == []
        outer.send(messages.Blocked())
        node.start_worker()
        granted = outer.one(messages.LeaseGranted)
        assert granted.rid == inner_rid
        outer.send(messages.Unblocked())
        session.request_lease()
        outer.send(messages.ReturnLease(granted.lease_id))
        assert session.got(messages.LeaseGranted)[1:] == []
        assert session.ask("available_resources").amounts["CPU"] == 0.0

    def test_the_holder_of_a_lease_is_told_why_its_worker_died(self, node: Scenario) -> None:
        session = node.session()
        session.request_lease()
        worker = node.start_worker()
        granted = session.one(messages.LeaseGranted)
        node.end_worker(worker, -9, "bye")
        lost = session.one(messages.LeaseLost)
        assert (lost.lease_id, lost.process_id) == (granted.lease_id, worker.process_id)
        assert "killed by SIGKILL" in lost.text
        assert "bye" in lost.text
        assert session.ask("available_resources").amounts["CPU"] == 2.0

    def test_a_request_is_refused_after_several_workers_did_not_start(self, node: Scenario) -> None:
        session = node.session()
        rid = session.request_lease()
        for _ in range(workers.ATTEMPTS):
            assert session.got(messages.Refused) == []
            (spawn,) = node.take(events.Spawn)
            node.happen(events.Forked(spawn.order.process_id, 9))
            node.happen(events.Exited(spawn.order.process_id, 1))
            node.happen(events.OutputEnded(spawn.order.process_id, ""))
        refused = session.one(messages.Refused)
        assert (refused.rid, refused.kind) == (rid, "crashed")
        assert "no worker for task f" in refused.text

    def test_a_request_is_refused_after_several_forkservers_were_lost(self, node: Scenario) -> None:
        """For example because its installation lacks a module, which its log says."""
        session = node.session()
        rid = session.request_lease()
        for _ in range(workers.ATTEMPTS):
            (spawn,) = node.take(events.Spawn)
            node.happen(events.ForkserverLost([spawn.order.process_id], "cannot import what a worker needs"))
        refused = session.one(messages.Refused)
        assert (refused.rid, refused.kind) == (rid, "crashed")
        assert "cannot import what a worker needs" in refused.text
        assert node.take(events.Spawn) == []

    def test_a_request_is_refused_at_once_when_its_runtime_env_cannot_be_applied(self, node: Scenario) -> None:
        session = node.session()
        session.request_lease()
        (spawn,) = node.take(events.Spawn)
        node.happen(events.Forked(spawn.order.process_id, 9))
        node.happen(events.Exited(spawn.order.process_id, messages.NO_RUNTIME_ENV))
        node.happen(events.OutputEnded(spawn.order.process_id, "No such file or directory"))
        refused = session.one(messages.Refused)
        assert refused.kind == "runtime_env"
        assert "No such file or directory" in refused.text
        assert node.take(events.Spawn) == []

    def test_a_cancelled_request_is_not_granted_and_its_worker_becomes_idle(self, node: Scenario) -> None:
        session = node.session()
        rid = session.request_lease()
        session.send(messages.CancelLease(rid))
        worker = node.start_worker()
        assert session.got(messages.LeaseGranted) == []
        session.request_lease()
        assert session.one(messages.LeaseGranted).process_id == worker.process_id

    def test_the_leased_workers_of_a_process_that_ends_are_killed(self, node: Scenario) -> None:
        session = node.session()
        _, parent = session.create_alive()
        parent.request_lease()
        task_worker = node.start_worker()
        parent.request_lease({"CPU": 9.0})
        parent.leave()
        assert node.killed() == [task_worker.process_id]
        assert session.ask("available_resources").amounts["CPU"] == 2.0

    def test_a_worker_that_held_gpus_is_not_leased_again(self) -> None:
        node = Scenario(gpus=1)
        session = node.session(num_gpus=-1)
        assert session.opened.detected_gpus == ["0"]
        session.request_lease({"GPU": 0.5})
        worker = node.start_worker()
        assert worker.one(messages.Assign).gpu_ids == ["0"]
        session.send(messages.ReturnLease(session.one(messages.LeaseGranted).lease_id))
        assert worker.one(messages.Terminate).kind == "idle"
        session.request_lease({"GPU": 0.5})
        assert len(node.take(events.Spawn)) == 1

    def test_a_session_keeps_no_more_idle_workers_than_it_has_cpus(self, node: Scenario) -> None:
        session = node.session()
        running = []
        for _ in range(3):
            session.request_lease({})
            running.append(node.start_worker())
        for granted in session.got(messages.LeaseGranted):
            session.send(messages.ReturnLease(granted.lease_id))
        assert [len(worker.got(messages.Terminate)) for worker in running] == [1, 0, 0]

    def test_an_actor_waits_for_a_gpu_that_another_session_uses(self) -> None:
        node = Scenario(gpus=1)
        first, second = node.session(num_gpus=-1), node.session(num_gpus=-1)
        _, worker = first.create_alive(resources={"GPU": 1.0})
        second.create(resources={"GPU": 1.0})
        assert node.take(events.Spawn) == []
        assert second.got(messages.Warn) == []
        node.end_worker(worker)
        assert len(node.take(events.Spawn)) == 1


class Pool:
    """A session with one idle task worker."""

    def __init__(self, node: Scenario) -> None:
        self.node = node
        self.session = node.session()
        self.session.request_lease()
        self.worker = node.start_worker()
        self.give_back()

    def give_back(self) -> None:
        self.session.send(messages.ReturnLease(self.granted().lease_id))

    def granted(self) -> messages.LeaseGranted:
        return self.session.one(messages.LeaseGranted)

    def ask_late(self) -> None:
        """Request a lease when the worker's last check was long ago."""
        self.node.pass_time(leases.LOOK_EVERY_S)
        self.session.request_lease()


class TestEditedCode:
    def test_a_worker_checks_its_imported_files_before_a_lease_but_not_each_time(self, node: Scenario) -> None:
        pool = Pool(node)
        for looks in (1, 0, 0):
            pool.ask_late() if looks else pool.session.request_lease()
            assert len(pool.worker.got(messages.Look)) == looks
            if looks:
                assert pool.session.got(messages.LeaseGranted) == []
                pool.worker.send(messages.Looked(False))
            pool.give_back()
        assert node.take(events.Spawn) == []

    def test_a_worker_that_has_imported_an_edited_file_is_not_leased_again(self, node: Scenario) -> None:
        pool = Pool(node)
        pool.ask_late()
        pool.worker.send(messages.Looked(True))
        assert pool.worker.one(messages.Terminate).kind == "idle"
        fresh = node.start_worker()
        assert pool.granted().process_id == fresh.process_id
        assert pool.session.ask("available_resources").amounts["CPU"] == 1.0

    def test_a_worker_that_does_not_finish_its_check_is_not_leased_again(self, node: Scenario) -> None:
        pool = Pool(node)
        pool.ask_late()
        node.pass_time(leases.LOOK_WITHIN_S)
        assert pool.worker.one(messages.Terminate).kind == "idle"
        fresh = node.start_worker()
        assert pool.granted().process_id == fresh.process_id
        pool.worker.send(messages.Looked(False))
        assert pool.session.got(messages.LeaseGranted) == []

    def test_a_worker_that_dies_during_its_check_is_replaced(self, node: Scenario) -> None:
        pool = Pool(node)
        pool.ask_late()
        node.end_worker(pool.worker, -9)
        assert pool.session.got(messages.Refused) == []
        fresh = node.start_worker()
        assert pool.granted().process_id == fresh.process_id

    def test_a_worker_whose_lease_is_cancelled_during_its_check_becomes_idle(self, node: Scenario) -> None:
        pool = Pool(node)
        pool.ask_late()
        rid = node.rid()
        pool.session.send(messages.CancelLease(rid - 1))
        pool.worker.send(messages.Looked(False))
        pool.session.request_lease()
        assert pool.granted().process_id == pool.worker.process_id

    def test_a_worker_is_killed_during_its_check_when_its_session_ends(self, node: Scenario) -> None:
        pool = Pool(node)
        pool.ask_late()
        pool.session.leave()
        assert node.killed() == [pool.worker.process_id]

    def test_an_unexpected_result_of_a_check_changes_nothing(self, node: Scenario) -> None:
        pool = Pool(node)
        pool.worker.send(messages.Looked(True))
        assert pool.worker.got(messages.Terminate) == []
