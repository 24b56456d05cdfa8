"""tqdm in workers: its bars show in the notebook that made the call, and in scripts print whole lines.

tqdm is not imported here. When user code imports it, the methods of its class that write to the terminal are replaced,
so that every bar does the right thing, whoever made it: `tqdm`, `trange`, `tqdm.auto`, libraries that use them. Bars
with a `file=` of their own are left alone.

- Called from a notebook, a bar is reported to the cell that made the call, at most once in `REPORT_S`, and the state
  at its end always.
- Else it prints a line to stderr, at most once in `LINE_S`, and one at its end; none if it leaves no trace
  (`leave=False`) and ends before that. Carriage returns would tear the lines of workers that print at the same time.
- `tqdm.notebook` is plain tqdm here: a worker has no page to draw widgets on, and ipywidgets takes long to import.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import itertools
import sys
import threading
import types
import weakref
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.frontend.text_stream import write
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.member import Process

REPORT_S = 0.1
LINE_S = 2.0
MAX_TEXT = 1000
"""Longer descriptions are cut: they are for one line."""

_CLASS, _WIDGETS = "tqdm.std", "tqdm.notebook"


def install(process: Process) -> None:
    """Take tqdm over as soon as it is imported. Called once, on the main thread, before any user code runs."""
    sys.meta_path.insert(0, _Finder(process))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds tqdm's modules as usual, and takes them over once they have been executed."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See the base class. Any thread that imports."""
        if fullname == _WIDGETS:
            return importlib.machinery.ModuleSpec(fullname, _PlainNotebook())
        if fullname != _CLASS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            _take_over(module, self._process)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class _PlainNotebook(importlib.abc.Loader):
    """Loads `tqdm.notebook` as plain tqdm under that module's names."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """See the base class."""

    def exec_module(self, module: types.ModuleType) -> None:
        """See the base class."""
        plain: Any = importlib.import_module(_CLASS)
        module.__dict__.update(
            tqdm=plain.tqdm, tqdm_notebook=plain.tqdm, trange=plain.trange, tnrange=plain.trange, IProgress=None
        )


def _take_over(module: types.ModuleType, process: Process) -> None:
    """Have tqdm's class report instead of drawing."""
    cls: Any = module.__dict__["tqdm"]
    display, clear, moveto, close = cls.display, cls.clear, cls.moveto, cls.close
    # Made by itself it would be one for several processes: a semaphore, and on macOS a process that looks after it.
    cls._lock = threading.RLock()

    def new_display(bar: Any, msg: str | None = None, pos: int | None = None) -> bool:
        reporter = _reporter(bar, process)
        if reporter is None:
            return bool(display(bar, msg, pos))
        reporter.show()
        return True

    def new_clear(bar: Any, nolock: bool = False) -> None:
        if _reporter(bar, process) is None:
            clear(bar, nolock)

    def new_moveto(bar: Any, n: int) -> None:
        if _reporter(bar, process) is None:
            moveto(bar, n)

    def new_close(bar: Any) -> None:
        # It may be a finalizer that calls this, or one whose constructor has failed.
        reporter = bar.__dict__.get("_nbactors_reporter")
        if reporter is None or getattr(bar, "disable", True):
            close(bar)
            return
        bar.disable = True
        bar._decr_instances(bar)
        reporter.end()

    cls.display, cls.clear, cls.moveto, cls.close = new_display, new_clear, new_moveto, new_close


def _reporter(bar: Any, process: Process) -> _Reporter | None:
    """Return what shows a bar, None if it is to draw itself."""
    try:
        reporter: _Reporter | None = bar.__dict__["_nbactors_reporter"]
    except KeyError:
        # What `file` was left out for, also after the stream was replaced.
        shown = bar.fp == sys.stderr or bar.fp == sys.__stderr__
        origin = process.origin() if shown else 0
        reporter = (_Reported(bar, process, origin) if origin else _Printed(bar)) if shown else None
        bar._nbactors_reporter = reporter
    return reporter


class _Reporter:
    """Shows one bar. Its methods are called on the thread that advances the bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = weakref.ref(bar)
        self._shown_at = monotonic()

    def show(self) -> None:
        """It has changed."""

    def end(self) -> None:
        """It has ended. May be called by a finalizer, so that it must not wait for any lock."""


class _Printed(_Reporter):
    """Prints lines, for scripts."""

    _lines = 0

    def show(self) -> None:
        bar, now = self._bar(), monotonic()
        if bar is not None and now - self._shown_at >= LINE_S:
            self._shown_at = now
            self._lines += 1
            self._print(bar)

    def end(self) -> None:
        bar = self._bar()
        if bar is not None and (_leaves(bar) or self._lines):
            bar._ema_dt = lambda: None  # the rate of the whole time, as tqdm itself shows at the end
            self._print(bar)

    @staticmethod
    def _print(bar: Any) -> None:
        try:
            write(bar.fp, f"{bar}\n")
            bar.fp.flush()
        except (OSError, ValueError):  # closed: there is nobody to tell
            pass


class _Reported(_Reporter):
    """Sends states to the notebook."""

    _numbers = itertools.count(1)

    def __init__(self, bar: Any, process: Process, origin: int) -> None:
        super().__init__(bar)
        self._shown_at = 0.0
        self._process = process
        self._origin = origin
        self._name = f"tqdm-{next(self._numbers)}"
        self._is_due = False
        self._ended = False

    def show(self) -> None:
        wait = self._shown_at + REPORT_S - monotonic()
        if wait <= 0:
            self._report()
        elif not self._is_due:
            # A bar that stands still from now on shall not stand where it was.
            self._is_due = True
            self._process.reactor.call_later(wait, self._report_due)

    def _report_due(self) -> None:
        """The leader's thread."""
        self._is_due = False
        if not self._ended:
            self._report()

    def _report(self) -> None:
        bar = self._bar()
        if bar is not None:
            self._shown_at = monotonic()
            self._process.node.send_now(self._state(bar, False))

    def end(self) -> None:
        bar = self._bar()
        self._ended = True
        if bar is not None:
            bar._ema_dt = lambda: None
            state = self._state(bar, True)
            self._process.reactor.discard(lambda: self._process.node.send_now(state))

    def _state(self, bar: Any, closed: bool) -> messages.Progress:
        facts = bar.format_dict
        elapsed, n, scale = facts["elapsed"], facts["n"], facts["unit_scale"]
        rate = facts["rate"]
        if rate is None:
            rate = (n - facts.get("initial", 0)) / elapsed if elapsed else 0
        return messages.Progress(
            self._origin,
            self._name,
            str(facts["prefix"] or "").removesuffix(": ")[:MAX_TEXT],
            float(n),
            None if facts["total"] is None else float(facts["total"]),
            str(facts["unit"])[:MAX_TEXT],
            float(scale),
            float(elapsed),
            float(rate),
            str(facts["postfix"] or "")[:MAX_TEXT],
            closed,
            _leaves(bar),
            "",
        )


def _leaves(bar: Any) -> bool:
    """Return whether a bar stays after its end: by default the outermost does."""
    return bool(bar.pos == 0 if bar.leave is None else bar.leave)
