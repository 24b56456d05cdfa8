"""tqdm in workers: bars show under the notebook cell that made the call, and in scripts print whole lines.

tqdm is not imported here. When user code imports it, the methods of its class that write to the terminal are replaced,
so this covers every bar: of `tqdm`, `trange`, `tqdm.auto`, and of libraries that use them. A bar with a `file=` of its
own still draws itself.

- In a call of a notebook, a bar reports its states to the calling cell, at the pace of `BarReporter`.
- In a script, a bar prints lines to stderr, at the pace of `LinePace`. A bar that redraws its line by carriage returns
  would tear the output of other workers.
- `tqdm.notebook` is plain tqdm: a worker has no page to draw widgets on, and ipywidgets takes long to import.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import itertools
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from nbactors.frontend.bar import BarReporter, BarState, LinePace, mean_rate
from nbactors.frontend.text_stream import write_now
from nbactors.in_worker.import_hook import after_import

_CLASS, _WIDGETS = "tqdm.std", "tqdm.notebook"


class BarSender(Protocol):
    """Sends the states of the bars of one call to its cell. Any thread."""

    def send(self, state: BarState, closed: bool) -> None:
        """Send a state, whose cell and call are the sender's. With `closed` a finalizer may call it: take no lock."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after `delay` seconds, on any thread."""


def install(sender_of: Callable[[], BarSender | None]) -> None:
    """Take tqdm over as soon as it is imported. Called once, on the main thread, before any user code runs.

    Args:
        sender_of: Returns the sender for the call that the calling code belongs to, None if no cell has made it.
    """

    def reporter_of(bar: Any) -> _Printed | _Reported:
        sender = sender_of()
        return _Printed(bar) if sender is None else _Reported(bar, sender)

    after_import(_CLASS, lambda module: _take_over(module, reporter_of))
    sys.meta_path.insert(0, _PlainNotebook())


class _PlainNotebook:
    """Finds and loads `tqdm.notebook` as plain tqdm under that module's names."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`. Any thread that imports."""
        if fullname != _WIDGETS:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """See `importlib.abc.Loader`."""

    def exec_module(self, module: types.ModuleType) -> None:
        plain: Any = importlib.import_module(_CLASS)
        module.__dict__.update(
            tqdm=plain.tqdm, tqdm_notebook=plain.tqdm, trange=plain.trange, tnrange=plain.trange, IProgress=None
        )


def _take_over(module: types.ModuleType, reporter_of: Callable[[Any], _Printed | _Reported]) -> None:
    """Replace the methods by which tqdm's class draws."""
    cls: Any = module.__dict__["tqdm"]
    display, clear, moveto, close = cls.display, cls.clear, cls.moveto, cls.close
    # By default tqdm makes a lock for several processes: a semaphore, and on macOS a process that tracks it.
    cls._lock = threading.RLock()

    def new_display(bar: Any, msg: str | None = None, pos: int | None = None) -> bool:
        reporter = _reporter(bar, reporter_of)
        if reporter is None:
            return bool(display(bar, msg, pos))
        reporter.changed()
        return True

    def new_clear(bar: Any, nolock: bool = False) -> None:
        if _reporter(bar, reporter_of) is None:
            clear(bar, nolock)

    def new_moveto(bar: Any, n: int) -> None:
        if _reporter(bar, reporter_of) is None:
            moveto(bar, n)

    def new_close(bar: Any) -> None:
        # A finalizer may call this, also for a bar whose constructor has failed.
        reporter = bar.__dict__.get("_nbactors_reporter")
        if reporter is None or getattr(bar, "disable", True):
            close(bar)
            return
        bar.disable = True
        bar._decr_instances(bar)
        reporter.end()

    cls.display, cls.clear, cls.moveto, cls.close = new_display, new_clear, new_moveto, new_close


def _reporter(bar: Any, reporter_of: Callable[[Any], _Printed | _Reported]) -> _Printed | _Reported | None:
    """Return what shows a bar, None if the bar draws itself."""
    try:
        reporter: _Printed | _Reported | None = bar.__dict__["_nbactors_reporter"]
    except KeyError:
        # Without a `file` of its own a bar has one of these two, also after user code has replaced the stream.
        shown = bar.fp == sys.stderr or bar.fp == sys.__stderr__
        reporter = reporter_of(bar) if shown else None
        bar._nbactors_reporter = reporter
    return reporter


class _Printed:
    """Prints lines of one bar, for scripts. On the thread that advances the bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = weakref.ref(bar)
        self._pace = LinePace()

    def changed(self) -> None:
        """Print a line if that is due."""
        self._print(False)

    def end(self) -> None:
        """Print the last line. May be called by a finalizer."""
        self._print(True)

    def _print(self, closed: bool) -> None:
        bar = self._bar()
        if bar is not None and self._pace.is_due(_state(bar, "", closed)):
            write_now(bar.fp, f"{bar}\n")


class _Reported(BarReporter):
    """Sends the states of one bar to the notebook. On the thread that advances the bar, or the leader's."""

    _numbers = itertools.count(1)

    def __init__(self, bar: Any, sender: BarSender) -> None:
        self._bar = weakref.ref(bar)
        self._sender = sender
        self._name = f"tqdm-{next(self._numbers)}"

    def report(self, closed: bool) -> None:
        """See the base class. The last state may come from a finalizer, so it is sent without waiting for a lock."""
        bar = self._bar()
        if bar is not None:
            self._sender.send(_state(bar, self._name, closed), closed)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._sender.call_later(delay, callback)


def _state(bar: Any, name: str, closed: bool) -> BarState:
    if closed:
        bar._ema_dt = lambda: None  # the rate of the whole time, as tqdm itself shows at the end
    facts = bar.format_dict
    elapsed, n, total, rate = facts["elapsed"], facts["n"], facts["total"], facts["rate"]
    return BarState(
        cell=0,
        source="",
        bar=name,
        description=str(facts["prefix"] or "").removesuffix(": "),
        n=float(n),
        total=None if total is None else float(total),
        unit=str(facts["unit"]),
        unit_scale=float(facts["unit_scale"]),
        elapsed=float(elapsed),
        rate=float(mean_rate(n - facts.get("initial", 0), elapsed) if rate is None else rate),
        postfix=str(facts["postfix"] or ""),
        closed=closed,
        # By default the outermost bar remains.
        leave=bool(bar.pos == 0 if bar.leave is None else bar.leave),
    )
