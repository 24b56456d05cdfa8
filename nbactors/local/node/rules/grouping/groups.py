"""The rules of placement groups: reserving, naming, waiting, removing.

A group's bundles are reserved together in the pool of the session that has created it, in the order of that session's
queue. What runs in the group takes from the bundles instead, in the order of the group's own queue. A group ends with
its session unless it is detached. There is one node, so bundles that must be on different nodes are never reserved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from nbactors.byte_sizes import amounts
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.grouping.bundles import AnyBundle, BundlePool, reserve, total_of
from nbactors.local.node.rules.queue import Request, too_much
from nbactors.local.node.rules.records import Group, Process, Session
from nbactors.local.node.rules.resources import Allocation, Pool, to_amounts, to_units
from nbactors.local.wire import messages

REMEMBERED = 1000
"""The most removed groups that listings show."""


class Groups:
    """All placement groups.

    Args:
        queue_up: Called with (session, request, purpose) to queue the request for a group's bundles.
        on_removed: Called with a group that was removed, to end what runs in it.
    """

    def __init__(
        self,
        context: Context,
        queue_up: Callable[[Session, Request, str], None],
        on_removed: Callable[[Group], None],
    ) -> None:
        self._context = context
        self._queue_up = queue_up
        self._on_removed = on_removed
        self._living: dict[bytes, Group] = {}
        self._removed: deque[messages.GroupRow] = deque(maxlen=REMEMBERED)

    def find(self, seat: messages.Seat | None) -> Group | None:
        """Return the group of a place, None if it has none or is removed."""
        return None if seat is None else self._living.get(seat.group_id)

    def create(self, ask: Ask, asked: messages.CreateGroup) -> None:
        """Queue a group for its resources."""
        session = ask.asker.session
        if asked.group_id in self._living:  # from a creator that has returned from a crashed node
            ask.done()
        elif session is None or not session.is_open or self._context.stopping:
            ask.refuse("runtime", "no placement group was created: the node is stopping, or no session is open: init()")
        elif asked.name and self._named(asked.name, session.namespace) is not None:
            ask.refuse(
                "system",
                f"Failed to create placement group '{asked.group_id.hex()}' because name '{asked.name}' already exists "
                f"in the namespace {session.namespace!r}. Remove that group first, or choose another name.",
            )
        else:
            total = total_of([to_units(bundle) for bundle in asked.bundles])
            why = too_much(len(self._living), session.queue, session.pool, total, {})
            if why:
                ask.refuse("runtime", f"no placement group was created: {why}")
                return
            group = self._add(asked, session, ask.asker.process_id)
            self._reserve(group)
            self._tell(group)
            ask.done()

    def restore(self, home: Session, message: messages.Grouped) -> None:
        """Restore a group after a crash of the node, by what its creator or a process in it knows."""
        asked = message.creation
        if any(row.creation.group_id == asked.group_id for row in self._removed):
            return  # removed while the process that tells of it was still away
        group = self._living.get(asked.group_id) or self._add(asked, home, message.owner)
        if group.state == "CREATED":
            return
        if message.state != "CREATED":
            if group.request is None:
                self._reserve(group)
            return
        if group.request is not None:
            home.queue.withdraw(group.request)
        self._open(
            group,
            [
                home.pool.seize(to_units(bundle), gpus)
                for bundle, gpus in zip(asked.bundles, message.gpu_ids, strict=True)
            ],
        )

    def remove(self, ask: Ask, asked: messages.RemoveGroup) -> None:
        """Remove a group. Removing a removed group does nothing."""
        group = self._living.get(asked.group_id)
        if group is not None:
            self._remove(group)
        ask.done()

    def wait(self, ask: Ask, asked: messages.AwaitGroup) -> None:
        """Answer when the group no longer waits, or when the time is over."""
        group = self._living.get(asked.group_id)
        if group is None or group.state != "PENDING":
            ask.answer(messages.GroupState(ask.rid, group.state if group is not None else "REMOVED"))
            return
        group.waiters.append(ask)

        def give_up() -> None:
            if ask in group.waiters:
                group.waiters.remove(ask)
                ask.answer(messages.GroupState(ask.rid, group.state))

        self._context.later(asked.timeout_s, give_up)

    def end_of(self, session: Session) -> None:
        """Remove the groups of a session that is closed, unless they are detached."""
        for group in list(self._living.values()):
            if group.home is session and not group.creation.detached:
                self._remove(group)

    def forget_process(self, process: Process) -> None:
        """Answer a process no more, which is gone."""
        for group in self._living.values():
            for ask in list(group.waiters):
                if isinstance(ask, Ask) and ask.asker is process:
                    ask.withdraw()
                    group.waiters.remove(ask)

    def rows(self) -> list[messages.GroupRow]:
        """Return a row for each group, the removed ones first."""
        return [*self._removed, *map(_row, self._living.values())]

    # ---------------------------------------------------------------------------------------------------- internals

    def _named(self, name: str, namespace: str) -> Group | None:
        for group in self._living.values():
            if group.creation.name == name and group.namespace == namespace:
                return group
        return None

    def _add(self, asked: messages.CreateGroup, home: Session, owner: bytes) -> Group:
        pools = [BundlePool(to_units(bundle)) for bundle in asked.bundles]
        asked = msgspec.structs.replace(asked, rid=0)
        group = Group(
            creation=asked,
            home=home,
            owner=owner,
            namespace=home.namespace,
            pools=pools,
            any_bundle=AnyBundle(pools),
        )
        self._living[asked.group_id] = group
        if asked.detached:
            home.detached.add(asked.group_id)
        return group

    def _reserve(self, group: Group) -> None:
        asked, home = group.creation, group.home
        if asked.strategy == "STRICT_SPREAD" and len(asked.bundles) > 1:
            group.waits_for = f"{len(asked.bundles)} nodes, as STRICT_SPREAD demands: there is one"
            text = (
                f"placement group {_label(group)} waits for {group.waits_for}. It will wait until it is removed: use "
                "SPREAD, which spreads the bundles as far as there are nodes."
            )
            self._context.send(home.driver, messages.Warn(text))
            return
        bundles = [to_units(bundle) for bundle in asked.bundles]

        def grant(_: Allocation) -> None:
            taken = reserve(home.pool, bundles)
            assert taken is not None, "the request was granted since they are free"
            self._open(group, taken)

        total = total_of(bundles)
        group.waits_for = amounts(to_amounts(total))
        group.request = Request(total, {}, grant, _Together(home.pool, bundles))
        self._queue_up(home, group.request, f"placement group {_label(group)}")

    def _open(self, group: Group, taken: list[Allocation]) -> None:
        group.request, group.waits_for, group.state = None, "", "CREATED"
        group.reserved = taken
        for pool, allocation in zip(group.pools, taken, strict=True):
            pool.open(allocation)
        self._tell(group)
        self._answer_waiters(group)

    def _remove(self, group: Group) -> None:
        del self._living[group.creation.group_id]
        group.home.detached.discard(group.creation.group_id)
        if group.request is not None:
            group.home.queue.withdraw(group.request)
            group.request = None
        group.state, group.waits_for = "REMOVED", ""
        self._removed.append(_row(group))
        self._tell(group)
        self._answer_waiters(group)
        self._on_removed(group)
        for allocation in group.reserved:
            allocation.release()

    def _tell(self, group: Group) -> None:
        """Tell the creator what the next node has to know, if this one crashes."""
        self._context.tell(group.owner, group.described)

    def _answer_waiters(self, group: Group) -> None:
        waiters, group.waiters = group.waiters, []
        for ask in waiters:
            ask.answer(messages.GroupState(ask.rid, group.state))


class _Together(Pool):
    """A session's pool as the request for all bundles of a group sees it."""

    def __init__(self, pool: Pool, bundles: list[dict[str, int]]) -> None:
        self._pool = pool
        self._bundles = bundles

    def shortage(self, request: dict[str, int]) -> dict[str, tuple[float, float]]:
        return self._pool.shortage(request)

    def fits(self, request: dict[str, int]) -> bool:
        taken = reserve(self._pool, self._bundles)
        for allocation in taken or ():
            allocation.release()
        return taken is not None

    def allocate(self, request: dict[str, int]) -> Allocation:
        return self._pool.allocate(request)


def _label(group: Group) -> str:
    asked = group.creation
    return f"{asked.name!r} ({asked.group_id.hex()})" if asked.name else asked.group_id.hex()


def _row(group: Group) -> messages.GroupRow:
    return messages.GroupRow(group.creation, group.namespace, group.home.job_id, group.state, group.waits_for)
