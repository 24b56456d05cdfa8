"""The tree of the parts of a value that cannot be pickled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbactors.definitions.diagnosis import parts
from nbactors.pickling.pickling import error_of

_MAX_FAILURES = 20
"""Parts that one tree shows, so that a long list of bad items ends soon."""


class FailureTuple:
    """A part of a value that cannot be pickled, although all its own parts can, or are too deep.

    Attributes:
        obj: The part.
        path: The names on the way from the value to the part.
        parent: What contains the part; None for the value itself.
    """

    def __init__(self, obj: Any, path: tuple[str, ...], parent: Any) -> None:
        self.obj = obj
        self.path = path
        self.parent = parent

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.path[-1]

    def __repr__(self) -> str:
        path = " -> ".join(self.path)
        return f"FailTuple({self.name} [path={path}, obj={_shown(self.obj)}, parent={_shown(self.parent)}])"


class FailureTree:
    """Looks for the parts that cannot be pickled.

    Args:
        value: The value.
        name: Its name; None for its `repr`.
        depth: How many levels of parts to look at.

    Attributes:
        failures: The innermost parts that cannot be pickled.
    """

    def __init__(self, value: Any, name: str | None, depth: int) -> None:
        self.failures: set[FailureTuple] = set()
        self._lines: list[str] = []
        self._ancestors: list[int] = []
        name = _shown(value) if name is None else name
        error = error_of(value)
        if error is None:
            self._lines.append(f"{name}: can be pickled")
        else:
            self._add(value, (name,), f"{name}: cannot be pickled", error, None, depth)

    def lines(self) -> list[str]:
        """Return the tree as text, with what can be done."""
        if not self.failures:
            return self._lines
        return [
            *self._lines,
            "Make the innermost parts inside the task or actor, leave them out with __getstate__ or __reduce__, or",
            "send them in another form with nbactors.util.register_serializer.",
        ]

    def _add(self, value: Any, path: tuple[str, ...], text: str, error: Exception, parent: Any, depth: int) -> None:
        indent = "    " * len(self._ancestors)
        self._lines.append(f"{indent}{text} ({type(error).__name__}: {_brief(str(error))})")
        self._ancestors.append(id(value))
        found = False
        for name, label, part, its_error in self._bad_parts(value) if depth > 0 else ():
            found = True
            self._add(part, (*path, name), f"{label}: {_shown(part)}", its_error, value, depth - 1)
            if len(self.failures) >= _MAX_FAILURES:
                self._lines.append(f"{indent}    … and perhaps more")
                break
        if not found:
            self.failures.add(FailureTuple(value, path, parent))
        self._ancestors.pop()

    def _bad_parts(self, value: Any) -> Iterator[tuple[str, str, Any, Exception]]:
        for part in parts(value):
            if id(part.value) not in self._ancestors:
                error = error_of(part.value)
                if error is not None:
                    yield part.name, part.label, part.value, error


def _shown(value: Any) -> str:
    try:
        return _brief(repr(value))
    except Exception:  # noqa: BLE001 - users' __repr__ may raise anything
        return f"an object of type {type(value).__qualname__!r}"


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
