"""The links and holds of a process.

There is one link for each actor that the process has a handle to, and one hold if not all of these handles are weak.
"""

from __future__ import annotations

import itertools
import weakref
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from nbactors.exceptions.user_warning import warn_user
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.submitting import restart_file
from nbactors.local.submitting.actor_link import ActorNews, LocalActorLink
from nbactors.local.wire import messages
from nbactors.local.wire.ids import ACTOR_ID_SIZE, came_before

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.membership import Membership
    from nbactors.local.submitting.construction import Construction
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.submitting.submitter import Submitter

REMEMBERED = 100
"""The most actors without a link here whose last news is remembered. The node is asked again for forgotten ones."""

_UNMADE = frozenset({"creation_failed", "runtime_env"})


class ActorHold:
    """Keeps an actor alive. A process has one hold on an actor at most.

    Handles refer to it, as do calls that have not ended, and values that contain handles. Python frees it with the last
    of them. A weak handle refers only to the actor's link.

    Attributes:
        link: The actor's link.
        tokens: The node has counted that many for this process, or will have.
    """

    __slots__ = ("__weakref__", "_links", "link", "tokens")

    def __init__(self, link: LocalActorLink, links: Actors) -> None:
        self.tokens = 0
        self.link = link
        self._links = links

    def __del__(self) -> None:
        try:
            self._links.release(self.link.actor_id, self.tokens)
        except AttributeError:  # an asynchronous exception has aborted `__init__`
            pass


_T = TypeVar("_T", LocalActorLink, ActorHold)


