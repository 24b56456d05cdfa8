"""What the front end of a cell can show, as far as the kernel can know."""

from __future__ import annotations

import sys
import threading
from typing import Any

from nbactors.jupyter.cell_output import cells

HELLO_S = 2.0
"""Seconds within which a page that shows widgets answers. The kernel must be free, or have subshells."""

_shell: Any = None


def watch(shell: Any) -> None:
    """Note the kernel's shell. On the main thread."""
    global _shell
    _shell = shell
    # The libraries take 0.15 s to load, which the first panel would wait for.
    threading.Thread(target=_libraries, name="nbactors-panel-import", daemon=True).start()


def shows_panels(cell: int) -> bool:
    """Return whether the front end of a cell shows live panels. Any thread."""
    if _shell is None or not cells.is_known(cell) or cells.is_batch(cell):
        return False
    return not has_slow_clicks() and _libraries()


def has_slow_clicks() -> bool:
    """Return whether the front end is VS Code or Colab: they show widgets, but clicks wait for the running cell."""
    return _shell is not None and ("__vsc_ipynb_file__" in _shell.user_ns or "google.colab" in sys.modules)


def _libraries() -> bool:
    try:
        from nbactors.jupyter.panels import widget  # noqa: PLC0415 - anywidget is optional, and takes long to import
    except ImportError:
        return False
    return widget.has_views()


class PageWait:
    """The wait for a page that loads the views of a panel. Used by one thread.

    A page answers when it has loaded the views. A kernel without subshells gets the answer at the end of the cell.
    """

    def __init__(self) -> None:
        self._quiet_at = 0.0

    def ends_at(self, now: float) -> float:
        """Return the time after which no answer will come, in seconds of `monotonic`."""
        if cells.is_busy():
            self._quiet_at = now
        return self._quiet_at + HELLO_S
