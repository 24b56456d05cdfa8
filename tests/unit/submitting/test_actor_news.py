"""What the node tells of actors, before and after this process has a link for them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nbactors.local.membership import Membership
from nbactors.local.objects.unread import Unread
from nbactors.local.submitting.actors import REMEMBERED, Actors, _forget
from nbactors.local.submitting.submitter import Submitter
from nbactors.local.wire import messages

ACTOR, WORKER, SELF = b"a" * 16, b"p" * 16, b"s" * 16


def tag(node: int) -> bytes:
    return bytes(3) + bytes([node])


def raise_again(error: BaseException, action: object) -> None:
    raise error


class Process:
    """Connects to nobody, and notes to whom it was to and what the node was sent."""

    def __init__(self) -> None:
        self.connected: list[bytes] = []
        self.sent: list[Any] = []
        peers: Any = SimpleNamespace(connect=self.connected.append)
        self.later: list[Callable[[], None]] | None = None
        """The actions of the reactor, if they are to wait."""
        reactor: Any = SimpleNamespace(call_later=lambda *_: None, discard=self.discard, blame=raise_again)
        self.node: Any = SimpleNamespace(lost="", tag=tag(1), send=self.sent.append, send_now=self.sent.append)
        home: Any = SimpleNamespace(unread=SimpleNamespace(of_actor=lambda _: 0))
        unused: Any = None
        membership = Membership(SELF)
        home: Any = SimpleNamespace(unread=Unread(membership, reactor))
        submitter = Submitter(home, unused, reactor, membership, unused, unused, unused)
        self.actors = Actors(membership, submitter, peers, self.node)

    def discard(self, action: Callable[[], None]) -> None:
        if self.later is None:
            action()
        else:
            self.later.append(action)

    def come_to(self, node: int) -> list[Any]:
        """Return to another node; return what it is told of handles."""
        self.node.tag = tag(node)
        self.sent.clear()
        return self.actors.holds()


@pytest.fixture
def process() -> Process:
    return Process()


def up() -> messages.ActorUp:
    return messages.ActorUp(ACTOR, WORKER, 1)


def test_a_named_actor_may_be_up_before_its_link_is_made(process: Process) -> None:
    process.actors.on_news(up())
    hold = process.actors.create(ACTOR, is_known=True)
    assert process.connected == [WORKER], "who attaches to it finds it alive"
    assert process.sent == [messages.AddHold(ACTOR, SELF, 0)]
    assert hold.tokens == 1


def creation() -> messages.CreateActor:
    return messages.CreateActor(0, ACTOR, "Actor", "", "", False, True, {}, {}, None, [], b"", b"")


def test_the_creator_without_a_handle_remembers_that_its_actor_is_up(process: Process) -> None:
    """`get_actor` is answered after that, and finds the actor alive."""
    process.actors.note_created(creation())
    process.actors.on_news(up())
    process.actors.obtain(ACTOR, 1)
    assert process.connected == [WORKER]


def test_the_creator_remembers_no_death(process: Process) -> None:
    process.actors.note_created(creation())
    process.actors.on_news(messages.ActorDown(ACTOR, "killed", "", "", "", 0))
    assert not process.actors._news
    assert process.actors.declare() == []


def test_what_is_not_remembered_the_node_is_asked_for(process: Process) -> None:
    process.actors.on_news(up())
    process.actors._news.clear()
    hold = process.actors.create(ACTOR, is_known=True)
    assert process.connected == []
    assert process.sent == [messages.AddHold(ACTOR, SELF, 0)]
    process.actors.on_news(up())
    assert process.connected == [WORKER]
    assert hold.tokens == 1


class NewsMeanwhile(dict[Any, Any]):
    """The remembered news. `meanwhile` runs when a thread has taken some and has not yet told its link."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def pop(self, key: Any, default: Any = None) -> Any:
        found = super().pop(key, default)
        if found is not None:
            self._meanwhile()
        return found


def test_remembered_news_do_not_undo_later_news_that_the_leader_has_told_meanwhile(process: Process) -> None:
    process.actors._news = NewsMeanwhile(lambda: process.actors.on_news(up()))
    process.actors.on_news(messages.ActorRestarting(ACTOR, "it has crashed", True))
    hold = process.actors.create(ACTOR, is_known=True)
    assert process.connected == [WORKER]
    assert hold.link.facts().state != "restarting", "it waits for a restart that is over"


def test_a_thread_does_not_connect_to_a_process_of_which_the_leader_has_told_that_it_has_crashed(
    process: Process,
) -> None:
    restarting = messages.ActorRestarting(ACTOR, "it has crashed", True)
    process.actors._news = NewsMeanwhile(lambda: process.actors.on_news(restarting))
    process.actors.on_news(up())
    hold = process.actors.create(ACTOR, is_known=True)
    assert process.connected == []
    assert hold.link.facts().state == "restarting"