class Actors:
    """The actor links of one process, and the node's news of actors.

    Args:
        membership: Knows the process's id.
        submitter: The parts that make calls.
        peers: The connections to workers.
        node: Counts the processes that hold handles, and tells news of actors.
    """

    def __init__(self, membership: Membership, submitter: Submitter, peers: Peers, node: NodeLink) -> None:
        self._membership = membership
        self._submitter = submitter
        self._peers = peers
        self._node = node
        self._links: dict[bytes, weakref.ref[LocalActorLink]] = {}
        self._holds: dict[bytes, weakref.ref[ActorHold]] = {}
        self._news: dict[bytes, tuple[int, ActorNews]] = {}
        """The last news of actors without a link here: their handles are perhaps on the way."""
        self._numbers = itertools.count(1)
        """The numbers of news. A thread may tell remembered news after the leader has told later ones."""
        self._kept: set[LocalActorLink] = set()
        self._ahead: dict[bytes, dict[bytes, int]] = {}
        """Tokens that later nodes have counted already, by their tags and by actor: see `_count_again`."""
        self._returns = 0
        """How often this process has declared its handles to another node."""
        self.created: dict[bytes, messages.Created] = {}
        """The actors of this process that are not dead, for the next node if this one crashes."""
        self._origins: dict[bytes, int] = {}
        """The origins of the calls that have created them."""
        self.on_unmade: Callable[[int, messages.ActorDown], None] | None = None
        """Called with the origin and the news of an actor that was created here and could not be constructed. The
        leader's thread."""
        self._constructions: dict[bytes, Construction] = {}
        """What the actors of this process that may restart are constructed by."""
        self._captured: dict[bytes, Sequence[Any]] = {}
        """What is captured by the classes of updates, see `keep_captured`."""
        self._pinned: list[ActorHold] = []

    def create(self, actor_id: bytes, is_known: bool) -> ActorHold:
        """Return the hold on an actor that this process creates.

        Args:
            actor_id: The actor's id, 16 bytes.
            is_known: Whether the node knows the actor already, as it does a named one. Then the node may have told
                that the actor is up before this thread makes the link, so the link asks for news.
        """
        link, _ = self._find(actor_id)
        hold, _ = self._find_hold(link)
        hold.tokens += 1
        if is_known:
            self._ask(link)
        return hold

    def obtain(self, actor_id: bytes, tokens: int = 0) -> ActorHold:
        """Return this process's hold on an actor, and take over `tokens` tokens with it.

        Args:
            actor_id: The actor's id, 16 bytes; with a token from another process, the node's tag follows (`grant`).
            tokens: The number of tokens.
        """
        tag = actor_id[ACTOR_ID_SIZE:]
        link, is_fresh = self._find(actor_id[:ACTOR_ID_SIZE])
        hold, is_fresh_hold = self._find_hold(link)
        if is_fresh_hold and not tokens:
            # User code has unpickled the handle: this process has the node count a token for it.
            hold.tokens += 1
            self._ask(link, 1)
        elif is_fresh:
            self._ask(link)
        hold.tokens += tokens
        if tag and tag != self._node.tag:
            self._count_again(link, tag)
        return hold

    def watch(self, actor_id: bytes, tokens: int = 0) -> LocalActorLink:
        """Return this process's link for an actor to which it gets a weak handle.

        Args:
            actor_id: The actor's id, 16 bytes.
            tokens: The tokens that the node has counted for the handle. Without any, this process has the node count
                one, unless it has had it count before.
        """
        link, is_fresh = self._find(actor_id)
        if not tokens and not link.watches:
            link.watches += 1
            self._ask(link, 1, weak=True)
        elif is_fresh:
            self._ask(link)
        link.watches += tokens
        return link

    def _count_again(self, link: LocalActorLink, tag: bytes) -> None:
        """Deal with a token that another node than this process's has counted: one of them has crashed.

        A node before the present one has crashed and taken the token with it, so the present node counts it again. A
        later node, of which this process does not know yet, has counted the token already: see `holds`.
        """
        if came_before(tag, self._node.tag):
            self._node.send(messages.AddHold(link.actor_id, self._membership.process_id, 1))
        else:
            ahead = self._ahead.setdefault(tag, {})
            ahead[link.actor_id] = ahead.get(link.actor_id, 0) + 1

    def known(self, actor_id: bytes) -> ActorHold:
        """Return this process's hold on an actor, without taking over a token."""
        link, is_fresh = self._find(actor_id[:ACTOR_ID_SIZE])
        if is_fresh:
            self._ask(link)
        return self._find_hold(link)[0]

    def _ask(self, link: LocalActorLink, tokens: int = 0, *, weak: bool = False) -> None:
        """Have the node tell news of an actor to a link, and count `tokens` for this process.

        The node tells a process news of an actor unasked once, when the process becomes a holder. That may have been
        for an earlier link, which was freed while this handle was on its way; and `_news` remembers only the last news.

        The node does not answer a question with 0 tokens for an actor that it does not know, since it may learn of the
        actor next. Of an actor that does not exist it has told when the sender of the handle counted this process.
        """
        remembered = self._news.pop(link.actor_id, None)
        if remembered is not None:
            link.on_news(*remembered)
        node = self._node
        node.send(messages.AddHold(link.actor_id, self._membership.process_id, tokens, weak))
        if node.lost:  # read last: the leader stores `lost`, then looks for links, so one of the two sees the other
            self._lose(link, node.lost)

    def keep_construction(self, link: LocalActorLink, construct: Construction) -> None:
        """Keep what an actor is constructed by until the actor is dead: it may restart.

        A named actor may have died before its creator has a link. The link is looked at last, and forgets the
        construction after it was told of the death, so one of the two sees the other.
        """
        self._constructions[link.actor_id] = construct
        if link.is_down:
            self.forget_construction(link.actor_id)

    def forget_construction(self, actor_id: bytes) -> None:
        """Forget what an actor was constructed by, since it is dead. Idempotent."""
        self._captured.pop(actor_id, None)
        construct = self._constructions.pop(actor_id, None)
        if construct is not None and construct.is_written and not self._node.lost:
            # The node has removed the file, but perhaps before it was written. Without the node the actor may live.
            restart_file.remove(construct.file)

    def write_construction(self, link: LocalActorLink, construct: Construction) -> messages.ActorDown | None:
        """Write the file of a construction, if it has one; if that fails, end the actor and return the cause."""
        try:
            construct.write(self._membership.process_id)
        except OSError as error:
            return self.abandon(link, f"its constructor could not be written to a file for restarts: {error}")
        return None

    def keep_captured(self, link: LocalActorLink, captured: Sequence[Any]) -> None:
        """Keep the references and handles that the class of an update captures, until the actor is dead."""
        self._captured[link.actor_id] = captured
        if link.is_down:
            self.forget_construction(link.actor_id)

    def reconstruct(self, link: LocalActorLink, restarts: int) -> None:
        """Have the link of an actor that was created here construct it again, once for each restart. A link's step."""
        construct = self._constructions.get(link.actor_id)
        if construct is not None and construct.restarts < restarts:
            construct.restarts = restarts
            construct.connection = None
            construct.link = weakref.ref(link)
            link.begin_construction(construct)

    def own(self, up: messages.ActorUp) -> LocalActorLink:
        """Return the link to the actor in this process, for a weak handle: an actor must not keep itself alive."""
        link, _ = self._find(up.actor_id)
        link.on_up(up)
        return link

    def existing(self, actor_id: bytes) -> LocalActorLink | None:
        """Return the link for an actor if there is one."""
        known = self._links.get(actor_id)
        return known() if known is not None else None

    def _find(self, actor_id: bytes) -> tuple[LocalActorLink, bool]:
        """Return the only link for an actor, and whether it was made now."""
        make = partial(LocalActorLink, actor_id, self._submitter, self._peers, self._node, self)
        return _find(self._links, actor_id, make)

    def _find_hold(self, link: LocalActorLink) -> tuple[ActorHold, bool]:
        """Return the only hold on an actor, and whether it was made now."""
        return _find(self._holds, link.actor_id, partial(ActorHold, link, self))

    def hold_on(self, actor_id: bytes) -> ActorHold | None:
        """Return the hold on an actor if there is one."""
        known = self._holds.get(actor_id)
        return known() if known is not None else None

    def grant(self, hold: ActorHold, receiver: bytes) -> bytes:
        """Have the node count `receiver` as a holder; the handle is about to travel to it.

        Returns:
            The actor's id and the tag of the node that counts.
        """
        actor_id = hold.link.actor_id
        return actor_id + self._node.send_counted(messages.AddHold(actor_id, receiver, 1))

    def release(self, actor_id: bytes, tokens: int, weak: bool = False) -> None:
        """Give tokens back: the last handle here has gone. A finalizer calls this, so it only posts an action.

        A node to which this process returns before the action runs was not told of these tokens: see `holds`.
        """
        returns = self._returns

        def give_back() -> None:
            if self._returns == returns:
                self._node.send_now(messages.ReleaseHold(actor_id, tokens, weak))

        if tokens and not self._submitter.membership.has_left:
            self._submitter.reactor.discard(give_back)

    def keep(self, link: LocalActorLink) -> None:
        """Keep a link alive that has calls to send."""
        self._kept.add(link)

    def let_go(self, link: LocalActorLink) -> None:
        """Stop keeping a link, which has sent all calls."""
        self._kept.discard(link)

    def queued(self) -> list[PendingCall]:
        """Return the calls of all links that were not sent yet. Any thread."""
        return [call for link in list(self._kept) for call in link.queued()]

    def await_detached(self, seconds: float) -> None:
        """Wait until detached actors that were created here have their classes: this process ends. Any thread."""
        deadline = monotonic() + seconds
        detached = {actor_id for actor_id, created in self.created.copy().items() if created.creation.detached}
        for link in list(self._kept):
            construct = link.construct
            if construct is None or link.actor_id not in detached:
                continue
            waiter = construct.waiter = Waiter()
            if link.construct is construct:  # else it was sent before it had the waiter
                self._submitter.reactor.wait(waiter, max(deadline - monotonic(), 0.0))
            if not waiter.done and link.construct is construct:
                warn_user(
                    f"the detached actor {link.actor_id.hex()} is lost: it had no worker within {seconds:g} s after "
                    "the end of the process that has created it, perhaps because its resources are taken. Have the "
                    "process wait until the actor is up: ray.get(actor.__ray_ready__.remote()).",
                    RuntimeWarning,
                )

    def pin(self, hold: ActorHold) -> None:
        """Keep a hold for the life of the process."""
        self._pinned.append(hold)

    def on_news(self, news: ActorNews) -> None:
        """Pass the node's news of an actor to its link, or remember them. The leader's thread."""
        number = next(self._numbers)
        is_over = self._note_news(news)
        link = self.existing(news.actor_id)
        if link is None and news.actor_id in self._constructions:
            link, _ = self._find(news.actor_id)  # its handles are elsewhere; the news are for the creator
        if link is not None:
            link.on_news(number, news)
        elif not is_over:
            self._news.pop(news.actor_id, None)
            self._news[news.actor_id] = (number, news)
            if len(self._news) > REMEMBERED:
                oldest, *_ = list(self._news)  # one step, since other threads remove news meanwhile
                self._news.pop(oldest, None)

    def note_created(self, creation: messages.CreateActor, origin: int = 0) -> None:
        """Note an actor that this process is about to create, for the job and cell of `origin`. Any thread."""
        self._origins[creation.actor_id] = origin
        self.created[creation.actor_id] = messages.Created(creation, 0, b"", 0)

    def _note_news(self, news: ActorNews) -> bool:
        """Note news of an actor that was created here; return whether it is dead, which no later handle needs to know.

        Other news are remembered: `get_actor` may find the actor, and is answered after the node has told the news.
        """
        created = self.created.get(news.actor_id)
        if created is None:
            return False
        if type(news) is messages.ActorDown:
            self.created.pop(news.actor_id, None)
            origin = self._origins.pop(news.actor_id, 0)
            if self.on_unmade is not None and news.kind in _UNMADE:
                self.on_unmade(origin, news)
            return True
        if type(news) is messages.ActorUp:
            self.created[news.actor_id] = messages.Created(created.creation, news.restarts, news.process_id, news.pid)
        else:
            self.created[news.actor_id] = messages.Created(created.creation, created.restarts + 1, b"", 0)
        return False

    def declare(self) -> list[messages.Created]:
        """Return the actors of this process that are not dead, for the next node. The leader's thread."""
        return list(self.created.copy().values())

    def holds(self) -> list[messages.AddHold | messages.ReleaseHold]:
        """Return what makes the tokens that the next node counts those of the handles here. The leader's thread.

        The next node has counted tokens of handles that have come while this process was away. Some of these handles
        are perhaps gone already.
        """
        tag = self._node.tag
        holds = [hold for known in self._holds.copy().values() if (hold := known()) is not None]
        links = [link for known in self._links.copy().values() if (link := known()) is not None]
        self._returns += 1  # while `holds` and `links` keep them: one that was freed before is not declared
        ahead = self._ahead.pop(tag, {})
        for former in [one for one in list(self._ahead) if came_before(one, tag)]:
            del self._ahead[former]
        missing = {hold.link.actor_id: hold.tokens - ahead.pop(hold.link.actor_id, 0) for hold in holds}
        missing.update((actor_id, -tokens) for actor_id, tokens in ahead.items())
        watched = [link for link in links if link.watches or link.actor_id not in missing]
        return [
            messages.AddHold(actor_id, self._membership.process_id, tokens)
            if tokens >= 0
            else messages.ReleaseHold(actor_id, -tokens)
            for actor_id, tokens in missing.items()
        ] + [messages.AddHold(link.actor_id, self._membership.process_id, link.watches, weak=True) for link in watched]

    def abandon(self, link: LocalActorLink, text: str) -> messages.ActorDown:
        """End an actor that cannot be constructed, for the reason in `text`; return the cause of death.

        A node that crashes just now may not have read the message. The worker then lives on at the next node, without
        an instance: the calls that it has got would wait for ever. So the next node is told, too.
        """
        down = messages.ActorDown(link.actor_id, "creation_failed", text, "", "", 0)
        self._node.insist(lambda rid: messages.KillActor(rid, link.actor_id, True))
        return down

    def fail(self, down: messages.ActorDown) -> None:
        """Have an actor that was noted as created be dead, of which the node does not know. Any thread."""
        self._submitter.reactor.discard(lambda: self.on_news(down))

    def node_lost(self, why: str) -> None:
        """Fail the calls to actors that are not up, since there is no node. The leader's thread."""
        for actor_id in list(self._links):
            link = self.existing(actor_id)
            if link is not None and not link.is_connected:
                self._lose(link, why)

    @staticmethod
    def _lose(link: LocalActorLink, why: str) -> None:
        link.on_down(messages.ActorDown(link.actor_id, "unknown", why, "", "", 0))


def _find(table: dict[bytes, weakref.ref[_T]], actor_id: bytes, make: Callable[[], _T]) -> tuple[_T, bool]:
    """Return the only thing that a table has for an actor, and whether it was made now. No thread waits for another."""
    while True:
        known = table.get(actor_id)
        thing = known() if known is not None else None
        if thing is not None:
            return thing, False
        thing = make()
        mine = weakref.ref(thing, partial(_forget, table, actor_id))
        if known is None:
            if table.setdefault(actor_id, mine) is mine:
                return thing, True
            continue
        try:
            if table[actor_id] is known:
                table[actor_id] = mine
                return thing, True
        except KeyError:  # `_forget` has removed the freed one just now
            continue


def _forget(table: dict[bytes, weakref.ref[_T]], actor_id: bytes, gone: weakref.ref[_T]) -> None:
    try:
        if table[actor_id] is gone:
            del table[actor_id]
    except KeyError:
        pass
