"""The actor's worker comes up, is lost, is out of reach for a while, or dies: what becomes of the calls."""

from __future__ import annotations

from typing import Any

import pytest
from members import Session, settle
from played_worker import PID, Actor, PlayedWorker

from nbactors import exceptions
from nbactors.local.connections import peers
from nbactors.local.submitting import actor_link
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.wire import messages
from nbactors.views.summaries import ActorFacts

KINDS = {
    "killed": exceptions.ActorDiedError,
    "out_of_scope": exceptions.ActorDiedError,
    "exit": exceptions.ActorDiedError,
    "creation_failed": exceptions.ActorDiedError,
    "crashed": exceptions.ActorDiedError,
    "owner_died": exceptions.ActorDiedError,
    "session_ended": exceptions.ActorDiedError,
    "node_stopped": exceptions.ActorDiedError,
    "unknown": exceptions.ActorDiedError,
    "refused": exceptions.ActorDiedError,
    "runtime_env": exceptions.RuntimeEnvSetupError,
    "internal": exceptions.ActorDiedError,
}


def down(link: LocalActorLink, kind: str = "killed", text: str = "kill() was called.") -> messages.ActorDown:
    return messages.ActorDown(link.actor_id, kind, text, "Actor", "", PID)


def tell(session: Session, *batch: messages.Control) -> None:
    session.node_end.tell(*batch)
    settle(session)


