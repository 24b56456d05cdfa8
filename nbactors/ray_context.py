"""`RayContext`: the object that `init` returns, which a notebook shows under the cell."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbactors import byte_sizes, engine
from nbactors.version import __version__
from nbactors.views.sizes import store_text

if TYPE_CHECKING:
    from typing_extensions import Self


_HIDDEN = (
    "python_version",  # it has a row of its own
    "node_ip_address",
    "address",
    "gcs_address",
    "session_dir",
    "raylet_socket_name",
    "object_store_address",
    "redis_address",
    "webui_url",
    "metrics_export_port",
    "dashboard_agent_listen_port",
)
"""What a view does not show: Ray's entries, which tell nothing more."""


class RayContext(Mapping[str, Any]):
    """Description of an open session. `disconnect()` and the end of a `with` block close the session. Any thread.

    Example: `with init() as context: print(context["namespace"])`. Source: Ray's page "ray.init".

    Attributes:
        address_info: The engine's description: node, directory, namespace, CPUs, GPUs, and Ray's entries, such as
            "node_ip_address" and "session_dir". Those that have no counterpart are empty, None or -1. `context[key]`
            reads it, too.
        dashboard_url: Empty, since there is no dashboard. `nbactors status` shows the running actors.
        python_version: The version of this interpreter.
        ray_version: The version of nbactors. Ray's programs read it under this name.
    """

    def __init__(self, address_info: dict[str, Any]) -> None:
        self.address_info = address_info
        self.dashboard_url = ""
        self.python_version = sys.version.split()[0]
        self.ray_version = __version__

    def disconnect(self) -> None:
        """Close the session, as `shutdown()` does."""
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
            if name not in _HIDDEN
        ]
        return [("nbactors", self.ray_version), ("Python", self.python_version), *shown, *self._stores()]

    def _stores(self) -> list[tuple[str, str]]:
        """Return the rows about the object store, for which the node asks all processes; none after the end."""
        running = engine.running()
        if running is None or self._state() == "ended":
            return []
        try:
            node, session = running.object_store()
        except Exception:  # noqa: BLE001 - a view never fails
            return [("object store", "unknown, the node does not answer")]
        own = [("object store of the session", store_text(*session))] if session is not None else []
        return [("object store", store_text(*node)), *own]

    def _state(self) -> str:
        """Return "open" or "ended", without asking the node."""
        running = engine.running()
        if running is None:
            return "ended"
        job_id = self.address_info.get("job_id")
        return "open" if job_id is None or running.runtime_facts().job_id.hex() == job_id else "ended"

    def __repr__(self) -> str:
        state = ", ended" if self._state() == "ended" else ""
        return f"RayContext({', '.join(f'{name}={value}' for name, value in self._rows())}{state})"

    def _repr_html_(self) -> str:
        """Return a table without scripts, readable on light and on dark background."""
        from nbactors.views.html import card  # noqa: PLC0415 - only notebooks need it

        return card("Session", self._state(), self._rows())


def _text(name: str, value: Any) -> str:
    """Return a value for people: amounts without needless digits, bytes with a unit."""
    if isinstance(value, Mapping):  # resources; Ray's "node:" resources tell nothing on one machine
        return ", ".join(f"{_text(key, amount)} {key}" for key, amount in value.items() if not key.startswith("node:"))
    if "memory" in name and isinstance(value, int | float):
        return byte_sizes.shown(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).encode("utf-8", "backslashreplace").decode()  # the name of a directory may be invalid UTF-8
