"""What `wait` may not miss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nbactors.local.membership import Membership
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.objects.stream_inbox import Inbox
from nbactors.local.objects.streams import Reader
from nbactors.local.objects.waiting import Waiting
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator


class Member:
    """A process of which `wait` needs little. `meanwhile` runs once, between the first look and the watcher."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = [meanwhile]
        self.blocked = 0
        self.reactor = self
        self.waiting = Waiting(self, Membership(), self, None, None)  # type: ignore[arg-type]

    @property
    def borrows(self) -> bool:
        while self._meanwhile:
            self._meanwhile.pop()()
        return False

    def wait(self, waiter: Any, timeout: float | None) -> bool:
        """As the reactor's, with nobody who would ever wake the thread."""
        self.blocked += 1
        return False

    def discard(self, action: Callable[[], None]) -> None:
        action()


@pytest.mark.parametrize("num_returns", [1, 2])
def test_what_comes_between_the_look_and_the_watcher_is_seen(num_returns: int) -> None:
    def come() -> None:
        for ref in refs[-num_returns:]:
            ref._entry.resolve(b"")

    member = Member(come)
    refs: list[ObjectRef[Any]] = [ObjectRef(Entry(member, number)) for number in range(3)]  # type: ignore[arg-type]
    assert member.waiting.wait(refs, num_returns, None) == (refs[-num_returns:], refs[:-num_returns])
    assert not member.blocked
    assert not member.waiting.watchers


@pytest.mark.parametrize(
    "come", [lambda inbox: inbox.arrive(1, Held(b"")), lambda inbox: inbox.end()], ids=["yielded", "ended"]
)
def test_what_a_generator_yields_between_the_look_and_the_watcher_is_seen(come: Callable[[Inbox], None]) -> None:
    member = Member(lambda: come(inbox))
    inbox = Inbox(member, PendingCall(1, (), None, None), 0, False)  # type: ignore[arg-type]
    refs: list[Any] = [ObjectRef(Entry(member, 2)), ObjectRefGenerator(Reader(inbox), None)]  # type: ignore[arg-type]
    assert member.waiting.wait(refs, 1, None) == (refs[1:], refs[:1])
    assert not member.blocked


def test_what_is_ready_already_needs_no_watcher() -> None:
    member = Member(lambda: pytest.fail("it looked further"))
    refs: list[ObjectRef[Any]] = [ObjectRef(Entry(member, number)) for number in range(3)]  # type: ignore[arg-type]
    refs[1]._entry.lose(b"")
    assert member.waiting.wait(refs, 1, None) == ([refs[1]], [refs[0], refs[2]])


def test_without_any_it_blocks_once() -> None:
    member = Member(lambda: None)
    refs: list[ObjectRef[Any]] = [ObjectRef(Entry(member, 1))]  # type: ignore[arg-type]
    assert member.waiting.wait(refs, 1, 0.01) == ([], refs)
    assert member.blocked == 1
    assert not member.waiting.watchers
