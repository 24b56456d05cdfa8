"""`Queue`: a first-in, first-out queue that processes share. The names are those of `ray.util.queue`."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterable
from typing import Any

from nbactors.api import get, kill, remote, wait

__all__ = ["Empty", "Full", "Queue"]


class Empty(queue.Empty):
    """The queue has no item, or fewer than asked for."""


class Full(queue.Full):
    """The queue has no room for the item, or for all items of a batch."""


class Queue:
    """A first-in, first-out queue. The items are in an actor of its own.

    A queue can be passed to tasks and actors, and all copies are the same queue. It ends with its last copy.

    ::

        results = Queue(maxsize=100)
        produce.remote(results)  # a task that calls results.put(...)
        print(results.get(timeout=10))

    Methods without "async" in their names block their thread; in an `async def` method use the others. Any thread.
    Source: Ray's page "ray.util.queue.Queue".

    Args:
        maxsize: Number of items that the queue holds at most. 0 means no limit.
        actor_options: Options of the queue's actor, such as `{"num_cpus": 1, "name": "results"}`. At most
            `max_concurrency` calls wait in the actor at a time, by default 1,000: where more readers wait, a `put`
            waits behind them, as in Ray.
    """

    def __init__(self, maxsize: int = 0, actor_options: dict[str, Any] | None = None) -> None:
        self.maxsize = maxsize
        self.actor: Any = remote(_QueueActor).options(**(actor_options or {})).remote(maxsize)

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """Return the number of items."""
        return int(get(self._open().qsize.remote()))

    def qsize(self) -> int:
        """Return the number of items."""
        return self.size()

    def empty(self) -> bool:
        """Return whether there is no item."""
        return bool(get(self._open().empty.remote()))

    def full(self) -> bool:
        """Return whether there is no room for an item."""
        return bool(get(self._open().full.remote()))

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item at the end.

        Args:
            item: Any value that can be pickled.
            block: Whether to wait for room.
            timeout: Seconds to wait at most; None waits without limit.

        Raises:
            Full: There is no room, with `block` after `timeout` seconds.
            ValueError: `timeout` is negative.
        """
        if not get(self._put(item, block, timeout)):
            raise Full(self._is_full(block, timeout))

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Like `put`, without blocking the event loop."""
        if not await self._put(item, block, timeout):
            raise Full(self._is_full(block, timeout))

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the first item and return it.

        Args:
            block: Whether to wait for an item.
            timeout: Seconds to wait at most; None waits without limit.

        Raises:
            Empty: There is no item, with `block` after `timeout` seconds.
            ValueError: `timeout` is negative.
        """
        return self._item(get(self._get(block, timeout)), block, timeout)

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:
        """Like `get`, without blocking the event loop."""
        return self._item(await self._get(block, timeout), block, timeout)

    def put_nowait(self, item: Any) -> None:
        """Add an item without waiting for room.

        Raises:
            Full: There is no room.
        """
        self.put(item, block=False)

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Add all items in their order, or none of them.

        Raises:
            Full: There is not enough room for all.
            TypeError: `items` is not iterable.
        """
        if not isinstance(items, Iterable):
            raise TypeError(f"Argument 'items' must be an Iterable. Got: {items!r:.80}")
        batch = list(items)
        size = get(self._open().put_batch.remote(batch))
        if size is not None:
            raise Full(f"Cannot add {len(batch)} items to queue of size {size} and maxsize {self.maxsize}.")

    def get_nowait(self) -> Any:
        """Take the first item and return it, without waiting for one.

        Raises:
            Empty: There is no item.
        """
        return self.get(block=False)

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Take the first `num_items` items and return them in their order.

        Raises:
            Empty: There are fewer items; then none is taken.
            TypeError: `num_items` is not an int.
            ValueError: `num_items` is negative.
        """
        if not isinstance(num_items, int):
            raise TypeError(f"Argument 'num_items' must be an int. Got: {num_items!r:.80}")
        if num_items < 0:
            raise ValueError(f"'num_items' must be nonnegative. Got: {num_items}")
        items, size = get(self._open().get_batch.remote(num_items))
        if items is None:
            raise Empty(f"Cannot get {num_items} items from queue of size {size}.")
        return list(items)

    def shutdown(self, force: bool = False, grace_period_s: float = 5) -> None:
        """End the queue's actor and drop its items. Waiting and later calls of all copies fail. Blocks its thread.

        Args:
            force: Whether to end the actor at once. By default it first ends what was called before.
            grace_period_s: Seconds until an actor that has not ended is ended at once.
        """
        actor, self.actor = self.actor, None
        if actor is None:
            return
        if not force:
            _, unready = wait([actor.__ray_terminate__.remote()], timeout=grace_period_s)
            force = bool(unready)
        if force:
            kill(actor, no_restart=True)

    def _open(self) -> Any:
        """Return the actor."""
        if self.actor is None:
            raise ValueError("This queue has ended: shutdown() was called. Make a new one with Queue().")
        return self.actor

    def _put(self, item: Any, block: bool, timeout: float | None) -> Any:
        return self._open().put.remote(item, *_wait_time(block, timeout))

    def _get(self, block: bool, timeout: float | None) -> Any:
        return self._open().get.remote(*_wait_time(block, timeout))

    def _is_full(self, block: bool, timeout: float | None) -> str:
        return f"The queue is full ({self.maxsize} items){_after(block, timeout)}."

    @staticmethod
    def _item(found: list[Any], block: bool, timeout: float | None) -> Any:
        if not found:
            raise Empty(f"The queue is empty{_after(block, timeout)}.")
        return found[0]


