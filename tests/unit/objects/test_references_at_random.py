"""References that travel between processes that end: messages of different connections come in any order.

The reference tables and the entries are real. The test plays the connections, the node and the moments at which a
process runs its finalizers' actions.
"""

from __future__ import annotations

import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nbactors.local.objects.entry import Entry
from nbactors.local.objects.references import References
from nbactors.local.wire import ids, messages
from nbactors.object_ref import ObjectRef

PROCESSES = 5

numbers = st.integers(0, 99)


class Channel:
    """A connection to another process: messages come in the order in which they were sent."""

    def __init__(self, sender: bytes) -> None:
        self.sender = sender
        self.messages: deque[Any] = deque()

    def send(self, message: Any) -> None:
        self.messages.append(message)

    send_now = send


class Party:
    """A process: its reference tables, and the references that its user has.

    Attributes:
        held: The user's references, by the object's id.
        made: The entries of its own objects, by id. They are freed when nobody needs them.
        pickled: Own objects that the user has pickled by hand: they are kept for good.
        actions: What finalizers have posted and the reactor has not run.
    """

    def __init__(self, world: World) -> None:
        self.id = ids.new_process_id()
        self.world = world
        self.alive = True
        self.held: dict[bytes, ObjectRef[Any]] = {}
        self.made: dict[bytes, weakref.ref[Entry]] = {}
        self.pickled: set[bytes] = set()
        self.actions: deque[Callable[[], None]] = deque()
        self.numbers = 0
        self.watched: set[bytes] = set()
        self.home: Any = SimpleNamespace(process_id=self.id)
        reactor: Any = SimpleNamespace(discard=self.actions.append)
        peers: Any = SimpleNamespace(connect=lambda process_id: world.channel(self, process_id))
        node: Any = SimpleNamespace(send=lambda message: world.watch(self, message.process_id))
        self.references = self.home.references = References(self.home, reactor, peers, node)

    def put(self) -> None:
        self.numbers += 1
        entry = Entry(self.home, self.numbers)
        self.made[entry.id] = weakref.ref(entry)
        self.held[entry.id] = ObjectRef(entry)

    def handle(self, sender: bytes, message: Any) -> None:
        """Handle a message as `member` does. A reference, with its token, is the bytes of its id."""
        if isinstance(message, messages.AddBorrow):
            self.references.add_tokens(message.object_id, message.process_id, message.tokens)
        elif isinstance(message, messages.ReleaseBorrow):
            self.references.add_tokens(message.object_id, sender, -message.tokens)
        else:
            self.held[message] = self.references.obtain(message, 1)

    def act(self) -> None:
        if self.actions:
            self.actions.popleft()()


class World:
    """All processes, the connections between them, and what the node has told and not yet been heard of."""

    def __init__(self) -> None:
        self.parties = [Party(self) for _ in range(PROCESSES)]
        self.channels: dict[tuple[bytes, bytes], Channel] = {}
        self.told: defaultdict[bytes, deque[bytes]] = defaultdict(deque)

    def party(self, process_id: bytes) -> Party:
        return next(party for party in self.parties if party.id == process_id)

    def channel(self, sender: Party, process_id: bytes) -> Channel | None:
        if not self.party(process_id).alive:
            return None
        return self.channels.setdefault((sender.id, process_id), Channel(sender.id))

    def watch(self, party: Party, process_id: bytes) -> None:
        if self.party(process_id).alive:
            party.watched.add(process_id)
        else:
            self.told[party.id].append(process_id)

    def end(self, ended: Party) -> None:
        """End a process. What it has sent is read all the same, since it is in the sockets."""
        ended.alive = False
        ended.held.clear()
        ended.actions.clear()
        for party in self.living():
            if ended.id in party.watched:
                party.watched.discard(ended.id)
                self.told[party.id].append(ended.id)
        for (_, receiver), channel in self.channels.items():
            if receiver == ended.id:
                channel.messages.clear()

    def living(self) -> list[Party]:
        return [party for party in self.parties if party.alive]

    def deliver(self, channel: Channel, receiver: bytes) -> None:
        message = channel.messages.popleft()
        if self.party(receiver).alive:
            self.party(receiver).handle(channel.sender, message)

    def hear(self, party: Party) -> None:
        """Handle the end of a process. As `Peers` does, read its connections to their ends before.

        Else an owner would drop the counts of the process before it reads which other process has got a reference.
        """
        if self.told[party.id]:
            gone = self.told[party.id].popleft()
            channel = self.channels.get((gone, party.id))
            while channel is not None and channel.messages:
                self.deliver(channel, party.id)
            party.references.process_gone(gone)

    def under_way(self) -> list[tuple[Channel, bytes]]:
        return [(channel, receiver) for (_, receiver), channel in self.channels.items() if channel.messages]

    def settle(self) -> None:
        """Have everything handled that is under way."""
        while self.under_way() or any(party.actions or self.told[party.id] for party in self.living()):
            for channel, receiver in self.under_way():
                self.deliver(channel, receiver)
            for party in self.living():
                party.act()
                self.hear(party)


