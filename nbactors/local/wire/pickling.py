"""User values to bytes and back: plain pickle where it serves, cloudpickle where it must. No I/O.

`pickle`'s C code serves values of importable types at ten times cloudpickle's speed. It cannot serve what lives in
`__main__` (a notebook's cells), in modules registered by value, or inside functions: the first two show in the
stream, which then names the module, and the third raises. Both are pickled again by cloudpickle.

While a value is pickled, the references and actor handles inside it are collected (`found`), since whoever receives
the value becomes a borrower of them.
"""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nbactors.definitions.importable import ByName, address_of
from nbactors.frontend.user_code import lets_through

_REFUSALS = (pickle.PicklingError, AttributeError, TypeError)
"""What plain pickle raises for a value that it cannot serve."""

_ATOMS = frozenset({int, float, bool, type(None)})
_SHORT = 1 << 12
_FEW = 16

_by_value: set[bytes] = {b"__main__"}


class Pickled(NamedTuple):
    """A pickled value.

    Attributes:
        data: The stream.
        buffers: Contiguous buffers, out of band: they can be mapped rather than copied, and are read-only there.
        found: The `_entry` of each reference and the link of each handle inside.
    """

    data: bytes
    buffers: Sequence[memoryview]
    found: Sequence[Any]


class _Collector(threading.local):
    found: list[Any] | None = None


_collector = _Collector()


def note_contained(thing: Any) -> bool:
    """Called by `__reduce__` of references and handles.

    Returns:
        False when the user pickles by himself, so that nobody will count the copy.
    """
    found = _collector.found
    if found is None:
        return False
    found.append(thing)
    return True


def dumps_atom(value: Any) -> bytes | None:
    """Pickle a number, a short string or None, which need none of what `dumps` does; None for anything else."""
    return pickle.dumps(value, 5) if _is_atom(value) else None


def dumps_atoms(args: tuple[Any, ...]) -> bytes | None:
    """Pickle the arguments of a call without keywords; None if not all are such as `dumps_atom` pickles, or many."""
    return pickle.dumps((args, {}), 5) if len(args) <= _FEW and all(map(_is_atom, args)) else None


def _is_atom(value: Any) -> bool:
    kind = type(value)
    return kind in _ATOMS or ((kind is str or kind is bytes) and len(value) < _SHORT)


def dumps(value: Any) -> Pickled:
    """Pickle a value.

    Raises:
        TypeError: It cannot be pickled; the message names the part at fault.
    """
    data = dumps_atom(value)
    if data is not None:
        return Pickled(data, (), ())
    outer = _collector.found
    found: list[Any] = []
    _collector.found = found
    buffers: list[memoryview] = []
    try:
        return Pickled(_dumps(value, buffers, found), buffers, found)
    finally:
        _collector.found = outer


@lets_through
def _dumps(value: Any, buffers: list[memoryview], found: list[Any]) -> bytes:
    def keep(buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:  # not contiguous: pickle copies it into the stream
            return True
        buffers.append(raw)
        return False

    foreign: Exception | None = None
    try:
        data = pickle.dumps(value, 5, buffer_callback=keep)
        for name in _by_value:
            if name in data:
                break
        else:
            return data
    except _REFUSALS:  # cloudpickle may manage; if not, its error is the one to report
        pass
    except Exception as error:  # noqa: BLE001 - as above
        foreign = error
    buffers.clear()
    found.clear()
    data = _cloud_dumps(value, keep)
    if foreign is not None:  # the value is not to blame: a signal's handler has raised this in the midst of it
        raise foreign
    return data


@lets_through
def _cloud_dumps(value: Any, keep: Callable[[pickle.PickleBuffer], bool]) -> bytes:
    from nbactors.definitions.cloud import Pickler  # noqa: PLC0415 - imports cloudpickle

    stream = io.BytesIO()
    try:
        Pickler(stream, protocol=5, buffer_callback=keep).dump(value)
    except RecursionError as error:
        raise TypeError(f"cannot pickle {_brief(value)}: it is nested too deeply ({error})") from error
    except Exception as error:
        from nbactors.local.wire.diagnosis import culprit  # noqa: PLC0415 - only for errors

        where = culprit(value)
        at = f"; at fault: {where}" if where else ""
        raise TypeError(
            f"cannot pickle {_brief(value)}, which is needed to send it to another process{at} "
            f"({type(error).__name__}: {error}). Make it inside the actor or task instead, or leave it out with "
            "__getstate__ or __reduce__."
        ) from error
    return stream.getvalue()


def dumps_code(thing: Any) -> Pickled:
    """Pickle a class or function with cloudpickle, which decides by its module whether it travels by value.

    References and handles that it captures are found like those in a value.
    """
    address = address_of(thing, getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", ""))
    if address is not None:
        thing = ByName(address)
    outer = _collector.found
    found: list[Any] = []
    _collector.found = found
    try:
        return Pickled(_cloud_dumps(thing, lambda buffer: True), (), found)
    finally:
        _collector.found = outer


@lets_through
def loads(data: bytes | memoryview, buffers: Sequence[bytes | memoryview] = ()) -> Any:
    """Unpickle a value; only for bytes from processes of the same user."""
    return pickle.loads(data, buffers=buffers)


def register_by_value(name: str) -> None:
    """Make plain pickle leave values of module `name` (and its submodules) to cloudpickle."""
    _by_value.add(name.encode())


def unregister_by_value(name: str) -> None:
    """Undo `register_by_value`."""
    _by_value.discard(name.encode())


def _brief(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return f"{type(value).__name__} {name!r}"
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        return "the arguments"
    return f"an object of type {type(value).__qualname__!r}"
