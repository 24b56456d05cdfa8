"""Progress bars, which the node passes on from workers to the sessions that show them."""

from __future__ import annotations

import msgspec

from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.records import Worker
from nbactors.local.wire import messages

MAX_OPEN = 1000
"""How many open bars of one worker are remembered; if there are more, the oldest are forgotten."""


class Bars:
    """All open bars. The bars of a worker end when the worker dies."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open: dict[bytes, dict[str, messages.Bar]] = {}

    def report(self, worker: Worker, bar: messages.Bar) -> None:
        """Pass on the state of a worker's bar."""
        full = msgspec.structs.replace(
            bar, process_id=worker.process_id, pid=worker.pid, label=bar.label or worker.label
        )
        bars = self._open.setdefault(worker.process_id, {})
        if not bar.closed:
            bars[bar.bar] = full
            if len(bars) > MAX_OPEN:
                del bars[next(iter(bars))]
        else:
            bars.pop(bar.bar, None)
            if not bars:
                del self._open[worker.process_id]
        self._show(full)

    def open(self) -> list[messages.Bar]:
        """Return the last state of each bar that goes on, in the order in which a worker has begun them."""
        return [bar for bars in self._open.values() for bar in bars.values()]

    def end_of(self, worker: Worker) -> None:
        """End the bars of a worker that is gone."""
        for bar in self._open.pop(worker.process_id, {}).values():
            self._show(msgspec.structs.replace(bar, closed=True, leave=True, failed="its process has ended"))

    def _show(self, bar: messages.Bar) -> None:
        session = self._context.sessions.get((bar.origin >> 32).to_bytes(4, "little"))
        if session is not None and session.is_open:
            self._context.send(session.driver, bar)
