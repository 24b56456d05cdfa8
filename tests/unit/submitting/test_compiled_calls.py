"""The compiled part makes, sends and ends calls as the steps in Python do, and never half of one."""

from __future__ import annotations

import gc
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from compiled_parts import Node, Parent, attributes, only
from members import Session, acting_as, settle, tied
from played_worker import PlayedWorker

from nbactors import speedups
from nbactors.definitions.metadata import MethodMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.exceptions import RayTaskError
from nbactors.local.connections.connection import Connection
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting import actor_link, pending_call
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.call_life import FINISHED, QUEUED, SENT
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions
from nbactors.pickling import pickling

pytestmark = pytest.mark.skipif(speedups.compiled is None, reason=f"no compiled part: {speedups.why_not}")

METHOD = MethodMeta("method", ANYTHING)
compiled: Any = speedups.compiled


@pytest.fixture(autouse=True)
def form() -> None:
    """Both forms are compared here."""


@pytest.fixture
def link(session: Session, worker: PlayedWorker) -> LocalActorLink:
    """An actor that has answered its first call, so that its connection is in use."""
    made = worker.become_actor(session)
    ref = session.call(made, "method")
    settle(session, worker)
    worker.reply(worker.take(messages.Call))
    settle(session, worker)
    assert session.get(ref) is None
    return made


def submit(session: Session, link: LocalActorLink, data: object = b"", parent: Any = None) -> Any:
    hold = session.holds[link.actor_id]
    return compiled.submit(link, session.objects, session.numbers, METHOD, data, 7, 1.5, hold, parent)


def test_the_usual_call_is_made_sent_and_ended_quickly(
    session: Session, worker: PlayedWorker, link: LocalActorLink, quick: list[str]
) -> None:
    ref = session.call(link, "method", 5)
    settle(session, worker)
    worker.reply(worker.take(messages.Call), 6)
    settle(session, worker)
    assert session.get(ref) == 6
    assert quick == ["submit", "settle"]


