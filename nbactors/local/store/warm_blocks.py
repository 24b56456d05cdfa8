"""`WarmBlocks`: free blocks that are kept for the next values of their sizes."""

from __future__ import annotations

from collections.abc import Iterator

from nbactors.local.store.arena import Block

MOST, SIZES, BLOCKS = 2 << 20, 8, 4
"""Freed blocks of at most so many bytes are kept: of so many sizes, so many of each."""


class WarmBlocks:
    """Free blocks by their size. The pages of the one that was kept last are likely in the processor's cache.

    A generator's items, and puts in a loop, often have one size. For them a warm block saves the search in the arenas.
    All methods may be called on any thread, and interrupted by any other of them.

    Attributes:
        size: Bytes of the blocks here.
    """

    def __init__(self) -> None:
        self._by_size: dict[int, list[Block]] = {}
        self.size = 0

    def take(self, size: int) -> Block | None:
        """Take the block of `size` bytes that was kept last."""
        blocks = self._by_size.get(size)
        if not blocks:
            return None
        try:
            block = blocks.pop()
        except IndexError:  # another thread was faster
            return None
        self.size -= size
        return block

    def keep(self, block: Block) -> bool:
        """Keep the block of a value that was freed, if it is one of few. Return whether it is kept."""
        arena = block.arena
        size = block.units * arena.unit
        if size > MOST or not arena.in_memory:
            return False
        blocks = self._by_size.get(size)
        if len(self._by_size) >= SIZES if blocks is None else len(blocks) >= BLOCKS:
            return False
        return arena.is_populated(block) and self.keep_spilled(block)

    def keep_spilled(self, block: Block) -> bool:
        """Keep the block of a value that was spilled. Return whether it is kept.

        The value for which another one was spilled often has the same size. It takes over the block with its pages:
        to give them back and to have the kernel clear others takes longer than to copy a value.
        """
        arena = block.arena
        if arena.is_retired:
            return False
        size = block.units * arena.unit
        blocks = self._by_size.setdefault(size, [])
        blocks.append(block)
        self.size += size
        if self._by_size.get(size) is not blocks:  # drained meanwhile, perhaps before the block was there
            try:
                blocks.remove(block)
            except ValueError:
                return True
            self.size -= size
            return False
        return True

    def drain(self) -> Iterator[Block]:
        """Take all blocks."""
        while self._by_size:
            try:
                size, blocks = self._by_size.popitem()
            except KeyError:  # another thread was faster
                return
            while blocks:
                try:
                    block = blocks.pop()
                except IndexError:
                    break
                self.size -= size
                yield block