class ReferencesMachine(RuleBasedStateMachine):
    """Processes make, send, drop and get references, and end."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def some(self, number: int) -> Party:
        living = self.world.living()
        return living[number % len(living)]

    @rule(number=numbers)
    def put(self, number: int) -> None:
        self.some(number).put()

    @rule(number=numbers, other=numbers, which=numbers)
    def send(self, number: int, other: int, which: int) -> None:
        """Send a reference in a message, to any process: to its owner as well."""
        holders = [party for party in self.world.living() if party.held]
        receiver = self.some(other)
        if not holders or (sender := holders[number % len(holders)]) is receiver:
            return
        oid = list(sender.held)[which % len(sender.held)]
        ref = sender.held[oid]
        if not self.world.party(ids.owner_of(oid)).alive:
            return
        if ids.owner_of(oid) == sender.id:
            sender.references.export(ref._entry, ref)
        channel = self.world.channel(sender, receiver.id)
        assert channel is not None
        channel.send(sender.references.grant(ref, receiver.id))

    @rule(number=numbers, which=numbers)
    def drop(self, number: int, which: int) -> None:
        holders = [party for party in self.world.living() if party.held]
        if holders:
            party = holders[number % len(holders)]
            del party.held[list(party.held)[which % len(party.held)]]

    @rule(number=numbers, other=numbers, which=numbers)
    def pickle_by_hand(self, number: int, other: int, which: int) -> None:
        """User code pickles a reference, and another process unpickles the bytes: no message has a token for it."""
        owner, party = self.some(number), self.some(other)
        own = [oid for oid in owner.held if ids.owner_of(oid) == owner.id]
        if own and which % 4 == 0:
            oid = own[which % len(own)]
            ref = owner.held[oid]
            owner.references.export(ref._entry, ref)
            owner.references.pin(ref)
            owner.pickled.add(oid)
            party.held[oid] = party.references.obtain(oid)

    @precondition(lambda self: self.world.under_way())
    @rule(number=numbers)
    def deliver(self, number: int) -> None:
        under_way = self.world.under_way()
        self.world.deliver(*under_way[number % len(under_way)])

    @precondition(lambda self: any(party.actions for party in self.world.living()))
    @rule(number=numbers)
    def act(self, number: int) -> None:
        self.some(number).act()

    @precondition(lambda self: any(self.world.told.values()))
    @rule(number=numbers)
    def hear(self, number: int) -> None:
        self.world.hear(self.some(number))

    @rule(number=numbers)
    def end(self, number: int) -> None:
        if number % 8 == 0 and len(self.world.living()) > 2:
            self.world.end(self.some(number // 8))

    @rule(number=numbers)
    def settle(self, number: int) -> None:
        if number % 4 == 0:
            self.settle_all()

    def settle_all(self) -> None:
        self.world.settle()
        for owner in self.world.living():
            self.nothing_is_kept_for_nobody(owner)

    def holders(self, oid: bytes) -> set[bytes]:
        return {party.id for party in self.world.living() if oid in party.held}

    @invariant()
    def an_object_lives_as_long_as_a_process_has_it(self) -> None:
        coming = {
            message for channel, _ in self.world.under_way() for message in channel.messages if type(message) is bytes
        }
        for owner in self.world.living():
            for oid, entry in owner.made.items():
                if self.holders(oid) or oid in coming:
                    assert entry() is not None
                    if self.holders(oid) - {owner.id}:
                        assert owner.references.exported(oid) is entry(), "a borrower finds no object"

    def nothing_is_kept_for_nobody(self, owner: Party) -> None:
        references = owner.references
        for oid, entry in owner.made.items():
            borrowers = self.holders(oid) - {owner.id}
            counts = references._tokens.get(oid, {})
            assert set(counts) == borrowers
            assert all(count > 0 for count in counts.values())
            assert (oid in references._exported) == bool(borrowers)
            if not borrowers and oid not in owner.held and oid not in owner.pickled:
                assert entry() is None, "it is never freed"
        lent = {process_id for process_id, oids in references._lent_to.items() if oids}
        assert lent <= {party.id for party in self.world.living()}

    def teardown(self) -> None:
        for party in self.world.living():
            party.held.clear()
        self.settle_all()


TestReferences = ReferencesMachine.TestCase
# A failed run is shrunk to the shortest one, which takes minutes.
TestReferences.pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
TestReferences.settings = settings(deadline=None, max_examples=60, stateful_step_count=50)
