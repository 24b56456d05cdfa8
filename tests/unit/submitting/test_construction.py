"""What the creator sends to a fresh actor, and the arguments that this waits for."""

from __future__ import annotations

from typing import Any

import pytest
from members import Session, settle
from played_worker import Actor, PlayedWorker

from nbactors import exceptions
from nbactors.local.connections import peers
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.wire import failures, messages
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling


def to_come(session: Session) -> ObjectRef[Any]:
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def test_the_worker_gets_class_arguments_and_concurrency(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor, (1,), {"key": 2}, Concurrency(True, 5, {"io": 2}))
    worker.come_up(session, link)
    sent = worker.take(messages.Construct)
    assert sent.actor_id == link.actor_id
    assert pickling.loads(sent.cls.data) is Actor
    assert pickling.loads(sent.args.data) == ((1,), {"key": 2})
    assert (sent.is_async, sent.max_concurrency, sent.groups) == (True, 5, {"io": 2})
    assert link.construct is None


def test_the_construction_waits_for_its_arguments_and_the_calls_behind_it(
    session: Session, worker: PlayedWorker
) -> None:
    first, second = to_come(session), to_come(session)
    link = session.prepare(Actor, (first, 3, second))
    session.call(link, "method")
    worker.come_up(session, link)
    first._entry.resolve(pickling.dumps("first").data)
    settle(session, worker)
    assert worker.got == []
    second._entry.resolve(pickling.dumps("second").data)
    settle(session, worker)
    sent = worker.take(messages.Construct)
    assert [(key, pickling.loads(value.data)) for key, value in sent.deps] == [(0, "first"), (2, "second")]
    assert worker.methods() == ["method"]


def test_a_failed_argument_ends_the_actor(session: Session, worker: PlayedWorker) -> None:
    argument = to_come(session)
    link = session.prepare(Actor, (argument,))
    waits = session.call(link, "waits")
    worker.come_up(session, link)
    behind = session.call(link, "behind")
    argument._entry.resolve(failures.encode(KeyError("missing")), error=True)
    for ref in waits, behind:
        with pytest.raises(exceptions.ActorDiedError, match=r"one of its constructor's arguments failed: KeyError"):
            session.get(ref)
    settle(session, worker)
    assert worker.got == []
    killed = session.node_end.expect(messages.KillActor)
    assert (killed.actor_id, killed.no_restart) == (link.actor_id, True)


def test_a_call_that_was_sent_before_a_failed_construction_fails_when_the_worker_has_ended(
    session: Session, worker: PlayedWorker
) -> None:
    argument = to_come(session)
    link = session.prepare(Actor, (argument,))
    worker.come_up(session, link)
    before = session.call(link, "before")
    settle(session, worker)
    assert worker.methods() == ["before"], "the worker keeps it until it is constructed"
    argument._entry.resolve(failures.encode(KeyError("missing")), error=True)
    after = session.call(link, "after")
    worker.die(session)
    for ref in before, after:
        with pytest.raises(exceptions.ActorDiedError, match="KeyError"):
            session.get(ref)


def test_an_argument_that_failed_before_the_worker_was_up_ends_the_actor(
    session: Session, worker: PlayedWorker
) -> None:
    argument = to_come(session)
    argument._entry.resolve(failures.encode(KeyError("missing")), error=True)
    link = session.prepare(Actor, (argument,))
    ref = session.call(link, "method")
    worker.come_up(session, link)
    with pytest.raises(exceptions.ActorDiedError, match="KeyError"):
        session.get(ref)
    assert session.node_end.expect(messages.KillActor).actor_id == link.actor_id


def test_an_actor_that_dies_first_waits_for_no_argument_any_more(session: Session, worker: PlayedWorker) -> None:
    argument = to_come(session)
    link = session.prepare(Actor, (argument,))
    assert argument._entry.waiters
    session.node_end.tell(messages.ActorDown(link.actor_id, "killed", "", "", "", 0))
    settle(session)
    assert not argument._entry.waiters


def test_an_actor_is_constructed_although_its_last_handle_has_gone(session: Session, worker: PlayedWorker) -> None:
    argument = to_come(session)
    link = session.prepare(Actor, (argument,))
    actor_id = link.actor_id
    worker.come_up(session, link)
    del link, session.holds[actor_id]
    assert session.actors.hold_on(actor_id) is not None, "its construction keeps it"
    argument._entry.resolve(b"N.")
    settle(session, worker)
    assert worker.take(messages.Construct).actor_id == actor_id
    assert session.actors.hold_on(actor_id) is None
    assert session.actors.existing(actor_id) is None


def test_an_argument_that_comes_when_the_link_has_gone_does_nothing(session: Session, worker: PlayedWorker) -> None:
    argument = to_come(session)
    link = session.prepare(Actor, (argument,))
    construct = link.construct
    session.actors.let_go(link)
    link._hold = None
    session.holds.clear()
    del link
    assert construct is not None
    construct.ready(argument._entry)
    assert construct.link() is None


def test_a_construction_that_a_handler_has_sent_is_not_sent_again(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    construct = link.construct
    worker.come_up(session, link)
    worker.take(messages.Construct)
    link.construct = construct  # as the interrupted thread sees it
    link.pump()
    settle(session, worker)
    assert worker.got == []
    assert link.construct is None


def test_the_construction_survives_a_broken_socket(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "FIRST_DELAY_S", 0)
    link = session.prepare(Actor)
    session.node_end.tell(messages.ActorUp(link.actor_id, worker.process_id, 1))
    settle(session)
    session.cut(worker)
    settle(session, worker)
    worker.take(messages.Construct)
    assert worker.got == []
