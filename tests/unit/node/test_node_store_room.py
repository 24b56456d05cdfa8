"""The memory of the object stores: one account over all sessions and workers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_scenario import Client, Scenario

from nbactors.local.node.rules.memory.lending import AGAIN_S, ANSWER_WITHIN_S
from nbactors.local.node.rules.memory.store_room import PIECES, StoreRoom
from nbactors.local.wire import messages

LIMIT = 1600
PIECE = LIMIT // PIECES
FEW = st.integers(0, 3)


def test_room_is_lent_in_large_pieces() -> None:
    room = StoreRoom(LIMIT)
    assert room.lend(b"a", b"s", LIMIT, 0, 1) == PIECE
    assert room.lend(b"a", b"s", LIMIT, PIECE, PIECE + 1) == 2 * PIECE


def test_what_is_left_is_lent_when_a_piece_is_more() -> None:
    room = StoreRoom(LIMIT)
    assert room.lend(b"a", b"s", LIMIT, 0, LIMIT - 30) == LIMIT
    assert room.lend(b"b", b"s", LIMIT, 0, 10) == 0
    assert room.lend(b"a", b"s", LIMIT, LIMIT, LIMIT - 30) == LIMIT, "it holds so much"
    assert room.lend(b"a", b"s", LIMIT, 100, LIMIT - 30) == LIMIT - 30
    assert room.lend(b"b", b"s", LIMIT, 0, 10) == 30


def test_a_session_has_no_more_than_its_share() -> None:
    room = StoreRoom(LIMIT)
    assert room.lend(b"driver", b"s", 500, 0, 400) == 400
    assert room.lend(b"worker", b"s", 500, 0, 400) == 100
    assert room.lend(b"other", b"t", LIMIT, 0, 400) == 400


def test_a_session_may_have_more_than_the_default() -> None:
    room = StoreRoom(LIMIT)
    assert room.lend(b"driver", b"s", 2 * LIMIT, 0, 2 * LIMIT) == 2 * LIMIT
    assert room.lend(b"other", b"t", LIMIT, 0, 10) == 0


def test_an_ended_process_gives_its_room_back() -> None:
    room = StoreRoom(LIMIT)
    room.lend(b"a", b"s", LIMIT, 0, LIMIT)
    room.gone(b"a")
    room.gone(b"a")
    assert room.lent == 0
    assert room.lend(b"b", b"s", LIMIT, 0, LIMIT) == LIMIT


def test_a_new_node_counts_what_its_predecessor_has_lent() -> None:
    room = StoreRoom(LIMIT)
    assert room.lend(b"a", b"s", LIMIT, LIMIT - 50, LIMIT - 50) == LIMIT
    assert room.lend(b"b", b"s", LIMIT, 200, 200) == 200, "it has it already"
    assert room.lend(b"c", b"s", LIMIT, 0, 1) == 0


def test_what_is_lacking_is_told_in_pieces_with_those_that_may_have_it() -> None:
    room = StoreRoom(LIMIT)
    room.lend(b"a", b"s", LIMIT, 0, LIMIT - PIECE)
    room.lend(b"b", b"t", LIMIT, 0, 10)
    assert room.lent == LIMIT
    assert room.lacking(b"b", b"t", LIMIT, PIECE) == (0, {})
    assert room.lacking(b"b", b"t", LIMIT, PIECE + 1) == (PIECE, {b"a": LIMIT // 2})
    assert room.lacking(b"c", b"t", LIMIT, PIECE + 1) == (2 * PIECE, {b"a": LIMIT // 3, b"b": messages.KEEP_ALL})


def test_other_sessions_cannot_help_one_at_its_limit() -> None:
    room = StoreRoom(LIMIT)
    room.lend(b"driver", b"s", 500, 0, 400)
    room.lend(b"worker", b"s", 500, 0, 100)
    room.lend(b"other", b"t", LIMIT, 0, 100)
    assert room.lacking(b"worker", b"s", 500, 150) == (PIECE, {b"driver": 250})
    assert room.lacking(b"worker", b"s", 500, 5000) == (4 * PIECE, {b"driver": 250}), "it can have 500 at most"


def test_room_that_comes_back_is_free() -> None:
    room = StoreRoom(LIMIT)
    room.lend(b"a", b"s", LIMIT, 0, LIMIT)
    room.take_back(b"a", 300)
    room.take_back(b"unknown", 300)
    assert room.lend(b"b", b"s", LIMIT, 0, LIMIT) == 300
    room.take_back(b"a", 2 * LIMIT)
    assert room.lent == 300


@settings(deadline=None)
@given(st.lists(st.tuples(FEW, FEW, st.integers(0, 2000), st.booleans()), max_size=60))
def test_no_limit_is_exceeded_whoever_asks(steps: list[tuple[int, int, int, bool]]) -> None:
    room, limits = StoreRoom(LIMIT), [LIMIT, 700, 300, 1000]
    lent: dict[tuple[int, int], int] = {}
    for session, process, wanted, ends in steps:
        process_id = bytes([session, process])
        if ends:
            room.gone(process_id)
            lent.pop((session, process), None)
        else:
            lent[session, process] = room.lend(process_id, bytes([session]), limits[session], 0, wanted)
        assert room.lent == sum(lent.values()) <= LIMIT
        for index, limit in enumerate(limits):
            assert sum(size for (of, _), size in lent.items() if of == index) <= limit


class TestMessages:
    @staticmethod
    def ask(client: Client, held: int, wanted: int, within_s: float = 0.0) -> tuple[int, int]:
        """Ask for room. Without a time the node must answer at once: no process is asked for unused room before."""
        client.send(messages.AskRoom(held, wanted))
        client.scenario.pass_time(within_s)
        answer = client.one(messages.Room)
        return answer.lent, answer.most

    def test_sessions_and_their_workers_share_the_session_s_limit(self, node: Scenario) -> None:
        session = node.session(object_store_memory=200.0)
        _, worker = session.create_alive()
        assert self.ask(session, 0, 150) == (162, 200)
        assert self.ask(worker, 0, 100, ANSWER_WITHIN_S) == (38, 200)

    @pytest.mark.parametrize("role", ["session", "worker"])
    def test_the_room_of_a_process_that_ends_is_free(self, node: Scenario, role: str) -> None:
        first, other = node.session(), node.session()
        process = first if role == "session" else first.create_alive()[1]
        assert self.ask(process, 0, 300) == (300, 300)
        assert self.ask(other, 0, 10, ANSWER_WITHIN_S) == (0, 300)
        if role == "session":
            process.leave()
        else:
            node.end_worker(process)
        assert self.ask(other, 0, 10)[0] > 0

    def test_where_memory_lies_in_a_file_system_the_default_limit_is_no_more_than_this_has(self) -> None:
        node = Scenario(store_room=120.5)
        assert self.ask(node.session(), 0, 300) == (120, 120)
        assert node.session().ask("cluster_resources").amounts["object_store_memory"] == 120
        named = node.session(object_store_memory=250.0)
        assert self.ask(named, 0, 300, ANSWER_WITHIN_S) == (130, 250), "the user knows better"

    def test_others_give_back_what_they_do_not_use_before_a_process_is_answered(self, node: Scenario) -> None:
        idle, busy, lacking = node.session(), node.session(), node.session()
        assert self.ask(idle, 0, 198) == (198, 300)
        assert self.ask(busy, 0, 102) == (102, 300)
        lacking.send(messages.AskRoom(0, 50))
        assert not lacking.got(messages.Room)
        self.use(idle, 138, returned=60)
        assert not lacking.got(messages.Room), "another one may have room, too"
        self.use(busy, 102)
        assert lacking.one(messages.Room).lent == 54

    def test_a_process_that_does_not_answer_costs_little_once_and_nothing_later(self, node: Scenario) -> None:
        stopped, lacking = node.session(), node.session()
        self.ask(stopped, 0, 300)
        lacking.send(messages.AskRoom(0, 50))
        node.pass_time(ANSWER_WITHIN_S)
        assert lacking.one(messages.Room).lent == 0
        node.pass_time(5.0)
        assert self.ask(lacking, 0, 50) == (0, 300), "at once"
        (question,) = stopped.got(messages.AskUse)
        stopped.send(messages.StoreUse(question.number, 0, 0, 100))
        assert self.ask(lacking, 0, 50) == (54, 300), "it has come late"
        node.pass_time(AGAIN_S)
        lacking.send(messages.AskRoom(54, 200))
        assert stopped.one(messages.AskUse).wanted == 108, "it was heard again"

    def test_a_process_is_not_asked_again_and_again(self, node: Scenario) -> None:
        busy, lacking = node.session(), node.session()
        self.ask(busy, 0, 300)
        lacking.send(messages.AskRoom(0, 50))
        self.use(busy, 300)
        assert lacking.one(messages.Room).lent == 0
        assert self.ask(lacking, 0, 50) == (0, 300)
        assert not busy.got(messages.AskUse)
        node.pass_time(AGAIN_S)
        lacking.send(messages.AskRoom(0, 50))
        self.use(busy, 200, returned=100)
        assert lacking.one(messages.Room).lent == 54

    def test_a_process_that_asks_twice_is_answered_twice(self, node: Scenario) -> None:
        idle, lacking = node.session(), node.session()
        self.ask(idle, 0, 300)
        lacking.send(messages.AskRoom(0, 50))
        lacking.send(messages.AskRoom(0, 150))
        self.use(idle, 0, returned=150)
        assert [room.lent for room in lacking.got(messages.Room)] == [54, 150]

    def test_two_processes_that_both_lack_room_wait_for_each_other_not_at_all(self, node: Scenario) -> None:
        first, second = node.session(), node.session()
        self.ask(first, 0, 162)
        self.ask(second, 0, 138)
        first.send(messages.AskRoom(162, 250))
        second.send(messages.AskRoom(138, 250))
        self.use(second, 138)
        self.use(first, 162)
        assert [client.one(messages.Room).lent for client in (first, second)] == [162, 138]

    def test_room_that_is_given_back_or_declared_is_answered_at_once(self, node: Scenario) -> None:
        first, second = node.session(), node.session()
        self.ask(first, 0, 300)
        assert self.ask(second, 80, 80) == (80, 300), "an earlier node has lent it"
        assert self.ask(second, 10, 10) == (10, 300)
        assert not first.got(messages.AskUse)

    @pytest.mark.parametrize("ends", ["holder", "asker"])
    def test_the_end_of_a_process_ends_the_wait(self, node: Scenario, ends: str) -> None:
        holder, lacking = node.session(), node.session()
        self.ask(holder, 0, 300)
        lacking.send(messages.AskRoom(0, 50))
        if ends == "holder":
            holder.leave()
            assert lacking.one(messages.Room).lent == 54
        else:
            lacking.leave()
            self.use(holder, 0, returned=300)
            assert self.ask(holder, 0, 300) == (300, 300), "the process that has ended got nothing"

    def test_the_largest_holder_is_to_spill_for_a_process_with_less_than_an_equal_share(self, node: Scenario) -> None:
        small, large, late = node.session(), node.session(), node.session()
        self.ask(small, 0, 54)
        self.ask(large, 0, 246)
        late.send(messages.AskRoom(0, 36))
        questions = {client: client.one(messages.AskUse) for client in (small, large)}
        assert [question.share for question in questions.values()] == [messages.KEEP_ALL, 100]
        for client, question in questions.items():
            client.send(messages.StoreUse(question.number, 0, 0))
        assert late.one(messages.Room).lent == 0
        assert self.ask(large, 210, 210) == (210, 300), "it has spilled"
        assert self.ask(late, 0, 36) == (36, 300)

    def test_nobody_spills_for_a_process_with_an_equal_share(self, node: Scenario) -> None:
        first, second = node.session(), node.session()
        self.ask(first, 0, 144)
        self.ask(second, 0, 156)
        second.send(messages.AskRoom(156, 200))
        assert first.one(messages.AskUse).share == messages.KEEP_ALL

    @staticmethod
    def use(client: Client, held: int, returned: int = 0) -> None:
        client.send(messages.StoreUse(client.one(messages.AskUse).number, held, 0, returned))
