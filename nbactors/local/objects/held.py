"""A value in this process: what a message needs, without a receiver yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors.local.wire import failures, pickling

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Entry
    from nbactors.local.store.segments import Stored


class Held:
    """A value in this process: what a message needs, without a receiver yet."""

    __slots__ = ("buffers", "contained", "data", "error", "stored")

    def __init__(
        self,
        data: bytes,
        stored: Stored | None = None,
        contained: Any = (),
        error: bool = False,
        buffers: Sequence[bytes] = (),
    ) -> None:
        self.data = data
        self.buffers = buffers
        self.stored = stored
        self.contained = contained
        self.error = error

    def settle(self, entry: Entry) -> None:
        """Make this the value of an entry."""
        entry.resolve(self.data, self.stored, self.contained, self.error, self.buffers)

    @property
    def plain(self) -> bool:
        """Whether a message needs no more than `data`."""
        return self.stored is None and not self.contained and not self.error and not self.buffers

    def load(self) -> Any:
        """Unpickle; raise what came instead."""
        if self.error:
            raise failures.decode(self.data)
        if self.stored is None:
            return pickling.loads(self.data, self.buffers)
        data, buffers = self.stored.views()
        return pickling.loads(data, buffers)
