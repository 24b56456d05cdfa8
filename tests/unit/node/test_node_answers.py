"""Every request is answered, whichever process dies and whatever error the node makes."""

from __future__ import annotations

import gc
import typing
from collections.abc import Callable
from typing import Any

import pytest
from node_scenario import ENVIRONMENT, Client, Scenario

from nbactors.local.node.rules import events, workers
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.records import Process
from nbactors.local.wire import messages

ACTOR: dict[str, Any] = {
    "actor_id": b"a" * 16,
    "class_name": "Counter",
    "namespace": "",
    "get_if_exists": False,
    "detached": False,
    "placement": {"CPU": 1.0},
    "resources": {},
    "runtime_env": None,
    "sys_path": [],
    "cwd": b"",
    "meta": b"",
}
OPEN = messages.OpenSession(0, "", ENVIRONMENT, 1.0, 0.0, -1.0, -1.0, {}, True, 1.0)

REQUESTS: list[messages.Message] = [
    OPEN,
    messages.CloseSession(0),
    messages.CreateActor(rid=0, name="n", **ACTOR),
    messages.GetActor(0, "n", ""),
    messages.KillActor(0, b"a" * 16, True),
    messages.RequestLease(0, {"CPU": 1.0}, None, "f", [], b""),
    messages.Query(0, "actors"),
    messages.FetchLog(0, "n"),
    messages.Stop(0),
    messages.Display(0, 0, b"", "show"),
    messages.CatchUp(0),
    messages.Follow(0, b"", 0, 0.0),
    messages.SetTitle("Trainer(lr=0.1)"),
    messages.CreateGroup(0, b"g" * 18, [{"CPU": 1.0}], "PACK", "", False),
    messages.RemoveGroup(0, b"g" * 18),
    messages.AwaitGroup(0, b"g" * 18, 0.0),
]
"""One request of each kind that is answered with its `rid`, which the test sets."""

ANSWERS = {
    messages.Refused,
    messages.Done,
    messages.SessionOpened,
    messages.ActorNamed,
    messages.LeaseGranted,
    messages.Listing,
    messages.TaskNews,
    messages.GroupState,
}

WITHDRAWS = {messages.CancelLease}
"""Messages with the `rid` of another request, whose client does not want the answer any more."""


def kinds() -> set[type[messages.Message]]:
    return {kind for kind in typing.get_args(messages.Control) if "rid" in kind.__struct_fields__}


def numbered(message: messages.Message, rid: int) -> messages.Message:
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return type(message)(**{**fields, "rid": rid})


def by_name(message: messages.Message) -> str:
    return type(message).__name__


def answers(client: Client, rid: int) -> list[messages.Message]:
    return [message for message in client.got(messages.Message) if getattr(message, "rid", None) == rid]


def test_every_kind_of_request_is_tested_here() -> None:
    # A new kind of message with a rid must be listed above, and so is tested below.
    assert kinds() == {type(request) for request in REQUESTS} | ANSWERS | WITHDRAWS


def asker(node: Scenario, request: messages.Message) -> Client:
    """Return a client that may send the request."""
    if isinstance(request, messages.OpenSession):
        return Client(node, node.new_id(), "session")
    session = node.session()
    return session.create_alive()[1] if isinstance(request, messages.Display | messages.SetTitle) else session


def raise_a_mistake(*_: Any, **__: Any) -> Any:
    raise KeyError("a mistake")


