"""`Held`: a pickled value in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors.local.wire import failures
from nbactors.pickling import pickling

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Entry
    from nbactors.local.store.segments import Stored


class Held:
    """A pickled value, or error, in this process: the part of a message that is the same for all receivers."""

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
        """Make this the value, or error, of an entry."""
        entry.resolve(self.data, self.stored, self.contained, self.error, self.buffers)

    @property
    def plain(self) -> bool:
        """Whether `data` is all that a message needs of this value."""
        return self.stored is None and not self.contained and not self.error and not self.buffers

    def load(self) -> Any:
        """Return the unpickled value; raise the error if this is one."""
        if self.error:
            raise failures.decode(self.data)
        if self.stored is None:
            return pickling.loads(self.data, self.buffers)
        data, buffers = self.stored.views()
        return pickling.loads(data, buffers)
