"""Pickles users' values: with plain pickle where possible, otherwise with cloudpickle. No input or output here.

`pickle`'s C code is ten times faster than cloudpickle for values of importable types. It cannot pickle by value what is
defined in `__main__` (a notebook's cells), in modules that are registered by value, or inside functions. In the first
two cases the stream contains the module's name; in the third, pickle raises. Then cloudpickle pickles the value again.

While a value is pickled, the references and actor handles inside it are collected (`found`), because the process that
receives the value becomes a borrower of them.
"""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from nbactors.definitions.by_value import MODULES
from nbactors.definitions.importable import ByName, address_of
from nbactors.definitions.whole_import import import_whole
from nbactors.frontend.user_code import lets_through
from nbactors.pickling import reducers
from nbactors.pickling.long_parts import Sink

_REFUSALS = (pickle.PicklingError, AttributeError, TypeError)
"""The exceptions of plain pickle for a value that it cannot pickle."""

_ATOMS = frozenset({int, float, bool, type(None)})
_MAX_ATOM_LENGTH = 1 << 12
_MAX_ATOMS = 16

_MAX_KEPT = 1 << 14
_MAX_KEPT_MEMO = 1 << 13
"""Bytes. A pickler that has written more, or remembers more objects, is not used again: to clear it takes longer."""

_free: list[tuple[pickle.Pickler, Sink]] = []
"""Picklers for the next values: to make one takes as long as to pickle a small value."""

_by_value: frozenset[bytes] = frozenset({b"__main__"})


class Pickled(NamedTuple):
    """A pickled value.

    Attributes:
        data: The pickle stream.
        buffers: Contiguous out-of-band buffers. The receiver can map them instead of copying, and has them read-only.
        found: The `_entry` of each reference and the link of each handle in the value.
    """

    data: bytes
    buffers: Sequence[memoryview]
    found: Sequence[Any]


class _Collector(threading.local):
    found: list[Any] | None = None


_collector = _Collector()


def note_contained(thing: Any) -> bool:
    """Note a reference or handle that is being pickled. Called by its `__reduce__`.

    Return False if the user's code is pickling by itself, so that the runtime does not count the copy.
    """
    found = _collector.found
    if found is None:
        return False
    found.append(thing)
    return True


def dumps_atom(value: Any) -> bytes | None:
    """Pickle a number, a short string or None, without the work of `dumps`. Return None for any other value."""
    return pickle.dumps(value, 5) if _is_atom(value) else None


def dumps_atoms(args: tuple[Any, ...]) -> bytes | None:
    """Pickle the arguments of a call without keywords. Return None unless all are atoms (`dumps_atom`), and few."""
    return pickle.dumps((args, {}), 5) if len(args) <= _MAX_ATOMS and all(map(_is_atom, args)) else None


def _is_atom(value: Any) -> bool:
    kind = type(value)
    return kind in _ATOMS or ((kind is str or kind is bytes) and len(value) < _MAX_ATOM_LENGTH)


def dumps(value: Any) -> Pickled:
    """Pickle a value.

    Raises:
        TypeError: The value cannot be pickled; the text names the part at fault.
    """
    data = dumps_atom(value)
    if data is not None:
        return Pickled(data, (), ())
    outer = _collector.found
    found: list[Any] = []
    _collector.found = found
    try:
        return Pickled(*_dumps(value, found), found)
    finally:
        _collector.found = outer


@lets_through
def _dumps(value: Any, found: list[Any]) -> tuple[bytes, list[memoryview]]:
    foreign: Exception | None = None
    try:
        done = _plain_dumps(value)
        for name in _by_value:
            if name in done[0]:
                break
        else:
            return done
    except _REFUSALS:  # cloudpickle may succeed; if not, its error is reported
        pass
    except Exception as error:  # noqa: BLE001 - as above
        foreign = error
    found.clear()
    sink = Sink()
    _cloud_dumps(value, sink.keep, sink)
    if foreign is not None:  # the value can be pickled, so a signal handler has raised this
        raise foreign
    return sink.take()


