"""The node forgets processes, actors and requests that have ended, except for the most recent ones."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest
from node_scenario import ENVIRONMENT, Scenario

from nbactors.local.node.rules import actor_table, events, workers
from nbactors.local.node.rules.alarms import FEW, Alarms
from nbactors.local.node.rules.tracing import actor_log
from nbactors.local.wire import messages

CYCLES = 100


def session(node: Scenario) -> None:
    client = node.session()
    client.send(messages.CloseSession(node.rid()))
    client.leave()


def session_of_another_environment(node: Scenario) -> None:
    path = [b"/%d" % node.rid()]
    node.session(environment=msgspec.structs.replace(ENVIRONMENT, sys_path=path)).leave()


def session_with_actors(node: Scenario) -> None:
    client = node.session()
    _, worker = client.create_alive(name="n")
    client.leave()
    node.end_worker(worker)


def command_line(node: Scenario) -> None:
    node.command_line().leave()


def stranger(node: Scenario) -> None:
    node.happen(events.Disconnected(node.connect()))


CASES = [session, session_of_another_environment, session_with_actors, command_line, stranger]


def actor(node: Scenario, client: Any) -> None:
    _, worker = client.create_alive(name="n", placement={})
    node.end_worker(worker)


def actor_that_is_withdrawn(node: Scenario, client: Any) -> None:
    client.send(messages.ReleaseHold(client.create(resources={"CPU": 2.0}), 1))


def request(node: Scenario, client: Any) -> None:
    client.send(messages.CancelLease(client.request_lease({"CPU": 2.0})))


def task(node: Scenario, client: Any) -> None:
    client.request_lease({})
    worker = node.start_worker()
    client.got(messages.LeaseGranted)
    node.end_worker(worker)
    client.got(messages.LeaseLost)


def watched(node: Scenario, client: Any) -> None:
    other = node.session()
    client.send(messages.Watch(other.process_id))
    other.leave()


def actor_that_restarts(node: Scenario, client: Any) -> None:
    actor_id, worker = client.create_alive(name="n", placement={}, max_restarts=1)
    for _ in range(2):
        node.end_worker(worker, -9)
        client.got(messages.ActorRestarting)
        if spawns := node.take(events.Spawn):
            worker = node.come_alive(spawns[-1])
            worker.send(messages.ActorConstructed(actor_id))
    assert client.got(messages.ActorDown)[-1].actor_id == actor_id


def actor_that_ends_while_it_restarts(node: Scenario, client: Any) -> None:
    actor_id, worker = client.create_alive(name="n", placement={}, max_restarts=-1)
    node.end_worker(worker, -9)
    client.send(messages.KillActor(node.rid(), actor_id, True))
    (spawn,) = node.take(events.Spawn)
    node.happen(events.Forked(spawn.order.process_id, 9))
    node.happen(events.Exited(spawn.order.process_id, -9))
    node.happen(events.OutputEnded(spawn.order.process_id, ""))


IN_A_SESSION = [
    actor,
    actor_that_is_withdrawn,
    actor_that_restarts,
    actor_that_ends_while_it_restarts,
    request,
    task,
    watched,
]


def kept(node: Scenario) -> Counter[str]:
    """Count the objects that are reachable from the node's state."""
    node.done.clear()
    found: Counter[str] = Counter()
    seen: set[int] = set()
    queue: deque[Any] = deque([node.state])
    while queue:
        thing = queue.popleft()
        if id(thing) in seen or isinstance(thing, type) or callable(getattr(thing, "__code__", None)):
            continue
        seen.add(id(thing))
        found[type(thing).__name__] += 1
        queue.extend(part for part in gc.get_referents(thing) if not _is_code(part))
    return found


def _is_code(thing: Any) -> bool:
    return isinstance(thing, str | bytes | int | float | ModuleType) or hasattr(thing, "__globals__")