def _wait_time(block: bool, timeout: float | None) -> tuple[float | None]:
    """Return how long the actor is to wait, in seconds; None for no limit."""
    if not block:
        return (0,)
    if timeout is not None and timeout < 0:
        raise ValueError(f"'timeout' must be a non-negative number. Got: {timeout}")
    return (timeout,)


def _after(block: bool, timeout: float | None) -> str:
    return f" after {timeout:g} s" if block and timeout is not None else ""


class _QueueActor:
    """The actor of a queue. Its methods run on its event loop, one at a time between two `await`.

    Whether a queue is full or empty is a result and no error, so that no failed call is counted or shown.
    """

    def __init__(self, maxsize: int) -> None:
        self._items: asyncio.Queue[Any] = asyncio.Queue(maxsize)

    async def qsize(self) -> int:
        return self._items.qsize()

    async def empty(self) -> bool:
        return self._items.empty()

    async def full(self) -> bool:
        return self._items.full()

    async def put(self, item: Any, timeout: float | None) -> bool:
        """Return whether the item is in the queue."""
        try:
            if timeout == 0:
                self._items.put_nowait(item)
            else:
                await asyncio.wait_for(self._items.put(item), timeout)
        except (asyncio.QueueFull, asyncio.TimeoutError):
            return False
        return True

    async def get(self, timeout: float | None) -> list[Any]:
        """Return a list of the item, or an empty list."""
        try:
            if timeout == 0:
                return [self._items.get_nowait()]
            return [await asyncio.wait_for(self._items.get(), timeout)]
        except (asyncio.QueueEmpty, asyncio.TimeoutError):
            return []

    async def put_batch(self, items: list[Any]) -> int | None:
        """Return None if the items are in the queue, else the number of items that are there."""
        size = self._items.qsize()
        if 0 < self._items.maxsize < size + len(items):
            return size
        for item in items:
            self._items.put_nowait(item)
        return None

    async def get_batch(self, count: int) -> tuple[list[Any] | None, int]:
        """Return the items, or None if there are fewer; and the number of items before."""
        size = self._items.qsize()
        return ([self._items.get_nowait() for _ in range(count)] if count <= size else None), size
