"""Spares: processes that a forkserver has made ahead, and that have joined the node before their order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from node_scenario import ENVIRONMENT, Client, Scenario

from nbactors.local.node.rules import events
from nbactors.local.wire import messages

OTHER = msgspec.structs.replace(ENVIRONMENT, preload=["numpy"])
RUNTIME_ENV = messages.RuntimeEnv({}, b"/elsewhere", [], b"", b"")
SPARE = b"s" * 16
PID = 500
LATER_S = 20.0
"""Longer than a connection may exist without a Hello."""


@pytest.fixture
def session(node: Scenario) -> Client:
    return node.session()


@pytest.fixture
def environment(node: Scenario, session: Client) -> int:
    """The number of the session's environment."""
    return node.take(events.OpenForkserver)[-1].environment


def joined(node: Scenario, pid: int = PID) -> Client:
    return Client(node, SPARE, "worker", pid, is_spare=True)


@pytest.fixture
def spare(node: Scenario, environment: int) -> Client:
    """A spare of the session's environment that has joined, and that the forkserver has told of."""
    spare = joined(node)
    node.happen(events.SpareMade(environment, SPARE))
    return spare


def take_order(spare: Client) -> None:
    """Have the spare say that it is the worker now."""
    spare.send(messages.Hello(messages.PROTOCOL_VERSION, SPARE, spare.pid, "worker", "1.2.3"))


def order(node: Scenario, session: Client) -> messages.Fork:
    session.create()
    return node.take(events.Spawn)[-1].order


def closed(node: Scenario) -> list[int]:
    return [close.conn for close in node.take(events.Close)]


def removed(node: Scenario) -> list[bytes]:
    return [removal.process_id for removal in node.take(events.RemoveSocket) if removal.is_spare]


class TestItsOrder:
    def test_the_next_worker_has_its_id(self, node: Scenario, session: Client, environment: int) -> None:
        other = node.session(environment=OTHER)
        node.happen(events.SpareMade(environment, SPARE))
        other.create()
        session.create(runtime_env=RUNTIME_ENV)
        for _ in range(2):
            session.create()
        spawns = node.take(events.Spawn)
        assert [spawn.order.process_id == SPARE for spawn in spawns] == [False, False, True, False]
        worker = node.come_alive(spawns[2])
        assert worker.one(messages.Assign).actor_id

    def test_that_of_an_environment_that_is_gone_is_forgotten(self, node: Scenario) -> None:
        node.session(environment=messages.Environment(b"/p", [], [], b"/", {}))  # keeps the node
        session = node.session(environment=OTHER)
        number = node.take(events.OpenForkserver)[-1].environment
        node.happen(events.SpareMade(number, SPARE))
        session.leave()
        node.pass_time(1.0)
        node.happen(events.SpareMade(number, SPARE))
        assert node.state._sessions.environments.spares.order(number) == b""

    @pytest.mark.parametrize(
        "steps",
        ["made joined ordered forked takes", "joined made ordered forked takes", "made ordered joined takes forked",
         "made ordered forked joined takes", "made joined ordered takes forked"],
    )  # fmt: skip
    def test_it_is_the_worker_when_it_has_its_order(
        self, node: Scenario, session: Client, environment: int, steps: str
    ) -> None:
        spare: Any = None
        for step in steps.split():
            if step == "made":
                node.happen(events.SpareMade(environment, SPARE))
            elif step == "joined":
                spare = joined(node)
            elif step == "ordered":
                assert order(node, session).process_id == SPARE
            elif step == "forked":
                node.happen(events.Forked(SPARE, PID))
            else:
                assert not spare.got(messages.Assign)
                assert not session.got(messages.ActorUp)
                take_order(spare)
        assert spare.one(messages.Home).driver == session.process_id
        assert spare.one(messages.Assign).actor_id
        assert session.one(messages.ActorUp).process_id == SPARE
        assert [place.process_id for place in node.take(events.PlaceSocket)] == [SPARE]
        (actor,) = node.state._actors.table
        spare.send(messages.ActorConstructed(actor.actor_id))
        node.end_worker(spare)
        assert session.one(messages.ActorDown).kind == "crashed"

    def test_its_socket_is_placed_before_anybody_is_told_of_it(
        self, node: Scenario, session: Client, spare: Client
    ) -> None:
        order(node, session)
        node.done.clear()
        take_order(spare)
        kinds = [type(one) if not isinstance(one, events.Send) else type(one.message) for one in node.done]
        assert kinds.index(events.PlaceSocket) < kinds.index(messages.ActorUp)

    def test_it_may_wait_for_long(self, node: Scenario, session: Client, spare: Client) -> None:
        node.pass_time(LATER_S)
        assert not closed(node)
        order(node, session)
        take_order(spare)
        assert spare.one(messages.Assign).actor_id

    def test_it_serves_tasks(self, node: Scenario, session: Client, spare: Client) -> None:
        session.request_lease()
        take_order(spare)
        assert session.one(messages.LeaseGranted).process_id == SPARE
        assert spare.one(messages.Assign).lease_id


