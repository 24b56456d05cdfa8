"""The node's work for n items grows in proportion to n, measured in executed lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest
from node_scenario import ENVIRONMENT, Client, Scenario

from nbactors.local.node.rules import events
from nbactors.local.wire import messages

FEW, MANY = 30, 120

MOST = 6.0
"""The allowed factor in lines for four times as many items: 4 or a little more; quadratic growth would be 16."""

Step = Callable[[], Any]


def lines(step: Step) -> int:
    """Count the lines of the node's code that `step` runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if "/local/node/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(before)
    return count


def each(count: int, step: Callable[[int], Any]) -> Step:
    def run() -> None:
        for number in range(count):
            step(number)

    return run


def make_actors(node: Scenario, count: int) -> Step:
    session = node.session()
    return each(count, lambda number: session.create_alive(name=f"a{number}"))


def actors(node: Scenario, session: Client, count: int, **options: Any) -> list[tuple[bytes, Client]]:
    return [session.create_alive(**options) for _ in range(count)]


def queue_actors(node: Scenario, count: int) -> Step:
    session = node.session(num_cpus=1)
    return each(count, lambda number: session.create(resources={"CPU": 1.0}))


def end_actors(node: Scenario, count: int) -> Step:
    made = actors(node, node.session(), count)
    return each(count, lambda number: node.end_worker(made[number][1]))


def kill_actors(node: Scenario, count: int) -> Step:
    session = node.session()
    made = actors(node, session, count)
    return each(count, lambda number: session.send(messages.KillActor(node.rid(), made[number][0], True)))


def find_actors_by_name(node: Scenario, count: int) -> Step:
    session = node.session()
    for number in range(count):
        session.create_alive(name=f"a{number}")
    return each(count, lambda number: session.send(messages.GetActor(node.rid(), f"a{number}", "")))


def list_actors(node: Scenario, count: int) -> Step:
    session = node.session()
    actors(node, session, count)
    return lambda: [session.ask(what) for what in ("actors", "named_actors", "status")]


def hold_an_actor(node: Scenario, count: int) -> Step:
    session = node.session()
    actor_id = session.create()
    others = [node.session() for _ in range(count)]
    return each(count, lambda number: session.send(messages.AddHold(actor_id, others[number].process_id, 1)))


def ask_for_workers(node: Scenario, count: int) -> Step:
    session = node.session(num_cpus=1)
    return each(count, lambda number: session.request_lease())


def withdraw_requests(node: Scenario, count: int) -> Step:
    session = node.session(num_cpus=1)
    rids = [session.request_lease() for _ in range(count)]
    return each(count, lambda number: session.send(messages.CancelLease(rids[number])))


def run_tasks_by_one_worker(node: Scenario, count: int) -> Step:
    session = node.session(num_cpus=1)
    session.request_lease()
    node.start_worker()
    for _ in range(count):
        session.request_lease()

    def run(number: int) -> None:
        (grant,) = session.got(messages.LeaseGranted)
        session.send(messages.ReturnLease(grant.lease_id))

    return each(count, run)


def open_sessions(node: Scenario, count: int) -> Step:
    return each(count, lambda number: node.session())


def close_sessions(node: Scenario, count: int) -> Step:
    sessions = [node.session() for _ in range(count)]

    def close(number: int) -> None:
        sessions[number].send(messages.CloseSession(node.rid()))
        sessions[number].leave()

    return each(count, close)


def change_environments(node: Scenario, count: int) -> Step:
    def run(number: int) -> None:
        environment = msgspec.structs.replace(ENVIRONMENT, sys_path=[b"/%d" % number])
        node.session(environment=environment).leave()

    return each(count, run)


def close_a_session(node: Scenario, count: int) -> Step:
    session = node.session()
    workers = [worker for _, worker in actors(node, session, count)]
    actors(node, session, count, detached=True)

    def run() -> None:
        session.send(messages.CloseSession(node.rid()))
        for worker in workers:
            node.end_worker(worker)
        session.leave()

    return run


def calls_in_many_sessions(node: Scenario, count: int) -> Step:
    sessions = [node.session() for _ in range(count)]
    return each(count, lambda number: sessions[number].ask("cluster_resources"))


def stop(node: Scenario, count: int) -> Step:
    made = actors(node, node.session(), count)

    def run() -> None:
        node.command_line().send(messages.Stop(node.rid(), True))
        for _, worker in made:
            node.end_worker(worker)

    return run


def print_lines(node: Scenario, count: int) -> Step:
    _, worker = node.session().create_alive()
    return each(count, lambda number: node.happen(events.OutputRead(worker.process_id, 1, "a\n")))


def come_and_go(node: Scenario, count: int) -> Step:
    return each(count, lambda number: node.command_line().leave())


@pytest.mark.parametrize(
    "case",
    [
        make_actors,
        queue_actors,
        end_actors,
        kill_actors,
        find_actors_by_name,
        list_actors,
        hold_an_actor,
        ask_for_workers,
        withdraw_requests,
        run_tasks_by_one_worker,
        open_sessions,
        close_sessions,
        change_environments,
        close_a_session,
        calls_in_many_sessions,
        stop,
        print_lines,
        come_and_go,
    ],
    ids=lambda case: case.__name__,
)
def test_the_work_of_the_node_grows_in_proportion(case: Callable[[Scenario, int], Step]) -> None:
    few = lines(case(Scenario(), FEW))
    many = lines(case(Scenario(), MANY))
    assert many < MOST * few, f"{few} lines for {FEW}, {many} for {MANY}"
