"""Pickling of functions and classes by value, as `ray.cloudpickle`: `import nbactors.cloudpickle as pickle`.

The functions are those of the package cloudpickle. They pickle as nbactors sends values: a serializer that was given to
`nbactors.util.register_serializer` counts, and code of another version of Python is refused when it is loaded.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pickle import HIGHEST_PROTOCOL as DEFAULT_PROTOCOL
from pickle import PickleBuffer, PicklingError, load, loads
from typing import IO, Any

from cloudpickle import __version__, list_registry_pickle_by_value

from nbactors.api import register_pickle_by_value, unregister_pickle_by_value
from nbactors.definitions.cloud import Pickler as _Pickler
from nbactors.definitions.diagnosis import culprit
from nbactors.pickling import reducers
from nbactors.pickling.pickling import error_of

__all__ = [
    "DEFAULT_PROTOCOL",
    "CloudPickler",
    "Pickler",
    "PicklingError",
    "__version__",
    "dump",
    "dump_debug",
    "dumps",
    "dumps_debug",
    "list_registry_pickle_by_value",
    "load",
    "loads",
    "register_pickle_by_value",
    "unregister_pickle_by_value",
]

_BufferCallback = Callable[[PickleBuffer], Any]


class CloudPickler(_Pickler):
    """A pickler as that of the standard library, which pickles functions and classes of `__main__` by value.

    Args:
        file: Where to write.
        protocol: The protocol of pickle. Default: the highest.
        buffer_callback: Gets the buffers that go out of band. See `pickle.Pickler`.
    """

    def __init__(
        self, file: IO[bytes], protocol: int | None = None, buffer_callback: _BufferCallback | None = None
    ) -> None:
        super().__init__(
            file, reducers.reducer, reducers.registered(), protocol=protocol, buffer_callback=buffer_callback
        )


Pickler = CloudPickler


def dump(
    obj: Any, file: IO[bytes], protocol: int | None = None, buffer_callback: _BufferCallback | None = None
) -> None:
    """Pickle a value into a file. The arguments are those of `CloudPickler`."""
    CloudPickler(file, protocol, buffer_callback).dump(obj)


def dumps(obj: Any, protocol: int | None = None, buffer_callback: _BufferCallback | None = None) -> bytes:
    """Pickle a value and return the bytes. The arguments are those of `CloudPickler`."""
    stream = io.BytesIO()
    dump(obj, stream, protocol, buffer_callback)
    return stream.getvalue()


def dump_debug(obj: Any, *args: Any, **options: Any) -> None:
    """Like `dump`; the error names the part that cannot be pickled."""
    try:
        dump(obj, *args, **options)
    except (TypeError, PicklingError) as error:
        raise type(error)(_explained(obj, error)) from error


def dumps_debug(obj: Any, *args: Any, **options: Any) -> bytes:
    """Like `dumps`; the error names the part that cannot be pickled."""
    try:
        return dumps(obj, *args, **options)
    except (TypeError, PicklingError) as error:
        raise type(error)(_explained(obj, error)) from error


def _explained(obj: Any, error: Exception) -> str:
    where = culprit(obj, error_of)
    at = f" At fault: {where}." if where else ""
    return f"{error}.{at} nbactors.util.inspect_serializability(value) shows all parts that cannot be pickled."
