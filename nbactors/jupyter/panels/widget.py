"""`PanelWidget`: one panel in the front end, and `PanelCode`, which has the views of all panels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

_STATIC = Path(__file__).parent / "static"


class PanelCode(ipywidgets.Widget):
    """The code of the views, which the panels of a kernel load from this widget."""

    text = traitlets.Unicode().tag(sync=True)
    version = traitlets.Unicode().tag(sync=True)


class PanelWidget(anywidget.AnyWidget):
    """The widget of one panel.

    Args:
        state: The first state.
        on_message: Called with each message of a view, on the thread of a subshell, or of the kernel where the front
            end uses none.
    """

    _esm = (_STATIC / "loader.js").read_text(encoding="utf-8")
    code = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, state: dict[str, Any], on_message: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(state=state, code=f"IPY_MODEL_{_shared_code().model_id}")
        # ipykernel 7.4 hands messages to the main shell, which may be busy, unless this returns the default.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default
        self.on_msg(lambda _widget, content, _buffers: on_message(content))

    def change(self, state: dict[str, Any], changes: dict[str, Any]) -> None:
        """Take a new state, and send only what has changed. The feed's thread."""
        self._trait_values["state"] = state  # a page that is loaded again asks for it
        self.send(changes)


_code: PanelCode | None = None


def has_views() -> bool:
    """Return whether the views were built: in a source tree that is not installed they may be missing."""
    return (_STATIC / "panels.js").exists()


def _shared_code() -> PanelCode:
    global _code
    if _code is None or _code.comm is None:
        text = (_STATIC / "panels.js").read_text(encoding="utf-8")
        _code = PanelCode(text=text, version=hashlib.sha256(text.encode()).hexdigest()[:16])
    return _code