class TestItsSocket:
    """Its file lies in another folder until it is a worker, and is removed however it ends."""

    def test_it_dies_before_its_hello_and_another_is_made(self, node: Scenario, environment: int) -> None:
        node.happen(events.SpareMade(environment, SPARE))
        assert not removed(node)
        node.happen(events.SpareMade(environment, b"t" * 16))
        assert removed(node) == [SPARE]

    def test_it_dies_before_its_hello_with_its_environment(self, node: Scenario) -> None:
        node.session(environment=messages.Environment(b"/p", [], [], b"/", {}))  # keeps the node
        session = node.session(environment=OTHER)
        node.happen(events.SpareMade(node.take(events.OpenForkserver)[-1].environment, SPARE))
        session.leave()
        node.pass_time(1.0)
        assert removed(node) == [SPARE]

    def test_it_dies_before_its_hello_with_its_order(self, node: Scenario, session: Client, environment: int) -> None:
        node.happen(events.SpareMade(environment, SPARE))
        order(node, session)
        node.happen(events.Forked(SPARE, PID))
        node.happen(events.Exited(SPARE, -9))
        assert removed(node) == [SPARE]

    def test_it_could_not_be_moved(self, node: Scenario, session: Client, spare: Client) -> None:
        order(node, session)
        take_order(spare)
        assert not removed(node)
        spare.leave()
        assert removed(node) == [SPARE]


class TestItsEnd:
    def test_it_ends_before_its_order(self, node: Scenario, session: Client, spare: Client) -> None:
        spare.leave()
        assert removed(node) == [SPARE]
        assert order(node, session).process_id != SPARE

    @pytest.mark.parametrize("is_first", [True, False])
    def test_it_ends_before_its_order_reaches_it(
        self, node: Scenario, session: Client, spare: Client, is_first: bool
    ) -> None:
        """The forkserver notices that, or it has killed the spare, and forks another process with the id."""
        order(node, session)
        if is_first:
            spare.leave()
        node.happen(events.Forked(SPARE, PID + 1))
        worker = Client(node, SPARE, "worker", PID + 1)
        if not is_first:
            spare.leave()
        assert SPARE in removed(node)
        assert worker.one(messages.Assign).actor_id
        assert not node.take(events.PlaceSocket)
        assert not session.got(messages.ActorDown)

    def test_it_ends_after_its_order_was_sent(self, node: Scenario, session: Client, spare: Client) -> None:
        """It cannot have run any code of the actor: another process is tried, and no restart is used up."""
        session.create(max_restarts=1)
        assert node.take(events.Spawn)[-1].order.process_id == SPARE
        node.happen(events.Forked(SPARE, PID))
        spare.leave()
        node.happen(events.Exited(SPARE, -9))
        node.happen(events.OutputEnded(SPARE, ""))
        worker = node.start_worker()
        assert worker.process_id != SPARE
        assert worker.one(messages.Assign).actor_id
        assert not session.got(messages.ActorDown)

    def test_it_is_refused_if_its_forkserver_is_gone(self, node: Scenario, session: Client, spare: Client) -> None:
        order(node, session)
        node.happen(events.ForkserverLost([SPARE], "it has crashed"))
        take_order(spare)
        assert closed(node) == [spare.conn]
        spare.leave()
        assert SPARE in removed(node)
        worker = node.start_worker()
        assert worker.process_id != SPARE
        assert worker.one(messages.Assign).actor_id

    def test_it_is_refused_if_its_actor_was_killed_meanwhile(
        self, node: Scenario, session: Client, spare: Client
    ) -> None:
        order(node, session)
        (actor,) = node.state._actors.table
        session.send(messages.KillActor(node.rid(), actor.actor_id, True))
        take_order(spare)
        assert closed(node) == [spare.conn]
        node.happen(events.Forked(SPARE, PID))
        assert node.killed() == [SPARE]
        assert not spare.got(messages.Assign)
        spare.leave()
        node.happen(events.Exited(SPARE, -9))
        node.happen(events.OutputEnded(SPARE, ""))
        assert SPARE not in node.state._context.processes

    def test_it_is_refused_where_the_worker_has_registered(
        self, node: Scenario, session: Client, environment: int
    ) -> None:
        node.happen(events.SpareMade(environment, SPARE))
        order(node, session)
        Client(node, SPARE, "worker", PID)
        spare = joined(node)
        take_order(spare)
        assert closed(node) == [spare.conn]
        assert not node.take(events.PlaceSocket)

    def test_it_does_not_keep_the_node(self, node: Scenario, session: Client, environment: int) -> None:
        joined(node)
        node.happen(events.SpareMade(environment, SPARE))
        session.leave()
        node.pass_time(LATER_S)
        assert node.take(events.Leave)

    def test_it_may_send_nothing_else_before_its_order(self, node: Scenario) -> None:
        spare = joined(node)
        spare.send(messages.Blocked())
        assert closed(node) == [spare.conn]