def test_a_call_has_all_that_one_of_the_steps_in_python_has(
    session: Session, worker: PlayedWorker, link: LocalActorLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for is_quick in (True, False):
        if not is_quick:
            monkeypatch.setattr(actor_link, "submit", None)
        ref = session.call(link, "method", 5)
        call, connection = only(session)
        whole = [
            attributes(ref._entry, "number"),
            attributes(call, "number", "entries", "submitted"),
            [entry is ref._entry for entry in call.entries],
            call.number == ref._entry.number == call.message.number,
            (ref._entry.home is session.objects, call.target is link, call.hold is session.holds[link.actor_id]),
            (call.submitted > 0, call.connection is connection, connection.in_flight.calls == {call.number: call}),
        ]
        settle(session, worker)
        worker.reply(worker.take(messages.Call), 6)
        settle(session, worker)
        whole.append(attributes(ref._entry, "number"))
        whole.append(attributes(call, "number", "entries", "submitted"))
        assert gc.is_tracked(ref._entry) == gc.is_tracked(call)
        found.append(whole)
    assert found[0] == found[1]


@pytest.mark.usefixtures("worker")
def test_a_call_that_was_only_begun_is_the_same_in_both_forms(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    target, message, arguments = object(), object(), object()
    for begin in (compiled.begin, None):
        monkeypatch.setattr(pending_call, "begin", begin)
        call, ref = pending_call.make_call(session.objects, 12345678, 1, target, message, arguments)  # type: ignore[arg-type]
        assert (type(call), type(ref), call.entries[0] is ref._entry) == (PendingCall, ObjectRef, True)
        assert (call.target, call.message, call.arguments) == (target, message, arguments)
        assert (ref._entry.call, ref._entry.home) == (call, session.objects)
        found.append((attributes(call, "entries"), attributes(ref._entry)))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "meta",
    [
        METHOD._replace(num_returns=2),
        METHOD._replace(num_returns=0),
        METHOD._replace(timeout_s=100.0),
        METHOD._replace(retry_exceptions=True),
    ],
)
def test_unusual_methods_are_left_to_the_steps_in_python(
    session: Session, worker: PlayedWorker, link: LocalActorLink, quick: list[str], meta: MethodMeta
) -> None:
    link.call(meta, (), {}, None)
    assert "submit" not in quick
    settle(session, worker)
    assert worker.take(messages.Call).num_returns == meta.num_returns


@pytest.mark.parametrize(("retries", "expected"), [(None, 3), (5, 5)])
@pytest.mark.parametrize("has_events", [None, True, False])
def test_a_call_has_the_options_of_its_method(
    session: Session,
    worker: PlayedWorker,
    link: LocalActorLink,
    quick: list[str],
    retries: int | None,
    expected: int,
    has_events: bool | None,
) -> None:
    link._max_retries = 3
    meta = METHOD._replace(max_task_retries=retries, has_events=has_events, group="io", backpressure=9)
    link.call(meta, (), {}, None)
    call, _ = only(session)
    assert (call.retries, call.group, call.submitted > 0) == (expected, "io", has_events is not False)
    settle(session, worker)
    message = worker.take(messages.Call)
    assert (message.group, message.backpressure, message.submitted) == ("io", 9, call.submitted)
    assert quick == ["submit"]


def test_a_call_of_a_job_is_one_of_its_children_until_it_has_ended(
    session: Session, worker: PlayedWorker, link: LocalActorLink, quick: list[str]
) -> None:
    parent = Parent()
    session.current_call = lambda: parent
    ref = session.call(link, "method")
    call, _ = only(session)
    assert list(parent.children) == [call]
    assert (call.parent, call.parent_id, call.message.parent, call.origin) == (
        parent,
        parent.task_id,
        parent.task_id,
        7,
    )
    settle(session, worker)
    worker.reply(worker.take(messages.Call))
    settle(session, worker)
    assert session.get(ref) is None
    assert (parent.children, call.parent) == ({}, None)
    assert quick == ["submit", "settle"]


def test_the_first_call_of_a_job_is_left_to_the_steps_in_python(
    session: Session, worker: PlayedWorker, link: LocalActorLink, quick: list[str]
) -> None:
    parent = Parent()
    parent.children = None
    session.current_call = lambda: parent
    session.call(link, "method")
    call, _ = only(session)
    assert list(parent.children) == [call]
    assert quick == ["go_out"]


def test_an_exception_from_outside_in_the_look_at_the_parent_is_not_lost(
    session: Session, link: LocalActorLink
) -> None:
    class Torn(Parent):
        @property
        def task_id(self) -> bytes:  # type: ignore[override]
            raise KeyboardInterrupt("torn")

    parent = Torn()
    with pytest.raises(KeyboardInterrupt, match="torn"):
        submit(session, link, parent=parent)
    assert (parent.children, session.pending_calls()) == ({}, [])


def test_a_call_that_its_parent_has_forgotten_ends(session: Session, link: LocalActorLink) -> None:
    parent = Parent()
    submit(session, link, parent=parent)
    call, connection = only(session)
    parent.children.clear()
    assert compiled.settle(connection, messages.Reply(call.number, b"N."))
    assert (call.state, call.parent) == (FINISHED, None)


def test_a_call_behind_others_goes_with_the_next_flush(
    session: Session, worker: PlayedWorker, link: LocalActorLink, quick: list[str]
) -> None:
    refs = [session.call(link, "method", number) for number in range(600)]
    assert quick.count("submit") > 590
    settle(session, worker)
    data = [pickling.loads(message.data)[0][0] for message in worker.got]
    assert data == list(range(600))
    for call in list(worker.got):
        worker.reply(call, pickling.loads(call.data)[0][0])
    settle(session, worker)
    assert [session.get(ref) for ref in refs] == list(range(600))


def test_calls_that_the_socket_does_not_take_wait_in_order(
    session: Session, worker: PlayedWorker, link: LocalActorLink, quick: list[str]
) -> None:
    for number in range(300):
        session.call(link, "method", number, bytes(9000))
        session.reactor.visit()
    assert only_connection(session).unsent
    settle(session, worker)
    assert [pickling.loads(message.data)[0][0] for message in worker.got] == list(range(300))


@pytest.mark.parametrize("step", ["flush", "nudge"])
def test_an_exception_from_outside_comes_when_the_call_is_in_flight(
    session: Session,
    worker: PlayedWorker,
    link: LocalActorLink,
    quick: list[str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    connection = only_connection(session)
    if step == "flush":
        connection._limit_of_frame = 20  # the message is no small one: it is left to the steps in Python
    else:
        submit(session, link)

    def torn() -> None:
        raise KeyboardInterrupt("torn")

    with monkeypatch.context() as patches:
        patches.setattr(connection if step == "flush" else session.reactor, step, torn)
        with pytest.raises(KeyboardInterrupt, match="torn"):
            session.call(link, "method", 5)
    assert connection in session.reactor.dirty
    connection._limit_of_frame = 1 << 20
    settle(session, worker)
    assert [pickling.loads(message.data)[0] for message in worker.got if message.data] == [(5,)]
    assert len(session.pending_calls()) == len(worker.got)


def only_connection(session: Session) -> Connection:
    (connection,) = session.peers.outgoing()
    return connection


@pytest.mark.parametrize(
    "name", ["_turns", "_connection", "_down", "_restarting", "_queues", "_doomed", "_max_retries"]
)
def test_a_link_without_an_attribute_is_not_the_usual_case(session: Session, link: LocalActorLink, name: str) -> None:
    kept = getattr(link, name)
    delattr(link, name)
    try:
        assert submit(session, link) is None
    finally:
        setattr(link, name, kept)
    assert submit(session, link) is not None


@pytest.mark.parametrize("name", sorted({*PendingCall.__slots__, "connection"} - {"__weakref__"}))
def test_a_call_without_an_attribute_does_no_harm(
    session: Session, worker: PlayedWorker, link: LocalActorLink, name: str
) -> None:
    submit(session, link)
    call, connection = only(session)
    kept = getattr(call, name)
    delattr(call, name)
    try:
        compiled.settle(connection, messages.Reply(call.number if name != "number" else 0, b"N."))
        compiled.go_out(call, connection, messages.Reply(1, b""), True)
    except AttributeError:
        pass
    finally:
        setattr(call, name, kept)
    assert connection.in_flight.answering is None


@pytest.mark.parametrize("name", sorted({*Entry.__slots__} - {"__weakref__"}))
def test_an_entry_without_an_attribute_does_no_harm(session: Session, link: LocalActorLink, name: str) -> None:
    submit(session, link)
    call, connection = only(session)
    (entry,) = call.entries
    kept = getattr(entry, name)
    delattr(entry, name)
    settled = compiled.settle(connection, messages.Reply(call.number, b"N."))
    if not settled:
        setattr(entry, name, kept)
    assert settled == (name not in ("home", "state", "waiters"))
    assert (call.state == FINISHED) == settled


@pytest.mark.parametrize("name", ["news", "watchers"])
def test_waits_without_an_attribute_do_no_harm(session: Session, link: LocalActorLink, name: str) -> None:
    submit(session, link)
    call, connection = only(session)
    waiting = session.objects.waiting
    before, kept = waiting.news, getattr(waiting, name)
    delattr(waiting, name)
    assert not compiled.settle(connection, messages.Reply(call.number, b"N."))
    setattr(waiting, name, kept)
    assert compiled.settle(connection, messages.Reply(call.number, b"N."))
    assert waiting.news == before + 1


def test_stand_ins_are_not_the_usual_case(session: Session, link: LocalActorLink) -> None:
    connection = only_connection(session)
    assert compiled.submit(object(), session.objects, session.numbers, METHOD, b"", 0, 0.0, None, None) is None
    assert compiled.submit(link, session.objects, iter([1]), METHOD, b"", 0, 0.0, None, None) is None
    assert compiled.submit(link, session.objects, session.numbers, tuple(METHOD), b"", 0, 0.0, None, None) is None
    assert submit(session, link, data=object()) is None
    assert not compiled.go_out(object(), connection, messages.Reply(1, b""), True)
    assert not compiled.settle(object(), messages.Reply(1, b""))
    assert not compiled.settle(connection, object())
    assert not session.pending_calls()


def test_the_target_is_told_quickly_of_answers(
    session: Session, worker: PlayedWorker, link: LocalActorLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.call(link, "method")
    _, connection = only(session)
    flight, told = connection.in_flight, []

    class Answered:
        def answered(self, connection: Connection) -> None:
            told.append(connection)
            if len(told) == 1:
                raise KeyError("first")
            if len(told) == 3:
                flight.answered = link

    assert compiled.tell_answered(connection)
    assert told == []
    target = flight.answered = Answered()
    with pytest.raises(KeyError, match="first"):
        compiled.tell_answered(connection)
    assert flight.answered is target
    assert compiled.tell_answered(connection)
    assert flight.answered is None
    flight.answered = target
    assert compiled.tell_answered(connection)
    assert flight.answered is link
    assert told == [connection] * 3
    assert not compiled.tell_answered(object())
    del flight.answered
    assert compiled.tell_answered(connection)


def test_wrong_arguments_are_refused() -> None:
    for function in (
        compiled.submit,
        compiled.begin,
        compiled.go_out,
        compiled.send_tasks,
        compiled.submit_task,
        compiled.know_tasks,
        compiled.settle,
        compiled.know,
    ):
        with pytest.raises(TypeError, match="takes"):
            function(object)
    with pytest.raises(TypeError, match="no slot call"):
        compiled.know(*[Node] * 12)
    with pytest.raises(TypeError, match="takes classes"):
        compiled.know(*[object()] * 12)


def test_no_lack_of_memory_leaves_half_a_call(session: Session, worker: PlayedWorker, link: LocalActorLink) -> None:
    testcapi = pytest.importorskip("_testcapi")
    submit(session, link)  # behind it the others are queued only: msgspec does not bear a lack of memory
    other, connection = only(session)
    settle(session, worker)
    worker.got.clear()
    for first in range(100):
        refs: list[Any] = [None]
        parent = Parent() if first % 2 else None
        testcapi.set_nomemory(first // 2, first // 2 + 2)
        try:
            refs[0] = submit(session, link, parent=parent)
        except MemoryError:
            pass
        finally:
            testcapi.remove_mem_hooks()
        calls = [call for call in session.pending_calls() if call is not other]
        assert len(calls) in (0, 1)
        assert parent is None or list(parent.children) == calls
        settle(session, worker)
        assert len(worker.got) == len(calls)
        worker.got.clear()
        for call in calls:
            assert (call.state, call.connection, call.entries[0].call) == (SENT, connection, call)
            reply = messages.Reply(call.number, b"N.")
            testcapi.set_nomemory(first % 6, first % 6 + 1)
            try:
                done = compiled.settle(connection, reply)
            except MemoryError:
                done = False
            finally:
                testcapi.remove_mem_hooks()
            assert done == (call.state == FINISHED)
            session.replies.on_reply(connection, reply)
            assert call.state == FINISHED
            assert parent is None or parent.children == {}
        assert connection.in_flight.calls == {other.number: other}
        assert connection.in_flight.answering is None


class Listener:
    """A listener of an entry, which does something with its call when it is told.

    Args:
        act: What it does.
    """

    def __init__(self, act: Any = None) -> None:
        self.told = 0
        self.act = act

    def ready(self, entry: Entry) -> None:
        self.told += 1
        if self.act is not None:
            self.act()


def test_a_listener_finds_the_value_and_a_call_that_goes_on(session: Session, link: LocalActorLink) -> None:
    ref = submit(session, link)
    call, connection = only(session)
    seen: list[Any] = []
    listener = Listener(lambda: seen.append((ref.done(), session.get(ref), call.state, call.target is link)))
    ref._entry.add_waiter(listener)
    assert compiled.settle(connection, messages.Reply(call.number, pickling.dumps(5).data))
    assert seen == [(True, 5, SENT, True)]
    assert (listener.told, ref._entry.waiters, ref._entry.call) == (1, (), None)
    assert (call.state, call.target, connection.in_flight.calls) == (FINISHED, None, {})


def test_a_listener_that_has_failed_the_call_leaves_it_failed(session: Session, link: LocalActorLink) -> None:
    ref = submit(session, link)
    call, connection = only(session)
    ref._entry.add_waiter(Listener(lambda: call.fail(failures.encode(ValueError("no")))))
    assert compiled.settle(connection, messages.Reply(call.number, b"N."))
    assert session.get(ref) is None
    assert (call.state > FINISHED, call.target, connection.in_flight.answering) == (True, None, None)


def test_several_listeners_and_a_wait_are_left_to_the_steps_in_python(session: Session, link: LocalActorLink) -> None:
    ref = submit(session, link)
    call, connection = only(session)
    listeners = [Listener(), Listener()]
    for listener in listeners:
        ref._entry.add_waiter(listener)
    assert not compiled.settle(connection, messages.Reply(call.number, b"N."))
    assert not ref.done()
    session.replies.on_reply(connection, messages.Reply(call.number, b"N."))
    assert [listener.told for listener in listeners] == [1, 1]

    ref = submit(session, link)
    call, connection = only(session)
    session.objects.waiting.watchers.append(Any)  # type: ignore[arg-type]
    assert not compiled.settle(connection, messages.Reply(call.number, b"N."))
    session.objects.waiting.watchers.clear()
    assert call.state == SENT


def test_calls_leave_no_object_behind(session: Session, worker: PlayedWorker, link: LocalActorLink) -> None:
    def trips(count: int) -> None:
        for _ in range(count):
            ref = session.call(link, "method")
            settle(session, worker)
            worker.reply(worker.take(messages.Call))
            settle(session, worker)
            assert session.get(ref) is None

    trips(300)
    gc.collect()
    before = sys.getallocatedblocks()
    trips(1500)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200


def test_a_call_that_nobody_holds_is_freed_with_its_answer(
    session: Session, worker: PlayedWorker, link: LocalActorLink
) -> None:
    gc.collect()
    gc.disable()
    try:
        before = sum(type(thing) in (Entry, PendingCall, ObjectRef) for thing in gc.get_objects())
        session.call(link, "method")
        settle(session, worker)
        worker.reply(worker.take(messages.Call))
        settle(session, worker)
        assert sum(type(thing) in (Entry, PendingCall, ObjectRef) for thing in gc.get_objects()) == before
    finally:
        gc.enable()


# ------------------------------------------------------------------------------------------------------- at random


def play(directory: Path, seed: int) -> list[Any]:
    """Make calls and answer them at random; return all that can be seen of it."""
    rng = random.Random(seed)
    session, worker = Session(directory, in_background=False), PlayedWorker(directory)
    seen: list[Any] = []
    with tied(session, worker), acting_as(session):
        link = worker.become_actor(session)
        first = next(session.numbers)
        refs: list[Any] = []
        for _ in range(rng.randrange(10, 60)):
            action = rng.choice(["call", "call", "call", "turn", "answer", "answer", "see", "cancel", "drop", "get"])
            if action == "call":
                options = None if rng.random() < 0.8 else CallOptions.parse({"name": "n"})
                arguments = rng.choice([(), (1,), (bytes(5000),), (refs[-1],) if refs else ()])
                group, count = rng.choice(["", "", "io"]), rng.choice([1, 1, 1, 1, 2, 0])
                result = session.call(link, "method", *arguments, num_returns=count, group=group, options=options)
                refs += result if isinstance(result, list) else [result] if result is not None else []
            elif action == "turn":
                settle(session, worker)
            elif action == "answer" and worker.got:
                message = worker.got.pop(rng.randrange(len(worker.got)))
                if type(message) is messages.Call:
                    seen.append((message.number - first, message.method, message.data, message.name, message.group))
                    if message.num_returns == 1 and rng.random() < 0.8:
                        worker.reply(message, message.number - first)
                    elif rng.random() < 0.5:
                        worker.raises(message, ValueError("no"))
                    else:
                        worker.result(message, *range(message.num_returns))
            elif action == "see":
                seen.append([(call.number - first, call.state) for call in session.pending_calls()])
                seen.append([ref._entry.state for ref in refs])
                seen.append(session.objects.waiting.news)
            elif action == "cancel" and refs:
                call = rng.choice(refs)._entry.call
                if call is not None:
                    call.cancel(CancelMode.CANCEL, True)
            elif action == "drop" and refs:
                refs.pop(rng.randrange(len(refs)))
            elif action == "get" and refs:
                ref = rng.choice(refs)
                if ref.done():
                    try:
                        seen.append(session.get(ref))
                    except RayTaskError as error:
                        seen.append(type(error).__name__)
                    except Exception as error:
                        seen.append(type(error).__name__)
        settle(session, worker)
        seen.append([type(message).__name__ for message in worker.got])
        seen.append([(call.number - first, call.state) for call in session.pending_calls()])
        seen.append((QUEUED, len(link.queued())))
    return seen


@pytest.mark.parametrize("seed", range(40))
def test_both_forms_do_the_same(tmp_path: Path, request: pytest.FixtureRequest, seed: int) -> None:
    quickly = play(tmp_path, seed)
    request.getfixturevalue("in_python")
    assert play(tmp_path, seed) == quickly
