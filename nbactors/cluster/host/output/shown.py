"""Displays and progress bars of a worker, on their way to the session."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any, Protocol

from nbactors.cluster.common.timing import later
from nbactors.cluster.host.call import CURRENT
from nbactors.frontend.bar import BarState
from nbactors.in_worker.ipython_display import MAX_CONTENT, too_large


class Reporter(Protocol):
    """What displays and bars ask of their process. Methods: any thread."""

    label: str
    worker_id: str

    def report_in_order(self, hub: str, kind: str, content: Any) -> bool:
        """Report something after all output that was written before. Return whether that was possible."""

    def report_later(self, hub: str, kind: str, content: Any) -> None:
        """Report something without waiting, in the order of these calls. Finalizers may call it."""


class HostDisplays:
    """See `nbactors.in_worker.ipython_display.Sender`."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    @property
    def is_called_by_notebook(self) -> bool:
        """Whether the calling code runs in a call of a cell."""
        call = CURRENT.get()
        return call is not None and bool(call.cell)

    def show(self, data: Any, metadata: Any, transient: Any, update: bool) -> None:
        """Show a MIME bundle."""
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        packed = json.dumps(content, default=_encoded)
        if len(packed) > MAX_CONTENT:
            content.update(data=too_large(len(packed)), metadata={})
            packed = json.dumps(content, default=_encoded)
        self._report(packed, update, "")

    def clear(self, wait: bool) -> None:
        """Clear the cell's output."""
        self._report("{}", False, "later" if wait else "now")

    def _report(self, packed: str, update: bool, clear: str) -> None:
        call = CURRENT.get()
        if call is not None:
            self._reporter.report_in_order(call.hub, "display", (call.cell, packed, update, clear))


class HostBarSender:
    """See `nbactors.in_worker.tqdm_bars.BarSender`."""

    def __init__(self, reporter: Reporter, hub: str, cell: int) -> None:
        self._reporter = reporter
        self._hub = hub
        self._cell = cell

    @classmethod
    def of_caller(cls, reporter: Reporter) -> HostBarSender | None:
        """Return the sender for the calling code, None if no cell has made its call."""
        call = CURRENT.get()
        return cls(reporter, call.hub, call.cell) if call is not None and call.cell else None

    def send(self, state: BarState, closed: bool) -> None:
        """Send a state."""
        del closed
        it = self._reporter
        state = state._replace(cell=self._cell, source=it.worker_id, pid=os.getpid(), label=it.label)
        self._reporter.report_later(self._hub, "bar", tuple(state))

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after `delay` seconds."""
        later(delay, callback)


def _encoded(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else repr(value)