def test_an_actor_that_the_node_does_not_know_yet_is_not_asked_for(process: Process) -> None:
    hold = process.actors.create(ACTOR, is_known=False)
    assert process.sent == []
    assert hold.tokens == 1


def test_a_handle_that_comes_when_the_last_one_has_gone_is_told_of_again(process: Process) -> None:
    hold = process.actors.obtain(ACTOR, 1)
    process.actors.on_news(up())
    del hold
    process.sent.clear()
    hold = process.actors.obtain(ACTOR, 1)
    assert process.sent == [messages.AddHold(ACTOR, SELF, 0)]
    process.actors.on_news(up())
    assert process.connected == [WORKER, WORKER]
    assert hold.tokens == 1


def test_all_tokens_are_given_back(process: Process) -> None:
    hold = process.actors.known(ACTOR)
    assert process.actors.obtain(ACTOR, 1) is hold
    del hold
    assert process.sent == [messages.AddHold(ACTOR, SELF, 0), messages.ReleaseHold(ACTOR, 1)]


def test_who_unpickles_by_himself_is_counted(process: Process) -> None:
    assert process.actors.obtain(ACTOR).tokens == 1
    assert process.sent[0] == messages.AddHold(ACTOR, SELF, 1)


def test_that_there_is_no_such_actor_may_be_told_before_its_handle_comes(process: Process) -> None:
    process.actors.on_news(messages.ActorDown(ACTOR, "unknown", "", "", "", 0))
    assert process.actors.known(ACTOR).link.facts().state == "dead"


def test_without_a_node_nobody_will_tell(process: Process) -> None:
    process.node.lost = "the node has ended"
    assert process.actors.obtain(ACTOR, 1).link.facts().state == "dead"


def test_nothing_is_kept_of_actors_that_have_gone(process: Process) -> None:
    for number in range(100):
        actor_id = number.to_bytes(16, "little")
        hold = process.actors.create(actor_id, is_known=False)
        process.actors.on_news(messages.ActorUp(actor_id, WORKER, 1))
        del hold
        process.actors.on_news(messages.ActorDown(actor_id, "killed", "", "", "", 0))
    for number in range(3 * REMEMBERED):
        process.actors.on_news(messages.ActorDown(number.to_bytes(16, "little"), "unknown", "", "", "", 0))
    assert len(process.actors._news) == REMEMBERED
    process.actors._news.clear()
    tables = [value for value in vars(process.actors).values() if isinstance(value, (dict, set, list))]
    assert not any(tables)


class Contended(dict[bytes, Any]):
    """The links by actor, to which another thread adds its own when this thread is about to."""

    def __init__(self, add: Any) -> None:
        super().__init__()
        self._add: Any = add

    def setdefault(self, key: bytes, mine: Any) -> Any:
        add, self._add = self._add, None
        if add is not None:
            add(self)
        return super().setdefault(key, mine)


def test_two_threads_that_ask_for_an_actor_get_the_same_link(process: Process) -> None:
    theirs: list[Any] = []

    def add(links: Any) -> None:
        theirs.append(process.actors.known(ACTOR))

    process.actors._links = Contended(add)
    assert process.actors.known(ACTOR) is theirs[0]
    assert process.sent == [messages.AddHold(ACTOR, SELF, 0)], "one of them asks"


def test_a_link_that_has_gone_is_replaced(process: Process) -> None:
    links = process.actors._links
    links[ACTOR] = gone = lambda: None  # type: ignore[assignment]
    hold = process.actors.known(ACTOR)
    assert process.actors.existing(ACTOR) is hold.link
    _forget(links, ACTOR, gone)  # type: ignore[arg-type]
    assert process.actors.existing(ACTOR) is hold.link, "the end of the old one is told late"
    links.clear()
    _forget(links, ACTOR, gone)  # type: ignore[arg-type]


def test_a_link_that_has_gone_may_be_forgotten_meanwhile(process: Process) -> None:
    class Forgotten(dict[bytes, Any]):
        """The end of the old link is told between two looks at it."""

        def __getitem__(self, key: bytes) -> Any:
            self.clear()
            raise KeyError(key)

    process.actors._links = Forgotten({ACTOR: lambda: None})
    hold = process.actors.known(ACTOR)
    assert process.actors.existing(ACTOR) is hold.link
    process.actors._links = {}


def test_a_process_that_has_left_gives_nothing_back(process: Process) -> None:
    hold = process.actors.known(ACTOR)
    hold.tokens = 1
    process.sent.clear()
    process.actors._submitter.membership.has_left = True
    del hold
    assert process.sent == []