def break_handler(node: Scenario, kind: type[messages.Message], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the node make a mistake in the handling of this kind of message."""
    for handlers in node.state._handlers.values():
        if kind in handlers:
            monkeypatch.setitem(handlers, kind, raise_a_mistake)


@pytest.mark.parametrize("request_", REQUESTS, ids=by_name)
class TestMistakes:
    def test_a_request_whose_handler_raises_is_refused_with_the_error(
        self, request_: messages.Message, node: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = asker(node, request_)
        with monkeypatch.context() as patch:
            break_handler(node, type(request_), patch)
            client.send(numbered(request_, 900))
        (answer,) = answers(client, 900)
        assert isinstance(answer, messages.Refused)
        assert answer.kind == "internal"
        assert "KeyError: 'a mistake'" in answer.text
        assert any("raise_a_mistake" in note.text for note in node.take(events.Note))
        assert node.command_line().ask("status"), "all others are served"

    def test_a_request_that_its_handler_drops_is_refused(
        self, request_: messages.Message, node: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[messages.Message] = []
        process = Process(process_id=b"", conn=1, pid=1, role="cli")
        Ask(lambda _, message: sent.append(message), process, numbered(request_, 900))
        gc.collect()
        (answer,) = sent
        assert isinstance(answer, messages.Refused)
        assert "the request was dropped" in answer.text


def test_the_creator_of_an_unnamed_actor_is_told_of_an_error_in_the_node(
    node: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = node.session()
    break_handler(node, messages.CreateActor, monkeypatch)
    actor_id = session.create()
    down = session.one(messages.ActorDown)
    assert down.actor_id == actor_id
    assert "KeyError: 'a mistake'" in down.text


@pytest.mark.parametrize("step", ["_place", "_grant"])
def test_an_error_in_a_later_step_refuses_the_lease(node: Scenario, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    session = node.session()
    monkeypatch.setattr(node.state._leases, step, raise_a_mistake)
    rid = session.request_lease()
    for spawn in node.take(events.Spawn):
        node.come_alive(spawn)
    (answer,) = answers(session, rid)
    assert isinstance(answer, messages.Refused)
    assert session.ask("available_resources").amounts["CPU"] == 2.0


@pytest.mark.parametrize("step", ["_place", "_assign"])
def test_an_error_in_a_later_step_ends_the_actor(node: Scenario, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    session = node.session()
    monkeypatch.setattr(node.state._actors, step, raise_a_mistake)
    session.create()
    for spawn in node.take(events.Spawn):
        node.come_alive(spawn)
    assert "KeyError: 'a mistake'" in session.one(messages.ActorDown).text


# ------------------------------------------------------------------------------------------------ helpers that die

Step = Callable[[Scenario, events.Spawn], Any]


def lose_forkserver(node: Scenario, spawn: events.Spawn) -> None:
    node.happen(events.ForkserverLost([spawn.order.process_id], "it is gone"))


def end_process(node: Scenario, spawn: events.Spawn) -> None:
    node.happen(events.Exited(spawn.order.process_id, -9))
    node.happen(events.OutputEnded(spawn.order.process_id, ""))


def cannot_fork(node: Scenario, spawn: events.Spawn) -> None:
    node.happen(events.Forked(spawn.order.process_id, 0, "no memory"))


def nothing_happens(node: Scenario, spawn: events.Spawn) -> None:
    """The forkserver, or the worker, hangs."""


def fork(node: Scenario, spawn: events.Spawn) -> None:
    node.happen(events.Forked(spawn.order.process_id, 9))


def register(node: Scenario, spawn: events.Spawn) -> int:
    """Fork and register; the node refuses a worker that it no longer needs."""
    fork(node, spawn)
    conn = node.connect()
    hello = messages.Hello(messages.PROTOCOL_VERSION, spawn.order.process_id, 9, "worker", "1.2.3")
    node.happen(events.Received(conn, hello))
    return conn


def stay_ordered(node: Scenario, spawn: events.Spawn) -> None:
    """The forkserver has the order, and has not answered."""


STATES: list[Step] = [stay_ordered, fork, register]
DEATHS: list[Step] = [lose_forkserver, end_process, cannot_fork, nothing_happens]


def live_on(node: Scenario, client: Client, reach: Step, die: Step) -> None:
    """Let each new worker get as far as `reach`, then let `die` happen; wait until the node is quiet."""
    for _ in range(workers.ATTEMPTS + 1):
        for spawn in node.take(events.Spawn):
            conn = reach(node, spawn)
            die(node, spawn)
            if conn is not None and die is not nothing_happens:
                node.happen(events.Disconnected(conn))
        for reading in node.take(events.ReadOutput):
            node.happen(reading.then)
        node.pass_time(workers.CONNECT_WITHIN_S + workers.REPORT_WITHIN_S)


@pytest.mark.parametrize("reach", STATES)
@pytest.mark.parametrize("die", DEATHS)
@pytest.mark.parametrize("request_", REQUESTS, ids=by_name)
def test_a_request_is_answered_whatever_process_dies(
    node: Scenario, request_: messages.Message, reach: Step, die: Step
) -> None:
    client = asker(node, request_)
    client.create(actor_id=b"c" * 16)
    client.send(numbered(request_, 900))
    live_on(node, client, reach, die)
    if isinstance(request_, messages.CreateActor):
        got = client.got(messages.Message)
        assert [message.rid for message in got if isinstance(message, messages.ActorNamed)] == [900]
        told = [m for m in got if isinstance(m, (messages.ActorUp, messages.ActorDown)) and m.actor_id == b"a" * 16]
        assert told, "the creator of an actor waits for one of these"
    else:
        assert len(answers(client, 900)) == 1


@pytest.mark.parametrize("reach", STATES)
def test_a_lease_gets_a_worker_of_the_next_forkserver_when_one_is_lost(node: Scenario, reach: Step) -> None:
    session = node.session()
    rid = session.request_lease()
    (spawn,) = node.take(events.Spawn)
    worker = reach(node, spawn)
    node.happen(events.ForkserverLost([spawn.order.process_id], "it is gone"))
    if worker is None:
        node.pass_time(workers.REPORT_WITHIN_S)
        node.start_worker()
    granted = session.one(messages.LeaseGranted)
    assert granted.rid == rid
    assert (granted.process_id == spawn.order.process_id) == (worker is not None), "one that has registered lives on"


def test_a_stop_refuses_the_requests_that_wait_for_a_worker(node: Scenario) -> None:
    session = node.session()
    rid = session.request_lease()
    (spawn,) = node.take(events.Spawn)
    node.command_line().send(messages.Stop(1))
    cannot_fork(node, spawn)
    (answer,) = answers(session, rid)
    assert isinstance(answer, messages.Refused)
    assert "the node is stopping" in answer.text


def test_both_requests_of_a_session_that_is_closed_twice_are_answered(node: Scenario) -> None:
    session = node.session()
    _, worker = session.create_alive()
    session.send(messages.CloseSession(900))
    session.send(messages.CloseSession(901))
    node.end_worker(worker)
    assert {done.rid for done in session.got(messages.Done)} == {900, 901}


def test_a_request_that_is_withdrawn_gets_no_answer(node: Scenario) -> None:
    session = node.session()
    rid = session.request_lease()
    session.send(messages.CancelLease(rid))
    node.start_worker()
    assert answers(session, rid) == []


def test_two_requests_with_the_same_number_are_both_answered(node: Scenario) -> None:
    session = node.session()
    rid = session.request_lease()
    session.send(messages.RequestLease(rid, {}, None, "f", [], b""))
    node.start_worker()
    assert {type(answer) for answer in answers(session, rid)} == {messages.Refused, messages.LeaseGranted}
