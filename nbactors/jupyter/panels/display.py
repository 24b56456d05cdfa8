"""Shows panels under cells, or their static form where the front end cannot show widgets."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from time import monotonic
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

import nbactors
from nbactors.actor import ActorHandle
from nbactors.frontend import calling_cell
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.inbox import WIDGET_MIME
from nbactors.jupyter.cell_output.painter import painter
from nbactors.jupyter.magics.actor_table import Roster
from nbactors.jupyter.panels import front_end
from nbactors.jupyter.panels.open_displays import OpenDisplays
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.util import state
from nbactors.util.panels import Panel
from nbactors.views import actor_cells, html

KEPT = 500
"""Displays that are live, those that were shown last. An older one becomes its static form."""

MOST_ROWS = 30
"""Actors that the static form of a session's panel lists. More are counted by class and state."""

_MISSING = (
    "This is a static view: the page has not loaded the live panel. Live panels need anywidget where the Jupyter "
    "server runs (pip install anywidget, then reload the page)."
)

_lock = threading.RLock()
_feed: Any = None
_panels: dict[str, Any] = {}
"""The panels of actors, by the actor's id."""
_is_watching = False


def watch(shell: InteractiveShell) -> None:
    """Show handles, references and generators as panels from now on. Idempotent. On the main thread."""
    global _is_watching
    if _is_watching or getattr(shell, "kernel", None) is None:
        return
    _is_watching = True
    front_end.watch(shell)
    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type(ActorHandle, _show_live)
    formatter.for_type(Panel, _show_panel)
    formatter.for_type(ObjectRef, _show_reference)
    formatter.for_type(ObjectRefGenerator, _show_reference)


def can_show() -> bool:
    """Return whether the front end of the running cell shows live panels, as far as the kernel can know."""
    return front_end.shows_panels(calling_cell.current())


def _show_live(handle: ActorHandle[Any]) -> None:
    """Show an actor's panel under the running cell, as IPython's formatter. On the cell's thread.

    Raises:
        NotImplementedError: The front end shows no live panels, so IPython goes on with the static card.
    """
    if not can_show() and not front_end.has_slow_clicks():
        raise NotImplementedError
    show_actor(handle)


def _show_panel(panel: Panel) -> None:
    """Show what `nbactors.panel` has returned, as IPython's formatter. On the cell's thread."""
    if panel.handle is not None:
        show_actor(panel.handle)
    else:
        show_session(repr(panel))


def show_actor(handle: ActorHandle[Any]) -> PanelDisplay:
    """Show an actor's panel under the running cell, or its static card. On the cell's thread."""
    data = handle._repr_mimebundle_()
    if front_end.has_slow_clicks():
        actor_id = handle._link.actor_id.hex()
        data["text/html"] += _commands(f"nbactors interrupt {actor_id[:12]}")
    shown = PanelDisplay(of_actor(handle) if can_show() else None, data)
    shown.show()
    return shown


def _commands(interrupt: str) -> str:
    """Return what to type in a terminal where no button works, as HTML."""
    return (
        "<p><small>In a terminal, also while a cell runs: <code>nbactors list</code> shows what runs, <code>nbactors "
        f"cancel CALL</code> cancels a call, <code>{interrupt}</code> interrupts an actor.</small></p>"
    )


def _show_reference(ref: ObjectRef[Any] | ObjectRefGenerator[Any]) -> None:
    """Show the line of a call that has not ended under the running cell. On the cell's thread.

    Raises:
        NotImplementedError: The call has ended, or another process has made it, or the front end shows no panels.
            IPython shows the static card then, as the result of the cell.
    """
    if not can_show():
        raise NotImplementedError
    from nbactors.jupyter.panels.reference_line import ReferenceLine  # noqa: PLC0415 - see `front_end`

    line = ReferenceLine.of(ref, calling_cell.current(), shared_feed())
    if line is None:
        raise NotImplementedError
    line.begin()


def show_session(text: str) -> None:
    """Show the panel of the session under the running cell, or the table of its actors. On the cell's thread."""
    rows = [row for row in state.list_actors(limit=state.MANY, detail=True) if row["state"] != "DEAD"]
    if len(rows) <= MOST_ROWS:
        table = Roster(rows, [], {}, {}, text)
        data = {"text/plain": repr(table), "text/html": table._repr_html_()}
    else:
        counts = Counter((row["class_name"], actor_cells.state(row)) for row in rows)
        cells_of = [[name, f"{count:,}", what] for (name, what), count in counts.items()]
        lines = [f"{count} {name}: {what}" for name, count, what in cells_of]
        data = {"text/plain": "\n".join(lines), "text/html": html.table(("class", "actors", "state"), cells_of)}
    if front_end.has_slow_clicks():
        data["text/html"] += _commands("nbactors interrupt ACTOR")
    PanelDisplay(of_session() if can_show() else None, data).show()