@lets_through
def _plain_dumps(value: Any) -> tuple[bytes, list[memoryview]]:
    table = reducers.dispatch_table()
    if table is not None:
        sink = Sink()
        pickler = pickle.Pickler(sink, 5, buffer_callback=sink.keep)
        pickler.dispatch_table = table
        pickler.dump(value)
        return sink.take()
    try:
        pickler, sink = free = _free.pop()  # so nobody else uses it, in this or another thread
    except IndexError:
        sink = Sink()
        pickler = pickle.Pickler(sink, 5, buffer_callback=sink.keep)
        free = pickler, sink
    pickler.dump(value)  # after an error it is not used again
    done = sink.take()
    if len(done[0]) <= _MAX_KEPT and pickler.__sizeof__() <= _MAX_KEPT_MEMO:
        pickler.clear_memo()
        _free.append(free)
    return done


@lets_through
def _cloud_dumps(value: Any, keep: Callable[[pickle.PickleBuffer], bool], file: Any) -> None:
    try:
        _cloud_stream(value, keep, file)
    except Exception as error:  # noqa: BLE001 - users' __reduce__ and __getstate__ may raise anything
        import_whole("nbactors.definitions.diagnosis")
        from nbactors.definitions.diagnosis import refusal  # noqa: PLC0415 - only for errors

        refused = refusal(value, error, error_of)
        raise refused from refused.__cause__


@lets_through
def _cloud_stream(value: Any, keep: Callable[[pickle.PickleBuffer], bool], file: Any, is_code: bool = False) -> None:
    import_whole("nbactors.definitions.cloud")
    from nbactors.definitions.cloud import Pickler  # noqa: PLC0415 - imports cloudpickle

    Pickler(
        file,
        reducers.reducer,
        reducers.registered(),
        is_sent=True,
        is_code=is_code,
        protocol=5,
        buffer_callback=keep,
    ).dump(value)


def error_of(value: Any) -> Exception | None:
    """Return the error of pickling a value as it is, None if it can be pickled."""
    outer, _collector.found = _collector.found, []
    try:
        _cloud_stream(value, lambda buffer: False, io.BytesIO())  # out of band, so that nothing large is copied
    except Exception as error:  # noqa: BLE001 - users' __reduce__ and __getstate__ may raise anything
        return error
    finally:
        _collector.found = outer
    return None


def dumps_code(thing: Any) -> Pickled:
    """Pickle a class or function with cloudpickle, which decides by the module whether to pickle by value.

    References and handles that it captures are found like those in a value.
    """
    address = address_of(thing, getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", ""))
    if address is not None:
        thing = ByName(address)
    outer = _collector.found
    found: list[Any] = []
    _collector.found = found
    try:
        stream = io.BytesIO()
        try:
            _cloud_stream(thing, lambda buffer: True, stream, is_code=True)
            return Pickled(stream.getvalue(), (), found)
        except _REFUSALS:  # what only annotations name may be at fault
            found.clear()
        stream = io.BytesIO()
        _cloud_dumps(thing, lambda buffer: True, stream)
        return Pickled(stream.getvalue(), (), found)
    finally:
        _collector.found = outer


@lets_through
def loads(data: bytes | memoryview, buffers: Sequence[bytes | memoryview] = ()) -> Any:
    """Unpickle a value. Only for bytes from processes of the same user."""
    return pickle.loads(data, buffers=buffers)


def _on_module(name: str, module: ModuleType | None) -> None:
    """Make plain pickle leave values of a module, and of its submodules, to cloudpickle, or no longer."""
    global _by_value
    # A new set each time: other threads may be going through the old one.
    _by_value = _by_value - {name.encode()} if module is None else _by_value | {name.encode()}


MODULES.follow(_on_module)
