"""The arguments of a call. They are pickled at once; references among them are replaced by their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local.objects.held import Held
from nbactors.local.objects.object_life import READY
from nbactors.local.wire import messages
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.values import Values


class Arguments:
    """Arguments for which pickled bytes alone are not enough.

    Attributes:
        held: The pickled `(args, kwargs)`; None stands in the place of each top-level reference.
        refs: The top-level references, by position or keyword. They are kept until the call has returned.
    """

    __slots__ = ("_there", "held", "refs")

    def __init__(self, held: Held, refs: list[tuple[int | str, ObjectRef[Any]]]) -> None:
        self.held = held
        self.refs = refs
        self._there = 0

    def missing(self) -> list[Entry]:
        """Return the entries that are not final yet."""
        return [ref._entry for _, ref in self.refs if ref._entry.state < READY]

    def pending(self) -> Entry | None:
        """Return the first entry that is not final yet, None if all are.

        The next call begins at that entry, so all calls together look at each entry about once.
        """
        refs, index = self.refs, self._there
        while index < len(refs):
            entry: Entry = refs[index][1]._entry
            if entry.state < READY:
                break
            index += 1
        else:
            entry = None  # type: ignore[assignment]
        self._there = index
        return entry

    def failure(self) -> Entry | None:
        """Return the first argument that has failed, None if none has. The call fails with the argument's error."""
        for _, ref in self.refs:
            entry: Entry = ref._entry
            if entry.state > READY:
                entry.home.unread.read(entry)
                return entry
        return None

    def pack(
        self, values: Values, connection: Connection
    ) -> tuple[messages.Value, list[tuple[int | str, messages.Value]]]:
        """Return the values of a message to one receiver: the arguments', and the references'."""
        rest = values.pack(connection, self.held, False)
        return rest, [(key, values.pack_entry(connection, ref._entry)) for key, ref in self.refs]


def prepare(values: Values, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | Arguments:
    """Pickle arguments; return bytes if they need no more than that.

    Raises:
        TypeError: An argument cannot be pickled.
    """
    if not kwargs:
        data = pickling.dumps_atoms(args)
        if data is not None:
            return data
    refs: list[tuple[int | str, ObjectRef[Any]]] = []
    for index, value in enumerate(args):
        if type(value) is ObjectRef:
            refs.append((index, value))
    for name, value in kwargs.items():
        if type(value) is ObjectRef:
            refs.append((name, value))
    if refs:
        positional = list(args)
        kwargs = dict(kwargs)
        for key, _ in refs:
            if isinstance(key, int):
                positional[key] = None
            else:
                kwargs[key] = None
        args = tuple(positional)
    held = values.hold((args, kwargs))
    if not refs and held.plain:
        return held.data
    return Arguments(held, refs)


def fill(
    args: tuple[Any, ...], kwargs: dict[str, Any], deps: list[tuple[int | str, Any]]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put the values of references into the references' places; the worker's counterpart of `prepare`."""
    positional = list(args)
    for key, value in deps:
        if isinstance(key, int):
            positional[key] = value
        else:
            kwargs[key] = value
    return tuple(positional), kwargs