class TestWeakHandles:
    def test_the_node_counts_one_token_for_all(self, process: Process) -> None:
        links = [process.actors.watch(ACTOR), process.actors.watch(ACTOR)]
        assert process.sent == [messages.AddHold(ACTOR, SELF, 1, weak=True)]
        assert links[0] is links[1]
        assert process.actors.hold_on(ACTOR) is None
        del links
        assert process.sent[1:] == [messages.ReleaseHold(ACTOR, 1, weak=True)]

    def test_the_tokens_of_answers_are_given_back(self, process: Process) -> None:
        links = [process.actors.watch(ACTOR, 1), process.actors.watch(ACTOR, 1)]
        assert process.sent == [messages.AddHold(ACTOR, SELF, 0)]
        del links
        assert process.sent[1:] == [messages.ReleaseHold(ACTOR, 2, weak=True)]

    def test_the_last_strong_handle_goes_while_a_weak_one_lives(self, process: Process) -> None:
        hold = process.actors.obtain(ACTOR, 1)
        link = process.actors.watch(ACTOR)
        process.sent.clear()
        del hold
        assert process.sent == [messages.ReleaseHold(ACTOR, 1)]
        assert process.actors.existing(ACTOR) is link
        process.sent.clear()
        del link
        assert process.sent == [messages.ReleaseHold(ACTOR, 1, weak=True)]

    def test_a_strong_handle_that_comes_later_keeps_the_actor(self, process: Process) -> None:
        link = process.actors.watch(ACTOR)
        hold = process.actors.known(ACTOR)
        assert process.actors.obtain(ACTOR, 1) is hold
        assert hold.link is link
        assert process.sent == [messages.AddHold(ACTOR, SELF, 1, weak=True)]
        del hold
        assert process.sent[1:] == [messages.ReleaseHold(ACTOR, 1)]

    def test_a_handle_that_the_user_unpickles_is_counted_beside_a_weak_one(self, process: Process) -> None:
        link = process.actors.watch(ACTOR)
        process.sent.clear()
        hold = process.actors.obtain(ACTOR)
        assert process.sent == [messages.AddHold(ACTOR, SELF, 1)]
        assert (hold.tokens, link.watches) == (1, 1)

    def test_the_next_node_counts_both_kinds(self, process: Process) -> None:
        link, hold = process.actors.watch(ACTOR), process.actors.obtain(ACTOR, 1)
        counts = [messages.AddHold(ACTOR, SELF, 1), messages.AddHold(ACTOR, SELF, 1, weak=True)]
        assert process.come_to(2) == counts
        del hold
        assert process.come_to(3) == counts[1:]
        del link
        assert process.come_to(4) == []


class TestTokensAfterACrashOfTheNode:
    def test_the_next_node_counts_the_tokens_of_all_handles(self, process: Process) -> None:
        holds = [process.actors.obtain(ACTOR + tag(1), 1), process.actors.obtain(ACTOR + tag(1), 1)]
        assert process.come_to(2) == [messages.AddHold(ACTOR, SELF, 2)]
        del holds
        assert process.sent == [messages.ReleaseHold(ACTOR, 2)]

    def test_a_token_of_the_crashed_node_is_counted_again(self, process: Process) -> None:
        process.come_to(3)
        holds = [process.actors.obtain(ACTOR + tag(2), 1), process.actors.obtain(ACTOR + tag(3), 1)]
        assert process.sent == [messages.AddHold(ACTOR, SELF, 0), messages.AddHold(ACTOR, SELF, 1)]
        assert holds[0].tokens == 2

    def test_a_token_that_the_next_node_has_counted_is_not_counted_again(self, process: Process) -> None:
        hold = process.actors.obtain(ACTOR + tag(1), 1)
        assert process.actors.obtain(ACTOR + tag(2), 1) is hold
        assert process.come_to(2) == [messages.AddHold(ACTOR, SELF, 1)]

    def test_a_token_that_the_next_node_has_counted_is_given_back_if_its_handle_has_gone(
        self, process: Process
    ) -> None:
        process.actors.obtain(ACTOR + tag(2), 1)
        assert process.come_to(2) == [messages.ReleaseHold(ACTOR, 1)]

    def test_a_token_is_counted_again_if_the_next_node_has_crashed_meanwhile(self, process: Process) -> None:
        hold = process.actors.obtain(ACTOR + tag(2), 1)
        assert process.come_to(3) == [messages.AddHold(ACTOR, SELF, 1)]
        assert process.come_to(4) == [messages.AddHold(ACTOR, SELF, 1)]
        assert hold.tokens == 1

    def test_a_token_of_a_node_to_which_this_process_never_was_is_counted_again(self, process: Process) -> None:
        process.come_to(3)
        hold = process.actors.obtain(ACTOR + tag(2), 1)
        assert messages.AddHold(ACTOR, SELF, 1) in process.sent
        assert hold.tokens == 1

    def test_tokens_that_were_not_declared_are_not_given_back(self, process: Process) -> None:
        hold = process.actors.obtain(ACTOR + tag(1), 1)
        process.later = []
        del hold
        assert process.come_to(2) == []
        for action in process.later:
            action()
        assert process.sent == []
