"""`RayContext`: what `init` returns and a notebook shows under the cell."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbactors import engine
from nbactors.version import __version__

if TYPE_CHECKING:
    from typing_extensions import Self


class RayContext(Mapping[str, Any]):
    """A session that was opened: prints what it is, ends it by `disconnect()` or at the end of a `with` block.

    Attributes:
        address_info: What the engine tells of itself: node, directory, namespace, CPUs, GPUs. Also by `context[key]`.
        dashboard_url: Empty: there is no dashboard. `nbactors status` shows what runs.
        python_version: The interpreter's.
        ray_version: nbactors' own version, under Ray's name for it.
    """

    def __init__(self, address_info: dict[str, Any]) -> None:
        self.address_info = address_info
        self.dashboard_url = ""
        self.python_version = sys.version.split()[0]
        self.ray_version = __version__

    def disconnect(self) -> None:
        """End the session, as `shutdown()` does."""
        engine.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.disconnect()

    def __getitem__(self, key: str) -> Any:
        return self.address_info[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.address_info)

    def __len__(self) -> int:
        return len(self.address_info)

    def _rows(self) -> list[tuple[str, str]]:
        shown = [
            (name.replace("_", " "), _text(name, value))
            for name, value in self.address_info.items()
            if name != "python_version"
        ]
        return [("nbactors", self.ray_version), ("Python", self.python_version), *shown]

    def _state(self) -> str:
        """Return whether the session is still open; asks nobody."""
        running = engine.running()
        if running is None:
            return "ended"
        job_id = self.address_info.get("job_id")
        return "open" if job_id is None or running.runtime_facts().job_id.hex() == job_id else "ended"

    def __repr__(self) -> str:
        state = ", ended" if self._state() == "ended" else ""
        return f"RayContext({', '.join(f'{name}={value}' for name, value in self._rows())}{state})"

    def _repr_html_(self) -> str:
        """Return a static table that is readable on light and on dark background."""
        from nbactors.views.html import card  # noqa: PLC0415 - only notebooks need it

        return card("Session", self._state(), self._rows())


def _text(name: str, value: Any) -> str:
    """Return a value as people read it: amounts without needless digits, bytes in GiB."""
    if isinstance(value, Mapping):  # amounts, and Ray's marks of a node among them, which tell nothing here
        return ", ".join(f"{_text(key, amount)} {key}" for key, amount in value.items() if not key.startswith("node:"))
    if "memory" in name and isinstance(value, int | float):
        return f"{value / (1 << 30):.1f} GiB"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).encode("utf-8", "backslashreplace").decode()  # a directory's name may be no UTF-8
