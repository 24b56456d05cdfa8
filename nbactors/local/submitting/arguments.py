"""The arguments of a call: pickled at once, references among them waited for and replaced by their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local.objects.held import Held
from nbactors.local.objects.object_life import READY
from nbactors.local.wire import messages, pickling
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.entry import Entry
    from nbactors.local.objects.values import Values


class Arguments:
    """Arguments that need more than a pickle stream in the message.

    Attributes:
        held: The pickled `(args, kwargs)`; None stands where a reference was.
        refs: Top-level references by position or keyword. They are kept until the call is done.
    """

    __slots__ = ("_there", "held", "refs")

    def __init__(self, held: Held, refs: list[tuple[int | str, ObjectRef[Any]]]) -> None:
        self.held = held
        self.refs = refs
        self._there = 0

    def missing(self) -> list[Entry]:
        """Return the entries that are not there yet."""
        return [ref._entry for _, ref in self.refs if ref._entry.state < READY]

    def pending(self) -> Entry | None:
        """Return the first entry that is not there yet, None if all are.

        The next look begins with that one: all looks together cost no more than one at all of them.
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
        """Return the first argument that has failed, if one has; the call then fails like it."""
        for _, ref in self.refs:
            if ref._entry.state > READY:
                return ref._entry  # type: ignore[no-any-return]
        return None

    def pack(
        self, values: Values, connection: Connection
    ) -> tuple[messages.Value, list[tuple[int | str, messages.Value]], list[int]]:
        """Make the message's parts for one receiver."""
        rest, fds = values.pack(connection, self.held, False)
        deps: list[tuple[int | str, messages.Value]] = []
        for key, ref in self.refs:
            value, more = values.pack_entry(connection, ref._entry)
            deps.append((key, value))
            fds += more
        return rest, deps, fds


def prepare(values: Values, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | Arguments:
    """Pickle arguments: to bytes if that is all there is to it.

    Raises:
        TypeError: One cannot be pickled.
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
    """Put the values of references where they stood; the receiver's side of `prepare`."""
    positional = list(args)
    for key, value in deps:
        if isinstance(key, int):
            positional[key] = value
        else:
            kwargs[key] = value
    return tuple(positional), kwargs
