"""What a call keeps, and by what it is kept, until it has ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nbactors.local.member import Process
from nbactors.local.membership import Membership
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.objects.unread import Unread
from nbactors.local.objects.waiting import Waiting
from nbactors.local.reactor.timers import Timers
from nbactors.local.submitting.arguments import Arguments
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.object_ref import ObjectRef


class Target:
    """Notes what its calls are told, and cancels none."""

    def __init__(self) -> None:
        self.told = 0
        self.cancelled: list[int] = []

    def on_argument(self, call: PendingCall) -> None:
        self.told += 1
        call.settled()

    def cancel(self, call: PendingCall, message: Any) -> None:
        self.cancelled.append(call.number)


@pytest.fixture
def process() -> Any:
    made: Any = SimpleNamespace(membership=Membership(b"p" * 16))
    made.unread = Unread(made.membership, made)
    made.waiting = Waiting(made, made.membership, made, made, made.unread)
    made.timers = Timers(lambda error, callback: None)
    made.reactor = SimpleNamespace(call_later=made.timers.add)
    return made


def call_with(process: Any, count: int, number: int = 1) -> tuple[PendingCall, list[Entry], Target]:
    entries = [Entry(process, index) for index in range(count)]
    target = Target()
    arguments = Arguments(Held(b""), [(index, ObjectRef(entry)) for index, entry in enumerate(entries)])
    call = PendingCall(number, (Entry(process, 100 + number),), target, None, arguments)
    call.await_arguments()
    return call, entries, target


@pytest.mark.parametrize("step", [1, -1], ids=["in order", "the last one first"])
def test_a_call_waits_for_its_arguments_in_turn(process: Any, step: int) -> None:
    call, entries, target = call_with(process, 100)
    for entry in entries[::step]:
        assert not call.settled()
        entry.resolve(b"")
    assert call.settled()
    assert target.told == (100 if step > 0 else 1)


def test_a_call_that_has_ended_waits_for_nothing(process: Any) -> None:
    entry = Entry(process, 1)
    for number in range(10):
        arguments = Arguments(Held(b""), [(0, ObjectRef(entry))])
        call = PendingCall(number, (), Target(), None, arguments)
        call.await_arguments()
        call.fail(b"")
    assert not entry.waiters


def test_the_timer_of_a_call_ends_with_it(process: Any) -> None:
    for number in range(1000):
        call, _, _ = call_with(process, 0, number)
        call.limit(process.reactor, 3600)
        call.sent()
        call.finish()
        process.timers.run()
    assert len(process.timers) < 200


def test_the_calls_of_a_call_are_cancelled_without_a_look_at_others(process: Any) -> None:
    parent = SimpleNamespace(children=None, task_id=b"")
    target = Target()
    calls = [PendingCall(number, (), target, None) for number in range(4)]
    for call in calls:
        call.belong_to(parent)
    calls[1].sent()
    calls[1].finish()
    Process.cancel_children(process, parent, "cancel")
    assert target.cancelled == [3, 2, 0]
    for call in calls:
        call.fail(b"")
    assert not parent.children