def of_actor(handle: ActorHandle[Any]) -> Any:
    """Return the panel of an actor: the same one for all its displays."""
    from nbactors.jupyter.panels import panel as panels  # noqa: PLC0415 - see `front_end`
    from nbactors.jupyter.panels.actor_panel import ActorSource  # noqa: PLC0415 - see `front_end`

    actor_id = handle._link.actor_id.hex()
    with _lock:
        panel = _panels.get(actor_id)
        if panel is None:
            feed = shared_feed()
            facts = handle._link.facts()
            first = {
                "actor_id": actor_id,
                "class_name": handle._meta.class_name,
                "name": "",
                "state": {"alive": "ALIVE", "dead": "DEAD"}.get(facts.state, "PENDING_CREATION"),
                "pid": facts.pid,
                "is_detached": False,
                "num_restarts": 0,
                "death_cause": facts.cause,
            }
            job_id = nbactors.get_runtime_context().get_job_id() if nbactors.is_initialized() else ""
            panel = panels.Panel(ActorSource(feed, actor_id, first, job_id), feed.touch)
            feed.add(panel)
            _panels[actor_id] = panel
    return panel


def _forget(panel: Any) -> None:
    """Forget a panel that was closed: the next display of the actor gets a new one."""
    with _lock:
        for actor_id in [actor_id for actor_id, known in _panels.items() if known is panel]:
            del _panels[actor_id]


open_displays = OpenDisplays(KEPT, _forget)


def of_session() -> Any:
    """Return a new panel of this session."""
    from nbactors.jupyter.panels import panel as panels  # noqa: PLC0415 - see `front_end`
    from nbactors.jupyter.panels.session_panel import SessionSource  # noqa: PLC0415 - see `front_end`

    feed = shared_feed()
    feed.look()
    context = nbactors.get_runtime_context() if nbactors.is_initialized() else None
    namespace = context.namespace if context is not None else ""
    title = namespace.rpartition("/")[2] if namespace.endswith(".ipynb") else ""
    panel = panels.Panel(SessionSource(feed, context.get_job_id() if context is not None else "", title), feed.touch)
    feed.add(panel)
    return panel


def shared_feed() -> Any:
    """Return the feed of this kernel."""
    from nbactors.jupyter.panels.feed import Feed  # noqa: PLC0415 - see `front_end`

    global _feed
    with _lock:
        if _feed is None:
            _feed = Feed(cells.is_busy)
        return _feed


class PanelDisplay:
    """One display of a panel. It becomes static if no page has loaded the panel in time.

    Args:
        panel: The panel; None where the front end shows none.
        data: Its static form, by MIME type.
    """

    def __init__(self, panel: Any, data: Mapping[str, Any]) -> None:
        self._panel = panel
        self._data = dict(data)
        self._cell = calling_cell.current()
        self._id = uuid.uuid4().hex
        self._wait = front_end.PageWait()
        self._is_gone = False

    @property
    def is_live(self) -> bool:
        """Whether the display is a panel, as far as is known. Any thread."""
        return self._panel is not None

    @property
    def panel(self) -> Any:
        """The panel, None where the display is static. Any thread."""
        return self._panel

    def show(self) -> None:
        """Show the panel under the running cell. On its thread."""
        display(self._bundle(), raw=True, display_id=self._id)
        if self._panel is not None:
            open_displays.add(self, cells.front_end_id(self._cell), self._cell)
            painter.touch(self, monotonic() + front_end.HELLO_S)

    def replace(self, data: Mapping[str, Any]) -> None:
        """Replace the static form. The panel stays. Any thread."""
        self._data = dict(data)
        if not self._is_gone:
            self._publish()

    def end(self, *, is_gone: bool) -> None:
        """Show the static form from now on, or nothing if the display is gone. See `open_displays.OpenDisplay`."""
        self._panel = None
        self._is_gone = is_gone
        if not is_gone:
            self._publish()

    def _publish(self) -> None:
        content = {"data": self._bundle(), "metadata": {}, "transient": {"display_id": self._id}}
        cells.publish(self._cell, "update_display_data", content, is_kept=False)  # the handle shows it at any time

    def _bundle(self) -> dict[str, Any]:
        if self._panel is None:
            return self._data
        return {**self._data, WIDGET_MIME: self._panel.view()}

    def paint(self, now: float) -> float | None:
        """Look whether a page has loaded the panel. See `painter.Picture`."""
        if self._panel is None or self._panel.has_page:
            return None
        ends_at = self._wait.ends_at(now)
        if now < ends_at:
            return ends_at
        self._data["text/html"] += f"<p><small>{_MISSING}</small></p>"
        open_displays.end(self, is_gone=False)
        return None
