"""`Rows`: the rows of a listing, which filter, and become a table of Arrow, pandas or Polars."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

Filter = tuple[str, str, Any]

_MAKERS: dict[str, tuple[str, Callable[[Any, list[dict[str, Any]]], Any]]] = {
    "arrow": ("pyarrow", lambda module, rows: module.Table.from_pylist(rows)),
    "pandas": ("pandas", lambda module, rows: module.DataFrame(rows)),
    "polars": ("polars", lambda module, rows: module.DataFrame(rows, infer_schema_length=None)),
}


class Row(dict[str, Any]):
    """One row: `row.state`, `row["state"]` and `row.get("state")` are the same, as in Ray."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the row has no column {name!r}; it has {', '.join(self)}") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})


class Rows(list[Row]):
    """The rows of a listing, which are a list."""

    def as_table(self, kind: str | None = None) -> Any:
        """Return the rows as a table.

        Args:
            kind: "arrow" for a `pyarrow.Table`, "pandas" or "polars" for a `DataFrame`. By default the first of these
                whose package is installed.

        Raises:
            ValueError: There is no such kind of table.
            ImportError: The package is not installed.
        """
        if kind is not None and kind not in _MAKERS:
            raise ValueError(f"as_table() makes tables of {', '.join(map(repr, _MAKERS))}. Got: {kind!r:.80}")
        for name in [kind] if kind is not None else list(_MAKERS):
            package, make = _MAKERS[name]
            try:
                module = importlib.import_module(package)
            except ImportError:
                if kind is not None:
                    raise
            else:
                return make(module, [dict(row) for row in self])
        raise ImportError("as_table() needs one of the packages pyarrow, pandas and polars")


def chosen(
    rows: Iterable[dict[str, Any]],
    filters: Sequence[Filter] | None,
    limit: int,
    columns: Sequence[str] | None,
    what: str,
) -> Rows:
    """Return the rows that meet all filters, at most `limit`.

    Args:
        rows: The rows.
        filters: `(key, "=" or "!=", value)` each. Text is compared without regard to case.
        limit: The most rows to return.
        columns: The columns to keep, None for all.
        what: What a row is, for errors.

    Raises:
        ValueError: A filter is not of that form, or names no key of the rows, or another operator.
    """
    found = list(rows)
    keys = found[0].keys() if found else None
    wanted = [_checked(each, keys, what) for each in filters or ()]
    for key, operator, value in wanted:
        text = str(value).lower()
        found = [row for row in found if (str(row[key]).lower() == text) == (operator == "=")]
    return Rows(Row(row) if columns is None else Row({key: row[key] for key in columns}) for row in found[:limit])


def _checked(wanted: Any, keys: Collection[str] | None, what: str) -> Filter:
    """Return a filter if it is one. `keys`: the keys of the rows, None if there are no rows."""
    if not isinstance(wanted, tuple | list) or len(wanted) != 3:
        raise ValueError(f"filters is a list of (key, '=' or '!=', value). One of them is: {wanted!r:.80}")
    key, operator, value = wanted
    if keys is not None and key not in keys:
        raise ValueError(f"no {what} can be filtered by {key!r}: the keys are {', '.join(sorted(keys))}")
    if operator not in ("=", "!="):
        raise ValueError(f"a filter's operator is '=' or '!=', not {operator!r}")
    return key, operator, value