@pytest.fixture
def few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the node remember only few dead actors and logs, so that tests reach the limits."""
    monkeypatch.setattr(actor_table, "KEEP_DEAD", 5)
    monkeypatch.setattr(workers, "KEEP_LOGS", 5)
    monkeypatch.setattr(actor_log, "KEEP", 5)


def grown(node: Scenario, cycle: Callable[[], None]) -> dict[str, int]:
    for _ in range(CYCLES):
        cycle()
    before = kept(node)
    for _ in range(3 * CYCLES):
        cycle()
    now = kept(node)
    return {name: count - before[name] for name, count in now.items() if count - before[name] >= CYCLES}


@pytest.mark.usefixtures("few_records")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_records_of_the_node_do_not_grow(node: Scenario, case: Callable[[Scenario], None]) -> None:
    assert grown(node, lambda: (case(node), node.pass_time(0.1))) == {}  # type: ignore[arg-type,return-value]


@pytest.mark.usefixtures("few_records")
@pytest.mark.parametrize("case", IN_A_SESSION, ids=lambda case: case.__name__)
def test_the_records_of_an_open_session_do_not_grow(node: Scenario, case: Callable[[Scenario, Any], None]) -> None:
    client = node.session(num_cpus=2)
    client.create(resources={"CPU": 1.0})
    first = node.start_worker()
    client.create(resources={"CPU": 2.0})  # waits for ever, and so do later requests for the same
    assert grown(node, lambda: (case(node, client), node.pass_time(0.7))) == {}  # type: ignore[arg-type,return-value]
    assert first.conn


@pytest.mark.usefixtures("few_records")
def test_the_records_do_not_grow_with_the_restarts_of_an_actor(node: Scenario) -> None:
    client = node.session()
    actor_id, worker = client.create_alive(name="n", resources={"CPU": 1.0}, max_restarts=-1)

    def restart() -> None:
        nonlocal worker
        node.end_worker(worker, -9)
        worker = node.start_worker()
        worker.send(messages.ActorConstructed(actor_id))
        node.pass_time(0.7)

    assert grown(node, restart) == {}
    assert client.states() == ["ALIVE"]


@pytest.mark.usefixtures("few_records")
def test_the_logs_of_the_last_workers_are_kept(node: Scenario) -> None:
    client = node.session()
    ended = []
    for _ in range(10):
        _, worker = client.create_alive()
        node.end_worker(worker)
        ended.append(worker.process_id)
    assert [removed.process_id for removed in node.take(events.RemoveLog)] == ended[:5]
    ended = []
    for _ in range(10):
        client.request_lease({})
        worker = node.start_worker()
        node.end_worker(worker)
        ended.append(worker.process_id)
    assert [removed.process_id for removed in node.take(events.RemoveLog)] == ended[:5]


class TestForkservers:
    def environment(self, number: int) -> messages.Environment:
        return msgspec.structs.replace(ENVIRONMENT, sys_path=[b"/%d" % number])

    def closed(self, node: Scenario) -> list[int]:
        return [closed.environment for closed in node.take(events.CloseForkserver)]

    def test_the_forkserver_used_last_is_kept_for_a_while(self) -> None:
        node = Scenario(linger_s=3600.0)
        for number in (1, 2, 3):
            node.session(environment=self.environment(number)).leave()
        assert self.closed(node) == [1, 2]
        node.pass_time(3600.0)
        assert self.closed(node) == [3]

    def test_a_forkserver_that_is_used_again_is_not_closed(self) -> None:
        node = Scenario(linger_s=3600.0)
        node.session(environment=self.environment(1)).leave()
        first = node.session(environment=self.environment(1))
        node.session(environment=self.environment(2)).leave()
        node.pass_time(1800.0)
        assert self.closed(node) == []
        first.leave()
        assert self.closed(node) == [2]
        node.pass_time(3600.0)
        assert self.closed(node) == [1]


def test_most_alarms_that_were_taken_back_are_removed() -> None:
    alarms, rung = Alarms(), []
    alarms.set(50.0, lambda: rung.append("stays"))
    for _ in range(1000):
        alarms.take_back(alarms.set(60.0, lambda: rung.append("taken back")))
    assert len(alarms) <= 2 * FEW + 2
    assert alarms.deadline == 50.0
    alarms.ring(60.0)
    assert rung == ["stays"]
    alarms.take_back(None)
