"""What `%%remote` runs in a worker. Imports no IPython, which few cells need there."""

from __future__ import annotations

import asyncio
import inspect
import linecache
from dataclasses import dataclass
from types import CodeType
from typing import Any

import nbactors
from nbactors.frontend.bar import BarState
from nbactors.frontend.user_code import lets_through

TOKEN_PREFIX = "cell-"
"""Of the tokens that name runs."""

VALUE = "_nbactors_value"
"""The name that the cell's last expression is bound to."""

MAX_TEXT = 100_000
"""A longer repr is cut: nobody reads it, and the page has to hold it."""

_REPRS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}


@dataclass(frozen=True)
class Cell:
    """A cell on its way to a worker.

    Attributes:
        code: Its compiled code.
        filename, source: Where its lines are looked up for tracebacks.
        names: What it reads of the notebook.
        token: Names the run, for the word that it has begun.
        keeps: Whether its value is wanted, not only how it looks.
        shows: Whether it is wanted how its value looks.
    """

    code: CodeType
    filename: str
    source: str
    names: dict[str, Any]
    token: str
    keeps: bool
    shows: bool


@lets_through
def run(cell: Cell) -> tuple[Any, dict[str, Any]]:
    """Run a cell as the task that it is; return its value and how that looks (see `mimebundle`)."""
    nbactors.engine.current().report_bar(BarState(0, "", cell.token, closed=True, leave=False))
    lines = cell.source.splitlines(keepends=True)
    linecache.cache[cell.filename] = (len(cell.source), None, lines, cell.filename)
    space: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__, **cell.names}
    if "get_ipython" in cell.code.co_names:
        space.setdefault("get_ipython", lambda: shell_of(space))
    outcome = eval(cell.code, space)
    if inspect.iscoroutine(outcome):
        asyncio.run(outcome)
    value = space.get(VALUE)
    shown = mimebundle(value) if cell.shows and value is not None else {}
    return value if cell.keeps else None, shown


def mimebundle(value: Any) -> dict[str, Any]:
    """Return how a value looks: `{"data": …, "metadata": …}`, as IPython would show it."""
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if isinstance(value, type):  # its methods are meant for its instances
        return {"data": {"text/plain": _text(value)}, "metadata": {}}
    for name, mime in _REPRS.items():
        _take(data, metadata, mime, _call(value, name))
    whole = _call(value, "_repr_mimebundle_")
    if isinstance(whole, tuple):
        whole, more = whole
        metadata.update(more)
    data.update(whole or {})
    data.setdefault("text/plain", _text(value))
    return {"data": data, "metadata": metadata}


def _take(data: dict[str, Any], metadata: dict[str, Any], mime: str, shown: Any) -> None:
    if isinstance(shown, tuple):
        shown, metadata[mime] = shown
    if isinstance(shown, bytes):
        import base64  # noqa: PLC0415 - for pictures only

        shown = base64.b64encode(shown).decode()
    if shown is not None:
        data[mime] = shown


def _call(value: Any, name: str) -> Any:
    method = getattr(value, name, None)
    if not callable(method):
        return None
    try:
        return method()
    except Exception:  # noqa: BLE001 - the user's; then it is shown in the next best way
        return None


def _text(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - the user's
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}: {error}>"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT} more characters)"


def shell_of(space: dict[str, Any]) -> Any:
    """Return a shell for the cell's `!commands` and line magics."""
    from IPython import get_ipython  # noqa: PLC0415 - only for those who need it

    shell = get_ipython()
    if shell is None:  # called from a terminal
        from IPython.core.interactiveshell import InteractiveShell  # noqa: PLC0415 - as above
        from traitlets.config import Config  # noqa: PLC0415 - as above

        config = Config()
        config.HistoryManager.enabled = False
        shell = InteractiveShell.instance(config=config)
    shell.user_ns = space
    return shell
