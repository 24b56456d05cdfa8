"""The room for the object store that the node lends: when a process asks, and what it does without an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nbactors.local.objects import lent_room
from nbactors.local.objects.lent_room import KEEP, SLACK, LentRoom
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages

MIB = 1 << 20


class Node:
    """A node that answers while a process waits, as the test says."""

    def __init__(self) -> None:
        self.lost = ""
        self.asked: list[messages.AskRoom] = []
        self.answer: Callable[[messages.AskRoom], messages.Room | None] = lambda asked: None
        self.leads = False
        self.room = LentRoom(self, self._wait, lambda: not self.leads)  # type: ignore[arg-type]

    def send_now(self, message: Any) -> None:
        self.asked.append(message)

    def _wait(self, waiter: Waiter, seconds: float) -> bool:
        answer = self.answer(self.asked[-1])
        if answer is not None:
            self.room.on_room(answer)
        return waiter.done

    def lend(self, size: int) -> None:
        self.room.on_room(messages.Room(size, 1000 * MIB))


@pytest.fixture
def node() -> Node:
    return Node()


def test_the_first_value_asks_and_waits(node: Node) -> None:
    node.answer = lambda asked: messages.Room(100 * MIB, 1000 * MIB)
    node.room.ask(MIB)
    assert node.asked == [messages.AskRoom(0, MIB)]
    assert (node.room.lent, node.room.most, node.room.is_short) == (100 * MIB, 1000 * MIB, False)
    node.room.ask(50 * MIB)
    assert len(node.asked) == 1, "there is room"


def test_the_leader_asks_once_and_does_not_wait(node: Node) -> None:
    """It would handle the message a second time that it is in the middle of."""
    node.leads = True
    node.room.ask(MIB)
    node.room.ask(MIB)
    assert node.asked == [messages.AskRoom(0, MIB)]
    assert (node.room.lent, node.room.is_short) == (0, False)
    node.lend(100 * MIB)
    assert node.room.lent == 100 * MIB


def test_more_is_asked_for_before_it_is_needed_and_once(node: Node) -> None:
    node.lend(100 * MIB)
    node.room.look_ahead(50 * MIB)
    assert node.asked == []
    node.room.look_ahead(80 * MIB)
    node.room.look_ahead(81 * MIB)
    assert node.asked == [messages.AskRoom(100 * MIB, 100 * MIB + 1)]
    node.lend(200 * MIB)
    node.room.look_ahead(180 * MIB)
    assert len(node.asked) == 2


def test_a_node_that_has_no_more_is_not_asked_again_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(lent_room, "monotonic", lambda: now)
    node.answer = lambda asked: messages.Room(10 * MIB, 1000 * MIB)
    node.room.ask(50 * MIB)
    assert node.room.is_short
    node.room.ask(50 * MIB)
    node.room.look_ahead(10 * MIB)
    assert len(node.asked) == 1
    now += lent_room.SHORT_S + 0.1
    node.answer = lambda asked: messages.Room(90 * MIB, 1000 * MIB)
    node.room.ask(50 * MIB)
    assert (node.room.lent, node.room.is_short) == (90 * MIB, False)


@pytest.mark.parametrize("is_lost", [False, True], ids=["silent", "gone"])
def test_without_a_node_a_process_goes_on_with_a_little_more(node: Node, is_lost: bool) -> None:
    node.lend(100 * MIB)
    node.lost = "it is gone" if is_lost else ""
    node.room.ask(120 * MIB)
    assert node.room.lent == 120 * MIB
    node.room._short_until = 0.0
    node.room.ask(1000 * MIB)
    assert node.room.lent == 100 * MIB + SLACK
    node.lend(500 * MIB)
    assert node.room.lent == 500 * MIB


def test_an_idle_process_gives_back_what_it_does_not_need(node: Node) -> None:
    node.lend(1000 * MIB)
    node.room.give_back(1000 * MIB - KEEP)
    assert node.asked == []
    node.room.give_back(100 * MIB)
    size = 100 * MIB + KEEP
    assert node.asked == [messages.AskRoom(size, size)]
    assert node.room.lent == size


def test_a_new_node_is_told_what_the_process_has_and_what_was_asked_of_the_last_one_counts_no_more(node: Node) -> None:
    node.lend(100 * MIB)
    node.room.look_ahead(90 * MIB)
    assert node.room.declare() == messages.AskRoom(100 * MIB, 100 * MIB)
    node.lend(100 * MIB)
    assert node.room.give_unused(30 * MIB, lambda: 0) == 30 * MIB, "nothing is asked of the new node"


def test_room_that_is_not_used_is_given_back_when_the_node_lacks_it(node: Node) -> None:
    node.lend(100 * MIB)
    assert node.room.give_unused(20 * MIB, lambda: 10 * MIB) == 20 * MIB
    assert node.room.lent == 80 * MIB
    assert node.room.give_unused(200 * MIB, lambda: 10 * MIB) == 70 * MIB
    assert node.room.give_unused(200 * MIB, lambda: 10 * MIB) == 0
    assert node.room.lent == 10 * MIB, "it is in use"
    assert node.asked == [], "the node is told with the answer to its question"


def test_room_that_another_thread_takes_meanwhile_is_not_given_back(node: Node) -> None:
    node.lend(100 * MIB)
    taken = iter([10 * MIB, 30 * MIB])
    assert node.room.give_unused(100 * MIB, lambda: next(taken)) == 70 * MIB
    assert node.room.lent == 30 * MIB


def test_nothing_is_given_back_while_an_answer_may_be_on_its_way(node: Node) -> None:
    """The answer says how much room there is in all, so it would put the room into use again."""
    node.lend(100 * MIB)
    node.room.look_ahead(90 * MIB)
    node.room.ask(200 * MIB)
    for lent in (150, 200):
        assert node.room.give_unused(50 * MIB, lambda: 0) == 0
        node.room.give_back(0)
        node.lend(lent * MIB)
    assert len(node.asked) == 2
    assert node.room.give_unused(50 * MIB, lambda: 0) == 50 * MIB


def test_what_was_taken_without_the_node_is_not_given_back_to_it(node: Node) -> None:
    node.lend(100 * MIB)
    node.room.ask(120 * MIB)
    assert node.room.lent == 120 * MIB, "the node was silent"
    node.lend(100 * MIB)
    node.lost = "it is gone"
    node.room.ask(120 * MIB)
    node.room._open.clear()
    assert node.room.give_unused(200 * MIB, lambda: 90 * MIB) == 10 * MIB


def test_used_room_comes_back_when_the_store_has_spilled(node: Node) -> None:
    node.lend(100 * MIB)
    assert node.room.owe(60 * MIB, 50 * MIB)
    assert (node.room.lent, node.room.is_short) == (50 * MIB, True), "it keeps its share"
    node.room.ask(90 * MIB)
    node.room.look_ahead(90 * MIB)
    node.room.give_back(0)
    assert (node.asked, node.room.give_unused(MIB, lambda: 0), node.room.owe(MIB, 0)) == ([], 0, False)
    node.room.settle(40 * MIB)
    assert [(asked.held, asked.wanted) for asked in node.asked] == [(50 * MIB, 50 * MIB)]
    assert not node.room.owes


def test_values_that_cannot_be_spilled_keep_their_room(node: Node) -> None:
    node.lend(100 * MIB)
    node.room.owe(60 * MIB, 20 * MIB)
    node.room.settle(90 * MIB)
    assert node.room.lent == 90 * MIB
    assert node.asked[-1].wanted == 90 * MIB


def test_a_process_with_no_more_than_its_share_owes_nothing(node: Node) -> None:
    node.lend(100 * MIB)
    assert not node.room.owe(60 * MIB, 100 * MIB)
    assert not node.room.owe(0, 10 * MIB)
    assert node.room.lent == 100 * MIB


def test_the_process_s_own_cgroup_bounds_what_a_node_in_another_one_lends(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lent_room.cgroups, "memory", lambda: 100.0 * MIB)
    node.answer = lambda asked: messages.Room(80 * MIB, 1000 * MIB)
    node.room.ask(50 * MIB)
    assert (node.room.lent, node.room.most, node.room.is_short) == (30 * MIB, 30 * MIB, True)
    node.room.on_room(messages.Room(80 * MIB, 200 * MIB, is_named=True))
    assert (node.room.lent, node.room.most) == (80 * MIB, 200 * MIB)