def test_calls_wait_for_the_worker_and_go_out_behind_the_construction(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    refs = [session.call(link, "first"), session.call(link, "second")]
    assert link.facts() == ActorFacts("starting", 0, "", 2)
    worker.come_up(session, link)
    assert [type(message) for message in worker.got] == [messages.Construct, messages.Call, messages.Call]
    for number in range(2):
        worker.reply(worker.take(messages.Call), number)
    assert [session.get(ref) for ref in refs] == [0, 1]
    assert link.facts() == ActorFacts("alive", PID, "", 0)


def test_a_worker_that_is_told_of_twice_is_connected_to_once(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    worker.come_up(session, link)
    assert session.sockets == 1


@pytest.mark.parametrize("kind", KINDS)
def test_calls_fail_with_the_cause_when_the_actor_dies_before_it_is_up(
    session: Session, worker: PlayedWorker, kind: str
) -> None:
    link = session.prepare(Actor)
    ref = session.call(link, "waits", session.put(1))
    tell(session, down(link, kind, "the cause"))
    with pytest.raises(KINDS[kind], match="the cause"):
        session.get(ref)
    with pytest.raises(KINDS[kind], match="the cause"):
        session.get(session.call(link, "comes after it"))
    assert link.facts() == ActorFacts("dead", PID, "the cause", 0)
    assert session.pending_calls() == []
    assert link.construct is None


@pytest.mark.parametrize("kind", KINDS)
def test_calls_fail_with_the_cause_when_the_actor_dies_while_it_runs_them(
    session: Session, worker: PlayedWorker, kind: str
) -> None:
    link = worker.become_actor(session)
    sent, waits = session.call(link, "sent"), session.call(link, "waits", session.call(link, "also sent"))
    settle(session, worker)
    tell(session, down(link, kind, "the cause"))
    assert len(session.pending_calls()) == 3, "what it has answered before may still be in the socket"
    worker.die(session)
    for ref in sent, waits:
        with pytest.raises(KINDS[kind], match="the cause"):
            session.get(ref)
    assert session.pending_calls() == []


def test_an_answer_that_was_sent_before_the_end_arrives(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    settle(session, worker)
    worker.reply(worker.take(messages.Call), "in time")
    tell(session, down(link))
    worker.die(session)
    assert session.get(ref) == "in time"


def test_the_cause_may_come_after_the_end_of_the_connection(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    sent = session.call(link, "sent")
    settle(session, worker)
    worker.die(session)
    later = session.call(link, "later")
    assert [call.facts().label for call in session.pending_calls()] == ["Actor.sent", "Actor.later"]
    tell(session, down(link, "crashed", "its process was killed by SIGSEGV."))
    for ref in sent, later:
        with pytest.raises(exceptions.ActorDiedError, match="SIGSEGV"):
            session.get(ref)


def test_without_a_verdict_of_the_node_calls_fail_after_a_while(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_link, "VERDICT_S", 0)
    link = worker.become_actor(session)
    ref = session.call(link, "sent")
    settle(session, worker)
    worker.die(session)
    with pytest.raises(exceptions.ActorDiedError, match="the connection to it was lost"):
        session.get(ref)


def test_the_cause_replaces_what_was_assumed_without_a_verdict(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_link, "VERDICT_S", 0)
    link = worker.become_actor(session)
    worker.die(session)
    assert "was lost" in link.facts().cause
    tell(session, down(link, text="the cause"))
    tell(session, down(link, text="told again"))
    assert link.facts().cause == "the cause"


def test_a_worker_that_has_gone_before_it_was_reached_leaves_the_verdict_to_the_node(
    session: Session, worker: PlayedWorker
) -> None:
    link = session.prepare(Actor)
    ref = session.call(link, "waits")
    worker.die(session)
    worker.come_up(session, link)
    assert link.facts().state == "starting"
    tell(session, down(link, "crashed", "it crashed."))
    with pytest.raises(exceptions.ActorDiedError, match="it crashed"):
        session.get(ref)


def test_news_of_a_dead_actors_worker_changes_nothing(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    tell(session, down(link))
    worker.come_up(session, link)
    assert session.sockets == 0
    assert link.facts().state == "dead"


def test_the_socket_of_a_dead_actor_is_not_read_for_ever(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_link, "READ_OUT_S", 0)
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    settle(session, worker)
    tell(session, down(link))  # a child of the worker's own keeps the socket open
    with pytest.raises(exceptions.ActorDiedError, match="kill"):
        session.get(ref)
    assert session.peers.outgoing() == []


def test_a_broken_socket_loses_no_call(session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "FIRST_DELAY_S", 0)
    link = worker.become_actor(session)
    ref = session.call(link, "method")
    session.cut(worker)
    settle(session, worker)
    assert session.sockets == 2
    assert worker.methods() == ["method"]
    worker.reply(worker.take(messages.Call), 1)
    assert session.get(ref) == 1


def test_a_connection_that_is_given_up_loses_only_what_was_asked_on_it(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    lost = session.call(link, "lost")
    settle(session, worker)
    session.peers.outgoing()[0].close("the other side has given this connection up")
    with pytest.raises(exceptions.RaySystemError, match=r"The call may have run; the process lives"):
        session.get(lost)
    worker.got.clear()
    again = session.call(link, "again")
    settle(session, worker)
    worker.reply(worker.take(messages.Call), 1)
    assert session.get(again) == 1
    assert link.facts() == ActorFacts("alive", PID, "", 0)


def test_a_call_that_waits_survives_the_connection(session: Session, worker: PlayedWorker) -> None:
    link, other = worker.become_actor(session), session.prepare(Actor)
    argument = session.call(other, "argument")
    ref = session.call(link, "waits", argument)
    session.peers.outgoing()[0].close("the other side has given this connection up")
    argument._entry.resolve(b"N.")
    settle(session, worker)
    worker.reply(worker.take(messages.Call), 1)
    assert session.get(ref) == 1


def test_calls_end_when_the_node_is_lost_before_the_actor_is_up(session: Session, worker: PlayedWorker) -> None:
    link = session.prepare(Actor)
    ref = session.call(link, "waits")
    session.node_end.close()
    with pytest.raises(exceptions.ActorDiedError, match="node daemon has ended"):
        session.get(ref)
    assert "node daemon has ended" in session.lost


def test_an_actor_that_is_lost_after_the_node_gets_no_verdict(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    session.node.lost = "the node daemon has ended."
    ref = session.call(link, "sent")
    session.peers.outgoing()[0].close("its socket broke")
    with pytest.raises(exceptions.ActorDiedError, match="node daemon has ended"):
        session.get(ref)


def test_calls_that_were_in_flight_fail_before_those_that_waited(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    refs = [session.call(link, "sent") for _ in range(3)]
    settle(session, worker)
    worker.die(session)
    refs.append(session.call(link, "waits"))
    order: list[int] = []
    for number, ref in enumerate(refs):
        ref._entry.when_done(lambda number=number: order.append(number))  # type: ignore[misc]
    tell(session, down(link))
    assert order == [0, 1, 2, 3]


def test_a_link_ends_with_its_last_handle_and_gives_its_tokens_back(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    actor_id = link.actor_id
    del link, session.holds[actor_id]
    settle(session)
    assert session.node_end.expect(messages.ReleaseHold) == messages.ReleaseHold(actor_id, 1)
    assert session.actors.existing(actor_id) is None
    session.peers.outgoing()[0].close("nobody is told of that any more")


def test_the_actors_own_link_is_not_counted(session: Session, worker: PlayedWorker) -> None:
    actor_id = b"a" * 16
    link = session.actors.own(messages.ActorUp(actor_id, worker.process_id, PID))
    assert link.facts().state == "alive"
    assert session.actors.hold_on(actor_id) is None
    del link
    settle(session, worker)
    assert not [message for message in session.node_end.arrived() if type(message) is messages.ReleaseHold]


def test_who_gets_a_handle_is_counted_before_it_travels(session: Session, worker: PlayedWorker) -> None:
    link, other = worker.become_actor(session), session.prepare(Actor)
    session.call(link, "take", [handle_of(other)])
    assert session.node_end.expect(messages.AddHold) == messages.AddHold(other.actor_id, worker.process_id, 1)
    settle(session, worker)
    rest = worker.take(messages.Call).rest
    assert rest is not None
    assert rest.actors == [other.actor_id]


def test_a_handle_that_the_user_pickles_keeps_its_actor_for_good(session: Session, worker: PlayedWorker) -> None:
    import pickle

    link = worker.become_actor(session)
    actor_id = link.actor_id
    data = pickle.dumps(handle_of(link))
    del link, session.holds[actor_id]
    assert session.actors.hold_on(actor_id) is not None
    handle: Any = pickle.loads(data)
    assert handle._link is session.actors.existing(actor_id)


def test_an_unpickled_handle_shows_the_class_as_it_was_changed(session: Session, worker: PlayedWorker) -> None:
    import pickle

    link = worker.become_actor(session)
    assert link.meta is not None
    old = link.meta
    assert link.latest_meta(old) is old
    link.update(old._replace(max_pending_calls=7))
    handle: Any = pickle.loads(pickle.dumps(handle_of(link, old)))
    assert handle._link.meta.max_pending_calls == 7


def handle_of(link: LocalActorLink, meta: Any = None) -> Any:
    from nbactors.actor import ActorHandle

    return ActorHandle(link, meta or link.meta, link._links.hold_on(link.actor_id))


def restarting(link: LocalActorLink, has_run: bool = True) -> messages.ActorRestarting:
    return messages.ActorRestarting(link.actor_id, "it was killed by SIGKILL.", has_run)


def test_a_socket_that_outlives_the_worker_is_closed_when_the_actor_restarts(
    session: Session, worker: PlayedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_link, "READ_OUT_S", 0)
    link = worker.become_actor(session)
    ref = session.call(link, "sent")
    settle(session, worker)
    tell(session, restarting(link))
    with pytest.raises(exceptions.ActorUnavailableError, match="was restarted"):
        session.get(ref)
    assert link.facts().state == "restarting"


def test_a_second_restart_before_the_socket_is_closed_does_not_make_sent_calls_unsent(
    session: Session, worker: PlayedWorker
) -> None:
    link = worker.become_actor(session)
    ref = session.call(link, "sent")
    settle(session, worker)
    second = messages.ActorUp(link.actor_id, b"2" * 16, PID, 1)
    tell(session, restarting(link), second, restarting(link, has_run=False))
    worker.die(session)
    with pytest.raises(exceptions.ActorUnavailableError, match="was restarted"):
        session.get(ref)
    assert link.facts().state == "restarting", "the second worker is gone, too"
