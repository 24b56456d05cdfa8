"""Pickles values of other packages through Arrow, whose buffers go out of band: so the receiver copies nothing.

Polars pickles a frame as one file, compressed, into the stream: 160 MB take half a second, and the same as Arrow
a millisecond. Other types with Arrow's C data interface cannot be pickled at all. pyarrow describes the buffers of
either, and pickles itself out of band. Values of pandas and of pyarrow itself need nothing of this.

No package is imported before a value of its own is pickled: polars is looked for among the imported modules. Without
pyarrow, polars pickles by itself: it reads its file formats only with a copy.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable
from typing import Any

SMALL = 1 << 16
"""Bytes. Smaller frames are pickled faster by polars itself."""

WASTE = 1.25
"""A frame's buffers take up to so many times the bytes of its rows. Filtered strings share the buffers of all."""

_VIEW = 16
"""Bytes of a string's entry in a column, beside its text."""

_Reducer = Callable[[Any], Any]


def dispatch_table() -> dict[type, _Reducer] | None:
    """Return the reducers for pickle, None if it needs no others than its own."""
    own = _of_polars() if "polars" in sys.modules else None
    return {**copyreg.dispatch_table, **own} if own else None


def reducer(kind: type) -> _Reducer | None:
    """Return the reducer of a class, None if it needs none. For classes that plain pickle could not pickle, too."""
    return _of_polars().get(kind) or (_reduce_foreign if _is_foreign(kind) else None)


# -------------------------------------------------------------------------------------------------------------- polars


def _of_polars() -> dict[type, _Reducer]:
    polars: Any = sys.modules.get("polars")
    try:
        # Only these very classes: a subclass has its own ways.
        return {polars.DataFrame: _reduce_frame, polars.Series: _reduce_series}
    except AttributeError:  # it is not there, or being imported
        return {}


def _reduce_frame(frame: Any) -> Any:
    table = _exact_table(frame)
    return frame.__reduce_ex__(5) if table is None else (_frame, (table, _sorted_columns(frame)))


def _reduce_series(series: Any) -> Any:
    frame = series.to_frame()
    table = _exact_table(frame)
    return series.__reduce_ex__(5) if table is None else (_series, (table, _sorted_columns(frame)))


def _exact_table(frame: Any) -> Any | None:
    """Return a frame as a pyarrow table, None if polars would not get the same frame back, or not without waste."""
    size = frame.estimated_size()
    if size <= SMALL or not frame.width:
        return None
    import polars as pl  # noqa: PLC0415 - it is imported, since this is a value of its own

    try:
        for level in (pl.CompatLevel.newest(), pl.CompatLevel.oldest()):  # the latter copies strings
            table = frame.to_arrow(compat_level=level)
            # Without rows a frame has all its types. A Python object becomes an address, and so another type.
            if pl.from_arrow(table.slice(0, 0)).schema != frame.schema:
                return None
            if table.get_total_buffer_size() <= WASTE * (size + _VIEW * frame.height * frame.width):
                return table
    except (ImportError, AttributeError, TypeError, ValueError, NotImplementedError, pl.exceptions.PolarsError):
        pass  # no pyarrow, an old polars, or a type that Arrow does not have
    return None


def _sorted_columns(frame: Any) -> dict[str, bool]:
    """Return the columns that polars knows to be sorted, and whether in descending order."""
    flags = {name: known for name, known in frame.flags.items() if known["SORTED_ASC"] or known["SORTED_DESC"]}
    return {name: known["SORTED_DESC"] for name, known in flags.items()}


def _frame(table: Any, descending: dict[str, bool]) -> Any:
    import polars as pl  # noqa: PLC0415 - only a receiver of such a value needs it

    frame = pl.from_arrow(table, rechunk=False)
    if descending:
        frame = frame.with_columns([frame[name].set_sorted(descending=down) for name, down in descending.items()])
    return frame


def _series(table: Any, descending: dict[str, bool]) -> Any:
    return _frame(table, descending).to_series()


# --------------------------------------------------------------------------------------------------------- other types


def _is_foreign(kind: type) -> bool:
    """Return whether a class offers its values as Arrow, takes them back, and says nothing about pickling.

    A stream of values is none, because who reads it consumes it.
    """
    base: Any = object
    return (
        (hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__"))
        and hasattr(kind, "from_arrow")
        and kind.__reduce_ex__ is base.__reduce_ex__
        and kind.__reduce__ is base.__reduce__
        and not hasattr(kind, "__next__")
        and not hasattr(kind, "read_next_batch")
    )


def _reduce_foreign(value: Any) -> Any:
    kind = type(value)
    try:
        import pyarrow as pa  # noqa: PLC0415 - only values that need it import it

        if hasattr(kind, "__arrow_c_array__"):
            data = pa.array(value)
        else:
            try:
                data = pa.table(value)
            except (TypeError, ValueError):  # not of several columns
                data = pa.chunked_array(value)
        if type(kind.from_arrow(data.slice(0, 0))) is kind:
            return kind.from_arrow, (data,)
    except (ImportError, AttributeError, TypeError, ValueError, NotImplementedError):
        pass
    return value.__reduce_ex__(5)
