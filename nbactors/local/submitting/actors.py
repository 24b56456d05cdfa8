"""The actors that a process has handles to: one link each, and what the node has told of them."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.wire import failures, messages

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.objects.entry import Entry
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.submitting.submitter import Submitter


REMEMBERED = 100
"""Most actors that are remembered whose handles have not come yet. What is forgotten the node is asked for."""

ActorNews = messages.ActorUp | messages.ActorDown


class Actors:
    """The actor links of one process, and what the node has told of actors.

    Args:
        process_id: This process's, 16 bytes.
        submitter: What calls are made with.
        peers: The connections to workers.
        node: Counts who holds actors, and tells of them.
    """

    def __init__(self, process_id: bytes, submitter: Submitter, peers: Peers, node: NodeLink) -> None:
        self._process_id = process_id
        self._submitter = submitter
        self._peers = peers
        self._node = node
        self._links: dict[bytes, weakref.ref[LocalActorLink]] = {}
        self._news: dict[bytes, ActorNews] = {}
        """The last that was told of actors whose handles have not come yet."""
        self._kept: set[LocalActorLink] = set()
        self._pinned: list[LocalActorLink] = []

    def create(self, actor_id: bytes, is_known: bool) -> LocalActorLink:
        """Return the link of an actor that this process creates.

        Args:
            actor_id: The actor's.
            is_known: Whether the node knows of it already, as of a named one. On a busy machine its worker may be up
                before the thread that has asked goes on.
        """
        link, _ = self._find(actor_id)
        link.tokens += 1
        if is_known:
            self._ask(link)
        return link

    def obtain(self, actor_id: bytes, tokens: int = 0) -> LocalActorLink:
        """Return this process's link for an actor, with `tokens` more to give back."""
        link, is_fresh = self._find(actor_id)
        if is_fresh:
            # Without tokens the user has unpickled by himself: we count ourselves.
            self._ask(link, 0 if tokens else 1)
        link.tokens += tokens
        return link

    def known(self, actor_id: bytes) -> LocalActorLink:
        """Return this process's link for an actor, and count nothing."""
        link, is_fresh = self._find(actor_id)
        if is_fresh:
            self._ask(link)
        return link

    def _ask(self, link: LocalActorLink, tokens: int = 0) -> None:
        """Have the node tell of an actor that this process had no link for, and count this process so often.

        Little is remembered of actors without a link: it would never be forgotten. But the node tells a process of
        an actor by itself once, when that becomes a holder, and that may have been before: for a link that has gone,
        while this handle was on its way.

        Of an actor that it does not know the node says nothing to who counts nothing: it may hear of it next. That
        there is none it has told when the sender counted this process.
        """
        news = self._news.pop(link.actor_id, None)
        if news is not None:
            self._tell(link, news)
        link.tokens += tokens
        node = self._node
        node.send(messages.AddHold(link.actor_id, self._process_id, tokens))
        if node.lost:  # looked at afterwards: who notes the loss looks for links afterwards
            self._lose(link, node.lost)

    def own(self, up: messages.ActorUp) -> LocalActorLink:
        """Return the link of the actor that this process is. It is not counted: no actor keeps itself alive."""
        link, _ = self._find(up.actor_id)
        link.on_up(up)
        return link

    def existing(self, actor_id: bytes) -> LocalActorLink | None:
        """Return the link for an actor if there is one."""
        known = self._links.get(actor_id)
        return known() if known is not None else None

    def _find(self, actor_id: bytes) -> tuple[LocalActorLink, bool]:
        """Return the one link for an actor, and whether it was made now."""
        links = self._links
        while True:
            known = links.get(actor_id)
            link = known() if known is not None else None
            if link is not None:
                return link, False
            link = LocalActorLink(actor_id, self._submitter, self._peers, self._node, self)
            mine = weakref.ref(link, partial(self._forget, actor_id))
            if known is None:
                if links.setdefault(actor_id, mine) is mine:
                    return link, True
                continue
            try:
                if links[actor_id] is known:
                    links[actor_id] = mine
                    return link, True
            except KeyError:  # the dead one was forgotten just now
                continue

    def _forget(self, actor_id: bytes, gone: weakref.ref[LocalActorLink]) -> None:
        try:
            if self._links[actor_id] is gone:
                del self._links[actor_id]
        except KeyError:
            pass

    def grant(self, link: LocalActorLink, receiver: bytes) -> None:
        """Count `receiver` as a holder; its handle is about to travel."""
        self._node.send_now(messages.AddHold(link.actor_id, receiver, 1))

    def release(self, actor_id: bytes, tokens: int) -> None:
        """The last handle here is gone. Called by a finalizer, therefore only posts."""
        node = self._node
        if tokens and not self._submitter.membership.has_left:
            self._submitter.reactor.discard(lambda: node.send_now(messages.ReleaseHold(actor_id, tokens)))

    def keep(self, link: LocalActorLink) -> None:
        """Keep a link that has calls to send."""
        self._kept.add(link)

    def let_go(self, link: LocalActorLink) -> None:
        """It has none any more."""
        self._kept.discard(link)

    def queued(self) -> list[PendingCall]:
        """Return the calls of all links that were not sent yet. Any thread."""
        return [call for link in list(self._kept) for call in link.queued()]

    def pin(self, link: LocalActorLink) -> None:
        """Keep a link for the life of the process."""
        self._pinned.append(link)

    def on_news(self, news: ActorNews) -> None:
        """The node tells of an actor. The leader's thread."""
        link = self.existing(news.actor_id)
        if link is not None:
            self._tell(link, news)
        else:
            self._news.pop(news.actor_id, None)
            self._news[news.actor_id] = news
            if len(self._news) > REMEMBERED:
                oldest, *_ = list(self._news)  # in one step: other threads take out of it, too
                self._news.pop(oldest, None)

    @staticmethod
    def _tell(link: LocalActorLink, news: ActorNews) -> None:
        if type(news) is messages.ActorUp:
            link.on_up(news)
        else:
            link.on_down(news)  # type: ignore[arg-type]

    def abandon(self, link: LocalActorLink, failed: Entry) -> messages.ActorDown:
        """A constructor argument has failed, so the actor can never be: end its worker, and return why."""
        error = failures.decode(failed.data)
        text = f"one of its constructor's arguments failed: {type(error).__name__}: {error}"
        down = messages.ActorDown(link.actor_id, "creation_failed", text, "", "", 0)
        self._node.send_now(messages.KillActor(self._node.number(), link.actor_id, True))
        return down

    def node_lost(self, why: str) -> None:
        """The node is gone: actors that are not up will never be. The leader's thread."""
        for actor_id in list(self._links):
            link = self.existing(actor_id)
            if link is not None:
                self._lose(link, why)

    @staticmethod
    def _lose(link: LocalActorLink, why: str) -> None:
        link.on_down(messages.ActorDown(link.actor_id, "unknown", why, "", "", 0))
