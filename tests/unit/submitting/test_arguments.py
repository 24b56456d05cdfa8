"""Arguments on their way: pickled at once, references waited for and replaced by their values."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from members import Session, settle
from played_worker import PlayedWorker

from nbactors.local.objects.entry import Entry
from nbactors.local.submitting.arguments import Arguments, fill, prepare
from nbactors.local.wire import failures, messages
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling


def prepared(session: Session, *args: Any, **kwargs: Any) -> Any:
    return prepare(session.objects.values, args, kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1, "two", None), {}), (([1, 2],), {}), ((), {"key": 1}), ((1,) * 40, {})],
    ids=["atoms", "a list", "a keyword", "many"],
)
def test_plain_arguments_are_bytes(session: Session, worker: PlayedWorker, args: Any, kwargs: Any) -> None:
    data = prepared(session, *args, **kwargs)
    assert type(data) is bytes
    assert pickling.loads(data) == (args, kwargs)


def test_references_leave_gaps_that_the_receiver_fills(session: Session, worker: PlayedWorker) -> None:
    one, two = session.put(1), session.put(2)
    arguments = prepared(session, "a", one, key=two, other=3)
    assert isinstance(arguments, Arguments)
    assert arguments.held.load() == (("a", None), {"key": None, "other": 3})
    deps = [(key, session.get(ref)) for key, ref in arguments.refs]
    assert fill(*arguments.held.load(), deps) == (("a", 1), {"key": 2, "other": 3})


def test_the_callers_keywords_are_left_alone(session: Session, worker: PlayedWorker) -> None:
    ref = session.put(1)
    kwargs = {"key": ref}
    prepare(session.objects.values, (), kwargs)
    assert kwargs == {"key": ref}


def test_a_reference_inside_a_list_travels_as_a_reference(session: Session, worker: PlayedWorker) -> None:
    link, ref = worker.become_actor(session), session.put(1)
    session.call(link, "method", [ref])
    settle(session, worker)
    call = worker.take(messages.Call)
    assert call.deps == []
    assert call.rest is not None
    assert call.rest.refs == [ref._entry.id]


def test_what_does_not_pickle_is_named(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    with pytest.raises(
        TypeError, match="cannot pickle the arguments for another process; at fault: argument 1, item 0"
    ):
        session.call(link, "method", [threading.Lock()])
    assert session.pending_calls() == []


def test_the_first_that_is_missing_is_looked_at_again_first(session: Session, worker: PlayedWorker) -> None:
    entries = [Entry(session.objects, number) for number in range(3)]
    arguments = Arguments(prepared_held(session), [(index, ObjectRef(entry)) for index, entry in enumerate(entries)])
    assert arguments.missing() == entries
    assert arguments.pending() is entries[0]
    entries[1].resolve(b"N.")
    assert arguments.pending() is entries[0]
    entries[0].resolve(b"N.")
    assert arguments.pending() is entries[2]
    assert arguments.failure() is None
    entries[2].resolve(failures.encode(KeyError()), error=True)
    assert arguments.pending() is None
    assert arguments.missing() == []
    assert arguments.failure() is entries[2]


def prepared_held(session: Session) -> Any:
    return session.objects.values.hold(((None,) * 3, {}))


def test_large_arguments_travel_in_shared_memory(session: Session, worker: PlayedWorker) -> None:
    link = worker.become_actor(session)
    large = b"x" * 200_000
    ref = session.call(link, "method", session.put(large), large)
    settle(session, worker)
    call = worker.take(messages.Call)
    assert call.rest is not None
    assert call.rest.segment is not None
    assert call.deps is not None
    assert call.deps[0][1].segment is not None
    worker.reply(call, 1)
    assert session.get(ref) == 1
