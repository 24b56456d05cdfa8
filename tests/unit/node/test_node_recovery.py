"""A node that follows a crashed one: processes return to it and declare what the crashed node knew of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from node_scenario import Client, Scenario, create_actor, open_session

from nbactors.local.node.rules import events
from nbactors.local.node.rules.holders import EARLY_S
from nbactors.local.node.rules.recovering.recovery import RECOVER_WITHIN_S
from nbactors.local.node.rules.recovering.restoring import IN_TRANSIT_S
from nbactors.local.wire import messages
from nbactors.local.wire.ids import socket_name

JOB = (7).to_bytes(4, "little")


class Crash:
    """Processes of a crashed node, and the next node."""

    def __init__(self, processes: int, gpus: int = 0, memory_threshold: float = 1.0, **session: Any) -> None:
        ids = [bytes([number]) * 16 for number in range(1, processes + 1)]
        self.driver_id = ids[0]
        self.worker_ids = ids[1:]
        survivors = {socket_name(one): 100 + one[0] for one in ids}
        self.node = Scenario(gpus, survivors=survivors, memory_threshold=memory_threshold)
        opened = open_session(**{"rid": 0, "num_cpus": 4.0, "num_gpus": float(gpus), **session})
        self.home = messages.Home(JOB, self.driver_id, 101, opened)

    def creation(self, **options: Any) -> messages.CreateActor:
        return create_actor(**{"actor_id": b"a" * 16, **options})

    def assign(self, asked: messages.CreateActor | messages.RequestLease, **changes: Any) -> messages.Assign:
        is_actor = isinstance(asked, messages.CreateActor)
        assign = messages.Assign(
            actor_id=asked.actor_id if isinstance(asked, messages.CreateActor) else b"",
            class_name="Counter" if is_actor else "",
            name=asked.name if isinstance(asked, messages.CreateActor) else "",
            namespace="ns",
            job_id=JOB,
            gpu_ids=[],
            resources=asked.resources,
            runtime_env=None,
            graceful_shutdown_s=30.0,
            lease_id=0 if is_actor else 5,
            owner=self.driver_id,
            owner_pid=101,
            asked=asked,
        )
        return msgspec.structs.replace(assign, **changes)

    def driver(self, *declarations: messages.Message, then: tuple[messages.Message, ...] = ()) -> Client:
        client = Client(self.node, self.driver_id, "session", 101, returns=True)
        for message in (messages.Rejoin(self.home), *declarations, messages.Restored(), *then):
            client.send(message)
        return client

    def worker(self, number: int, assign: messages.Assign, **facts: Any) -> Client:
        process_id = self.worker_ids[number]
        client = Client(self.node, process_id, "worker", 100 + process_id[0], returns=True)
        client.send(messages.Rejoin(self.home, assign, **facts))
        client.send(messages.Restored())
        return client

    def vanish(self, process_id: bytes) -> None:
        self.node.happen(events.Vanished(socket_name(process_id)))

    def end(self, process_id: bytes) -> None:
        """Have a worker end, after all its output was read."""
        self.vanish(process_id)
        self.node.happen(events.OutputEnded(process_id, ""))

    def created(self, asked: messages.CreateActor, number: int | None = 0, restarts: int = 0) -> messages.Created:
        if number is None:
            return messages.Created(asked, restarts, b"", 0)
        process_id = self.worker_ids[number]
        return messages.Created(asked, restarts, process_id, 100 + process_id[0])

    def hold(self, asked: messages.CreateActor, tokens: int = 1) -> messages.AddHold:
        return messages.AddHold(asked.actor_id, self.driver_id, tokens)


def row(client: Client) -> Any:
    (only,) = client.ask("actors").actors
    return only


class TestWaiting:
    def test_a_node_without_survivors_answers_at_once(self, node: Scenario) -> None:
        assert node.session().opened

    def test_a_request_waits_until_all_processes_have_returned(self) -> None:
        crash = Crash(2)
        asked = crash.creation(name="kept")
        driver = crash.driver(crash.created(asked), crash.hold(asked), then=(messages.GetActor(9, "kept", ""),))
        assert driver.got(messages.ActorNamed) == []
        crash.worker(0, crash.assign(asked), constructed=True)
        assert driver.one(messages.ActorNamed).actor_id == asked.actor_id

    def test_a_request_waits_no_longer_than_a_second(self) -> None:
        crash = Crash(2)
        driver = crash.driver(then=(messages.GetActor(9, "nobody", ""),))
        crash.node.pass_time(RECOVER_WITHIN_S - 0.01)
        assert driver.got(messages.Refused) == []
        crash.node.pass_time(0.02)
        assert "Failed to look up actor" in driver.one(messages.Refused).text

    def test_a_request_waits_for_no_process_that_has_ended(self) -> None:
        crash = Crash(3)
        driver = crash.driver(then=(messages.GetActor(9, "nobody", ""),))
        crash.vanish(crash.worker_ids[0])
        assert driver.got(messages.Refused) == []
        crash.vanish(crash.worker_ids[1])
        assert driver.one(messages.Refused)

    def test_a_new_session_waits_too(self) -> None:
        crash = Crash(1)
        fresh = Client(crash.node, b"f" * 16, "session")
        fresh.send(msgspec.structs.replace(crash.home.opened, rid=1))
        assert fresh.got(messages.SessionOpened) == []
        crash.driver()
        assert fresh.one(messages.SessionOpened).job_id == (8).to_bytes(4, "little"), "no number is given twice"

    def test_the_node_does_not_leave_while_a_process_may_return(self) -> None:
        crash = Crash(1)
        crash.node.pass_time(20.0)
        assert crash.node.take(events.Leave) == []
        crash.vanish(crash.driver_id)
        crash.node.pass_time(20.0)
        assert crash.node.take(events.Leave)


class TestActors:
    def test_an_actor_is_what_its_worker_says(self) -> None:
        crash = Crash(2)
        asked = crash.creation(name="kept", detached=True, resources={"CPU": 2.0})
        crash.worker(0, crash.assign(asked, restarts=3), constructed=True)
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        up = driver.got(messages.ActorUp)[-1]
        assert (up.process_id, up.restarts) == (crash.worker_ids[0], 3)
        assert (row(driver).state, row(driver).name, row(driver).detached) == ("ALIVE", "kept", True)
        assert driver.ask("available_resources").amounts["CPU"] == 2.0

    def test_the_memory_of_workers_that_have_returned_is_watched(self) -> None:
        crash = Crash(processes=2, memory_threshold=0.9)
        asked = crash.creation()
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        worker = crash.worker(0, crash.assign(asked), constructed=True)
        crash.node.pass_time(1)
        crash.node.happen(events.MemorySampled(89, 100, {}))
        crash.node.pass_time(1)
        assert set(crash.node.take(events.SampleMemory)[-1].pids) == {driver.process_id, worker.process_id}

    def test_an_actor_whose_constructor_runs_is_pending(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        worker = crash.worker(0, crash.assign(asked))
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        assert row(driver).state == "PENDING_CREATION"
        worker.send(messages.ActorConstructed(asked.actor_id))
        assert row(driver).state == "ALIVE"

    def test_an_actor_keeps_its_gpus(self) -> None:
        crash = Crash(2, gpus=2)
        asked = crash.creation(resources={"GPU": 1.0})
        crash.worker(0, crash.assign(asked, gpu_ids=["1"]), constructed=True)
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        driver.create(actor_id=b"b" * 16, resources={"GPU": 1.0})
        crash.node.start_worker()
        assert driver.ask("available_resources").amounts["GPU"] == 0.0
        assigned = [m.message for m in crash.node.take(events.Send) if isinstance(m.message, messages.Assign)]
        assert [assign.gpu_ids for assign in assigned] == [["0"]]

    def test_an_actor_that_was_not_up_is_created(self) -> None:
        crash = Crash(1)
        asked = crash.creation()
        driver = crash.driver(crash.created(asked, None), crash.hold(asked), then=(asked,))
        crash.node.start_worker()
        assert driver.one(messages.ActorUp).actor_id == asked.actor_id
        assert len(crash.node.take(events.Spawn)) == 0, "the request came a second time"

    def test_a_named_request_that_was_not_answered_is_answered_once_more(self) -> None:
        crash = Crash(2)
        asked = crash.creation(name="kept", rid=4)
        crash.worker(0, crash.assign(asked), constructed=False)
        driver = crash.driver(then=(asked,))
        assert driver.one(messages.ActorNamed).created
        crash.node.pass_time(2 * IN_TRANSIT_S)
        assert row(driver).state == "PENDING_CREATION", "the creator holds it"

    def test_an_actor_whose_worker_has_ended_meanwhile_has_crashed(self) -> None:
        crash = Crash(1)
        asked = crash.creation(name="kept")
        ended = messages.Created(asked, 0, b"e" * 16, 150)
        driver = crash.driver(ended, crash.hold(asked))
        down = driver.one(messages.ActorDown)
        assert (down.kind, down.pid) == ("crashed", 150)
        assert driver.ask("named_actors").actors == []

    @pytest.mark.parametrize("restarts", [0, 1])
    def test_an_actor_whose_worker_has_ended_meanwhile_restarts(self, restarts: int) -> None:
        crash = Crash(1)
        asked = crash.creation(max_restarts=1)
        driver = crash.driver(messages.Created(asked, restarts, b"e" * 16, 150), crash.hold(asked))
        if restarts:
            assert driver.one(messages.ActorDown).kind == "crashed"
        else:
            assert driver.one(messages.ActorRestarting).actor_id == asked.actor_id
            crash.node.start_worker()
            assert driver.one(messages.ActorUp).restarts == 1

    def test_a_worker_that_returns_late_keeps_its_actor(self) -> None:
        crash = Crash(2)
        asked = crash.creation(name="kept", resources={"CPU": 1.0})
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        crash.node.pass_time(RECOVER_WITHIN_S)
        assert row(driver).state == "ALIVE"
        assert driver.ask("available_resources").amounts["CPU"] == 3.0
        driver.got(messages.ActorUp)
        crash.worker(0, crash.assign(asked, restarts=2), constructed=True)
        assert driver.one(messages.ActorUp).restarts == 2
        assert driver.ask("available_resources").amounts["CPU"] == 3.0

    def test_a_worker_that_ends_before_it_returns_has_crashed(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        crash.node.pass_time(RECOVER_WITHIN_S)
        crash.vanish(crash.worker_ids[0])
        assert driver.one(messages.ActorDown).kind == "crashed"

    def test_an_actor_that_is_killed_before_its_worker_returns_stays_dead(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        crash.node.pass_time(RECOVER_WITHIN_S)
        driver.send(messages.KillActor(3, asked.actor_id, True))
        crash.worker(0, crash.assign(asked), constructed=True)
        assert row(driver).state == "DEAD"
        assert set(crash.node.killed()) == {crash.worker_ids[0]}

    def test_an_actor_without_a_holder_ends_when_its_last_handle_cannot_be_on_its_way(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        worker = crash.worker(0, crash.assign(asked), constructed=True)
        driver = crash.driver(crash.created(asked))
        crash.node.pass_time(IN_TRANSIT_S - 0.01)
        assert row(driver).state == "ALIVE"
        crash.node.pass_time(0.02)
        assert worker.one(messages.Terminate).kind == "out_of_scope"

    def test_an_actor_whose_last_handle_is_dropped_soon_after_ends_then(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        worker = crash.worker(0, crash.assign(asked), constructed=True)
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        driver.send(messages.ReleaseHold(asked.actor_id, 1))
        assert worker.got(messages.Terminate) == []
        crash.node.pass_time(IN_TRANSIT_S + 0.01)
        assert worker.one(messages.Terminate).kind == "out_of_scope"

    def test_weak_handles_keep_no_actor_and_are_told_of_its_end(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        worker = crash.worker(0, crash.assign(asked), constructed=True)
        watch = messages.AddHold(asked.actor_id, crash.driver_id, 3, weak=True)
        driver = crash.driver(crash.created(asked), crash.hold(asked), watch)
        assert driver.got(messages.ActorUp)
        crash.node.pass_time(IN_TRANSIT_S + 0.01)
        assert worker.got(messages.Terminate) == []
        driver.send(messages.ReleaseHold(asked.actor_id, 1))
        assert worker.one(messages.Terminate).kind == "out_of_scope"
        assert driver.one(messages.ActorDown).kind == "out_of_scope"

    def test_an_actor_with_weak_handles_alone_ends_after_a_recovery(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        worker = crash.worker(0, crash.assign(asked), constructed=True)
        driver = crash.driver(crash.created(asked), messages.AddHold(asked.actor_id, crash.driver_id, 1, weak=True))
        crash.node.pass_time(IN_TRANSIT_S - 0.01)
        assert row(driver).state == "ALIVE"
        crash.node.pass_time(0.02)
        assert worker.one(messages.Terminate).kind == "out_of_scope"

    @pytest.mark.parametrize("returns", ["creator", "actor"])
    def test_a_handle_is_counted_before_the_actor_is_known(self, returns: str) -> None:
        crash = Crash(3)
        asked = crash.creation()
        holder = Client(crash.node, crash.worker_ids[1], "worker", 103, returns=True)
        holder.send(messages.Rejoin(crash.home, crash.assign(crash.creation(actor_id=b"b" * 16)), True))
        holder.send(messages.Restored())
        crash.node.pass_time(RECOVER_WITHIN_S)
        holder.send(messages.AddHold(asked.actor_id, crash.driver_id, 1))
        holder.send(messages.AddHold(asked.actor_id, crash.worker_ids[1], 1))
        crash.node.pass_time(10 * EARLY_S)
        assert holder.got(messages.ActorDown) == [], "its creator or its worker may still return"
        worker = crash.worker(0, crash.assign(asked), constructed=True) if returns == "actor" else None
        crash.driver(crash.created(asked))
        worker = worker or crash.worker(0, crash.assign(asked), constructed=True)
        assert [up.actor_id for up in holder.got(messages.ActorUp)]
        crash.node.pass_time(IN_TRANSIT_S + 1.0)
        assert worker.got(messages.Terminate) == [], "both hold it"

    def test_a_process_that_returns_late_is_told_that_an_actor_is_unknown(self) -> None:
        crash = Crash(2)
        driver = crash.driver()
        crash.node.pass_time(RECOVER_WITHIN_S)
        driver.send(messages.AddHold(b"d" * 16, crash.worker_ids[0], 1))
        crash.node.pass_time(10 * EARLY_S)
        worker = crash.worker(0, crash.assign(crash.creation()), constructed=True)
        worker.send(messages.AddHold(b"d" * 16, crash.worker_ids[0], 0))
        crash.node.pass_time(2 * EARLY_S)
        assert worker.one(messages.ActorDown).kind == "unknown"

    def test_two_actors_do_not_get_one_name(self) -> None:
        crash = Crash(3)
        first, second = crash.creation(name="kept"), crash.creation(name="kept", actor_id=b"b" * 16)
        crash.worker(0, crash.assign(first), constructed=True)
        crash.worker(1, crash.assign(second), constructed=True)
        driver = crash.driver(then=(messages.GetActor(9, "kept", ""),))
        assert driver.one(messages.ActorNamed).actor_id == first.actor_id


class TestSessions:
    def test_a_session_that_is_gone_ends_its_actors_but_the_detached_ones(self) -> None:
        crash = Crash(3)
        plain, kept = crash.creation(), crash.creation(name="kept", actor_id=b"b" * 16, detached=True)
        crash.vanish(crash.driver_id)
        worker = crash.worker(0, crash.assign(plain), constructed=True)
        other = crash.worker(1, crash.assign(kept), constructed=True)
        assert worker.one(messages.Terminate).kind == "session_ended"
        assert other.got(messages.Terminate) == []
        later = crash.node.session()
        later.send(messages.GetActor(1, "kept", "ns"))
        assert later.one(messages.ActorNamed).actor_id == kept.actor_id

    def test_a_session_that_returns_late_is_not_gone(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        worker = crash.worker(0, crash.assign(asked), constructed=True)
        crash.node.pass_time(RECOVER_WITHIN_S + IN_TRANSIT_S - 1)
        assert worker.got(messages.Terminate) == []
        driver = crash.driver(crash.created(asked), crash.hold(asked))
        assert row(driver).state == "ALIVE"

    def test_a_session_that_ends_before_it_returns_is_gone(self) -> None:
        crash = Crash(2)
        worker = crash.worker(0, crash.assign(crash.creation()), constructed=True)
        crash.node.pass_time(RECOVER_WITHIN_S)
        crash.vanish(crash.driver_id)
        assert worker.one(messages.Terminate).kind == "session_ended"

    @pytest.mark.parametrize("vanishes", ["before", "after"])
    def test_a_worker_that_returns_late_ends_if_its_session_is_gone(self, vanishes: str) -> None:
        crash = Crash(3)
        if vanishes == "before":
            crash.vanish(crash.driver_id)
        else:
            crash.worker(1, crash.assign(crash.creation(actor_id=b"b" * 16)), constructed=True)
        crash.node.pass_time(RECOVER_WITHIN_S)
        if vanishes == "after":
            crash.vanish(crash.driver_id)
        worker = crash.worker(0, crash.assign(crash.creation()), constructed=True)
        assert worker.one(messages.Terminate).kind == "session_ended"
        for process_id in crash.worker_ids:
            crash.end(process_id)
        crash.node.pass_time(20.0)
        assert crash.node.take(events.Leave), "the node does not stay for the session"

    def test_a_task_worker_that_returns_late_ends_if_its_session_is_gone(self) -> None:
        crash = Crash(2)
        crash.vanish(crash.driver_id)
        crash.node.pass_time(RECOVER_WITHIN_S)
        crash.worker(0, crash.assign(request()))
        assert crash.node.killed() == [crash.worker_ids[0]]
        crash.end(crash.worker_ids[0])
        crash.node.pass_time(20.0)
        assert crash.node.take(events.Leave)

    def test_an_actor_that_returns_late_ends_if_its_creator_is_gone(self) -> None:
        crash = Crash(2)
        crash.driver()
        crash.node.pass_time(RECOVER_WITHIN_S)
        worker = crash.worker(0, crash.assign(crash.creation(), owner=b"x" * 16, owner_pid=5), constructed=True)
        assert worker.one(messages.Terminate).kind == "owner_died"

    def test_an_actor_of_a_worker_that_is_gone_ends(self) -> None:
        crash = Crash(2)
        asked = crash.creation()
        worker = crash.worker(0, crash.assign(asked, owner=b"x" * 16, owner_pid=5), constructed=True)
        crash.driver()
        assert worker.one(messages.Terminate).kind == "owner_died"

    def test_an_actor_ends_with_the_worker_that_has_created_it_and_returned_later(self) -> None:
        crash = Crash(3)
        parent, child = crash.creation(), crash.creation(actor_id=b"c" * 16)
        creator = Client(crash.node, crash.worker_ids[1], "worker", 103, returns=True)
        worker = crash.worker(0, crash.assign(child, owner=crash.worker_ids[1], owner_pid=103), constructed=True)
        creator.send(messages.Rejoin(crash.home, crash.assign(parent), constructed=True))
        creator.send(messages.Restored())
        crash.driver(crash.hold(parent), crash.hold(child))
        assert worker.got(messages.Terminate) == []
        creator.leave()
        assert worker.one(messages.Terminate).kind == "owner_died"

    def test_its_forkserver_is_started_for_what_comes(self) -> None:
        crash = Crash(1)
        crash.driver()
        assert len(crash.node.take(events.OpenForkserver)) == 1

    def test_a_process_is_told_that_another_has_ended_meanwhile(self) -> None:
        crash = Crash(2)
        driver = crash.driver(then=(messages.Watch(b"e" * 16), messages.Watch(crash.worker_ids[0])))
        crash.node.pass_time(RECOVER_WITHIN_S)
        assert driver.one(messages.ProcessGone).process_id == b"e" * 16
        crash.vanish(crash.worker_ids[0])
        assert driver.one(messages.ProcessGone).process_id == crash.worker_ids[0]

    def test_a_node_that_is_told_to_stop_says_so(self) -> None:
        crash = Crash(1)
        driver = crash.driver()
        crash.node.happen(events.StopAsked())
        assert driver.one(messages.NodeStopped)


def request(rid: int = 3, **changes: Any) -> messages.RequestLease:
    return messages.RequestLease(
        **{
            "rid": rid,
            "resources": {"CPU": 1.0},
            "runtime_env": None,
            "label": "f",
            "sys_path": [],
            "cwd": b"",
            **changes,
        }
    )


class TestLeases:
    def leased(self, crash: Crash) -> messages.Leased:
        return messages.Leased(request(), 5, crash.worker_ids[0], 102)

    def test_a_lease_goes_on(self) -> None:
        crash = Crash(2)
        crash.worker(0, crash.assign(request()), label="f")
        driver = crash.driver(self.leased(crash))
        assert driver.ask("available_resources").amounts["CPU"] == 3.0
        driver.send(messages.ReturnLease(5))
        assert driver.ask("available_resources").amounts["CPU"] == 4.0
        rid = driver.request_lease()
        assert driver.one(messages.LeaseGranted).rid == rid, "the worker is kept for the next lease"

    def test_a_blocked_worker_lends_its_cpu(self) -> None:
        crash = Crash(2)
        worker = crash.worker(0, crash.assign(request()), blocked=True)
        driver = crash.driver(self.leased(crash))
        assert driver.ask("available_resources").amounts["CPU"] == 4.0
        worker.send(messages.Unblocked())
        assert driver.ask("available_resources").amounts["CPU"] == 3.0

    def test_a_lease_that_was_returned_meanwhile_is_free(self) -> None:
        crash = Crash(2)
        crash.worker(0, crash.assign(request()))
        driver = crash.driver()
        assert driver.ask("available_resources").amounts["CPU"] == 4.0
        driver.request_lease()
        assert driver.one(messages.LeaseGranted).process_id == crash.worker_ids[0]

    @pytest.mark.parametrize("claimed", [None, 5, 6])
    def test_two_workers_declare_leases_of_one_request(self, claimed: int | None) -> None:
        """A node had granted the request, and crashed before it told the holder; the next node had granted it again."""
        crash = Crash(3)
        for number in (0, 1):
            crash.worker(number, crash.assign(request(), lease_id=5 + number))
        declared = [messages.Leased(request(), one, crash.worker_ids[one - 5], 97 + one) for one in (5, 6)]
        driver = crash.driver(*(leased for leased in declared if leased.lease_id == claimed))
        assert driver.ask("available_resources").amounts["CPU"] == (3.0 if claimed else 4.0)
        driver.send(messages.ReturnLease(claimed or 5))
        assert driver.ask("available_resources").amounts["CPU"] == 4.0
        for _ in range(2):
            driver.request_lease()
        assert {granted.process_id for granted in driver.got(messages.LeaseGranted)} == set(crash.worker_ids)

    @pytest.mark.parametrize("is_claimed", [True, False])
    def test_the_worker_of_a_worker_returns_first(self, is_claimed: bool) -> None:
        """The node knows of the holder that it has greeted, but not yet that the holder is a worker."""
        crash = Crash(3)
        holder = Client(crash.node, crash.worker_ids[1], "worker", 103, returns=True)
        crash.worker(0, crash.assign(request(), owner=crash.worker_ids[1], owner_pid=103))
        holder.send(messages.Rejoin(crash.home, crash.assign(crash.creation()), constructed=True))
        if is_claimed:
            holder.send(self.leased(crash))
        holder.send(messages.Restored())
        driver = crash.driver(messages.AddHold(b"a" * 16, crash.driver_id, 1))
        assert driver.ask("available_resources").amounts["CPU"] == (3.0 if is_claimed else 4.0)
        holder.send(messages.ReturnLease(5))
        assert driver.ask("available_resources").amounts["CPU"] == 4.0

    def test_the_holder_is_told_that_its_worker_has_ended_meanwhile(self) -> None:
        crash = Crash(1)
        driver = crash.driver(messages.Leased(request(), 5, b"e" * 16, 150))
        assert driver.one(messages.LeaseLost).process_id == b"e" * 16
        assert driver.ask("available_resources").amounts["CPU"] == 4.0

    @pytest.mark.parametrize("returns", [True, False])
    def test_a_worker_that_returns_late_keeps_its_lease(self, returns: bool) -> None:
        crash = Crash(2)
        driver = crash.driver(self.leased(crash))
        crash.node.pass_time(RECOVER_WITHIN_S)
        assert driver.ask("available_resources").amounts["CPU"] == 3.0
        if returns:
            crash.worker(0, crash.assign(request()))
            assert driver.ask("available_resources").amounts["CPU"] == 3.0
        else:
            crash.vanish(crash.worker_ids[0])
            assert driver.one(messages.LeaseLost).lease_id == 5

    def test_a_worker_that_returns_late_is_free_if_its_holder_has_returned_the_lease(self) -> None:
        crash = Crash(2)
        driver = crash.driver()
        crash.node.pass_time(RECOVER_WITHIN_S)
        crash.worker(0, crash.assign(request()))
        assert driver.ask("available_resources").amounts["CPU"] == 4.0
        driver.request_lease()
        assert driver.one(messages.LeaseGranted).process_id == crash.worker_ids[0]

    def test_a_worker_whose_lease_this_node_has_taken_back_has_one_lease_at_a_time(self) -> None:
        """It returns after that, and still declares the lease."""
        crash = Crash(2)
        driver = crash.driver(self.leased(crash))
        crash.node.pass_time(RECOVER_WITHIN_S)
        driver.send(messages.ReturnLease(5))
        worker = crash.worker(0, crash.assign(request()))
        rids = [driver.request_lease(), driver.request_lease()]
        granted = driver.one(messages.LeaseGranted)
        assert (granted.rid, granted.process_id) == (rids[0], crash.worker_ids[0])
        assert worker.one(messages.Assign).lease_id == granted.lease_id
        fresh = crash.node.start_worker()
        assert driver.one(messages.LeaseGranted).process_id == fresh.process_id

    def test_a_worker_that_returns_late_with_an_old_lease_leaves_the_leases_of_this_node(self) -> None:
        """The crashed node has numbered its leases, too."""
        crash = Crash(2)
        driver = crash.driver()
        crash.node.pass_time(RECOVER_WITHIN_S)
        driver.request_lease()
        fresh = crash.node.start_worker()
        granted = driver.one(messages.LeaseGranted)
        crash.worker(0, crash.assign(request(), lease_id=1))
        driver.send(messages.ReturnLease(granted.lease_id))
        assert driver.ask("available_resources").amounts["CPU"] == 4.0
        for _ in range(2):
            driver.request_lease()
        leased = {granted.process_id for granted in driver.got(messages.LeaseGranted)}
        assert leased == {fresh.process_id, crash.worker_ids[0]}

    @pytest.mark.parametrize("is_late", [True, False])
    def test_a_worker_that_runs_no_more_tasks_is_not_leased_again(self, is_late: bool) -> None:
        crash = Crash(2)
        driver = crash.driver() if is_late else None
        crash.node.pass_time(RECOVER_WITHIN_S if is_late else 0)
        worker = crash.worker(0, crash.assign(request()))
        worker.send(messages.Spent())
        driver = driver or crash.driver()
        assert worker.one(messages.Terminate).kind == "idle"
        driver.request_lease()
        assert driver.got(messages.LeaseGranted) == []
        fresh = crash.node.start_worker()
        assert driver.one(messages.LeaseGranted).process_id == fresh.process_id

    def test_a_worker_waits_for_its_holder_that_returns_late(self) -> None:
        crash = Crash(2)
        crash.worker(0, crash.assign(request()))
        crash.node.pass_time(RECOVER_WITHIN_S)
        assert crash.node.killed() == []
        driver = crash.driver(self.leased(crash))
        assert driver.ask("available_resources").amounts["CPU"] == 3.0

    def test_a_worker_without_a_holder_ends(self) -> None:
        crash = Crash(2)
        crash.worker(0, crash.assign(request(), owner=b"x" * 16))
        crash.driver()
        assert crash.node.killed() == [crash.worker_ids[0]]

    @pytest.mark.parametrize("keeps", [True, False])
    def test_a_worker_may_declare_its_leases_after_its_leased_worker_has_returned(self, keeps: bool) -> None:
        crash = Crash(3)
        holder_id, leased_id = crash.worker_ids
        holder = Client(crash.node, holder_id, "worker", 102, returns=True)
        crash.worker(1, crash.assign(request(), owner=holder_id, owner_pid=102))
        driver = crash.driver()
        holder.send(messages.Rejoin(crash.home, crash.assign(crash.creation()), True))
        if keeps:
            holder.send(messages.Leased(request(), 5, leased_id, 103))
        holder.send(messages.Restored())
        assert driver.ask("available_resources").amounts["CPU"] == (3.0 if keeps else 4.0)
        holder.leave()
        crash.node.pass_time(1.0)
        assert (leased_id in crash.node.killed()) == keeps

    def test_an_actor_of_a_worker_that_returns_after_it_ends_with_that_worker(self) -> None:
        crash = Crash(3)
        creator_id = crash.worker_ids[0]
        creator = Client(crash.node, creator_id, "worker", 102, returns=True)
        child = crash.creation(actor_id=b"b" * 16)
        worker = crash.worker(1, crash.assign(child, owner=creator_id, owner_pid=102), constructed=True)
        crash.driver()
        creator.send(messages.Rejoin(crash.home, crash.assign(crash.creation()), True))
        creator.send(messages.Restored())
        creator.leave()
        assert worker.one(messages.Terminate).kind == "owner_died"

    def test_an_open_request_is_granted_once(self) -> None:
        crash = Crash(1)
        driver = crash.driver(then=(request(), request()))
        crash.node.start_worker()
        assert driver.one(messages.LeaseGranted).rid == 3
        assert driver.ask("available_resources").amounts["CPU"] == 3.0

    def test_no_lease_gets_a_number_of_an_old_one(self) -> None:
        crash = Crash(2)
        crash.worker(0, crash.assign(request()))
        driver = crash.driver(self.leased(crash))
        driver.request_lease()
        crash.node.start_worker()
        assert driver.one(messages.LeaseGranted).lease_id > 5 + 100


class TestAWorkerThatWasNotToldWhatItIsFor:
    """The crashed node has told whoever had asked for it."""

    def unassigned(self, crash: Crash, knows_home: bool) -> Client:
        client = Client(crash.node, crash.worker_ids[0], "worker", 102, returns=True)
        client.send(messages.Rejoin(crash.home if knows_home else None))
        client.send(messages.Restored())
        return client

    @pytest.mark.parametrize("knows_home", [True, False])
    @pytest.mark.parametrize("is_first", [True, False])
    def test_its_holder_tells(self, knows_home: bool, is_first: bool) -> None:
        crash = Crash(2)
        leased = messages.Leased(request(), 5, crash.worker_ids[0], 102)
        if is_first:
            worker = self.unassigned(crash, knows_home)
            crash.driver(leased)
        else:
            crash.driver(leased)
            crash.node.pass_time(RECOVER_WITHIN_S)
            worker = self.unassigned(crash, knows_home)
        assert worker.one(messages.Assign).lease_id == 5
        assert worker.one(messages.Home) == crash.home

    @pytest.mark.parametrize("is_first", [True, False])
    def test_its_creator_tells(self, is_first: bool) -> None:
        crash = Crash(2)
        asked = crash.creation()
        if is_first:
            worker = self.unassigned(crash, knows_home=True)
            driver = crash.driver(crash.created(asked), crash.hold(asked))
        else:
            driver = crash.driver(crash.created(asked), crash.hold(asked))
            crash.node.pass_time(RECOVER_WITHIN_S)
            worker = self.unassigned(crash, knows_home=True)
        assert worker.one(messages.Assign).actor_id == asked.actor_id
        assert row(driver).pid == 102

    @pytest.mark.parametrize("is_late", [True, False])
    def test_it_ends_if_nobody_tells(self, is_late: bool) -> None:
        crash = Crash(2)
        if is_late:
            crash.driver()
            crash.node.pass_time(RECOVER_WITHIN_S)
        worker = self.unassigned(crash, knows_home=True)
        if not is_late:
            crash.driver()
        assert "has to exit" in worker.one(messages.Refused).text

    def test_it_does_not_keep_its_session_if_that_is_gone(self) -> None:
        crash = Crash(2)
        crash.vanish(crash.driver_id)
        crash.node.pass_time(RECOVER_WITHIN_S)
        worker = self.unassigned(crash, knows_home=True)
        assert worker.one(messages.Refused)
        crash.vanish(crash.worker_ids[0])
        worker.leave()
        crash.node.pass_time(20.0)
        assert crash.node.take(events.Leave)

    @pytest.mark.parametrize("is_first", [True, False])
    def test_its_present_holder_counts_more_than_its_last_one(self, is_first: bool) -> None:
        crash = Crash(2)
        present = messages.Leased(request(8), 6, crash.worker_ids[0], 102)
        if is_first:
            worker = crash.worker(0, crash.assign(request()))
            driver = crash.driver(present)
        else:
            driver = crash.driver(present)
            crash.node.pass_time(RECOVER_WITHIN_S)
            worker = crash.worker(0, crash.assign(request()))
        assert worker.one(messages.Assign).lease_id == 6
        assert driver.ask("available_resources").amounts["CPU"] == 3.0
        driver.send(messages.ReturnLease(6))
        assert driver.ask("available_resources").amounts["CPU"] == 4.0


def test_demands_on_labels_hold_at_the_next_node() -> None:
    crash = Crash(1, labels={"zone": "a"})
    waiting, starting = (
        crash.creation(actor_id=name * 16, selectors=[[messages.LabelTerm("zone", "in", [zone])]])
        for name, zone in ((b"a", "b"), (b"b", "a"))
    )
    declared = [messages.Created(asked, 0, b"", 0) for asked in (waiting, starting)]
    driver = crash.driver(*declared, crash.hold(waiting), crash.hold(starting))
    assert len(crash.node.take(events.Spawn)) == 1
    assert "zone=b" in driver.one(messages.Warn).text
