"""Runs the cell of `%%remote` in a worker. Imports no IPython, which few cells need there."""

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
"""The beginning of the tokens that name runs."""

VALUE = "_nbactors_value"
"""The variable that gets the value of the cell's last expression."""

MAX_TEXT = 100_000
"""Characters of a repr. A longer one is cut: nobody reads it, and it is a burden on the page."""

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
class SentCell:
    """A cell on its way to another process.

    Attributes:
        code: The compiled code.
        filename, source: The file name of the code in tracebacks, and its lines.
        names: The variables of the notebook that the cell gets.
        keeps: Whether the notebook wants the value of the last expression.
        shows: Whether the notebook wants to show that value.
    """

    code: CodeType
    filename: str
    source: str
    names: dict[str, Any]
    keeps: bool
    shows: bool

    @lets_through
    def start(self, space: dict[str, Any]) -> Any:
        """Run the code in a namespace. Returns a coroutine, which goes on with it, if the code awaits."""
        lines = self.source.splitlines(keepends=True)
        linecache.cache[self.filename] = (len(self.source), None, lines, self.filename)
        if "get_ipython" in self.code.co_names:
            space.setdefault("get_ipython", lambda: shell_of(space))
        return eval(self.code, space)


@lets_through
def run(cell: SentCell, token: str) -> tuple[Any, dict[str, Any]]:
    """Run a cell as the present task; return its value and how to show that (see `mimebundle`).

    Args:
        cell: The cell.
        token: Names the run, for the report that the task has begun.
    """
    nbactors.engine.current().report_bar(BarState(0, "", token, closed=True, leave=False))
    space: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__, **cell.names}
    outcome = cell.start(space)
    if inspect.iscoroutine(outcome):
        asyncio.run(outcome)
    value = space.get(VALUE)
    shown = mimebundle(value) if cell.shows and value is not None else {}
    return value if cell.keeps else None, shown


def mimebundle(value: Any) -> dict[str, Any]:
    """Return the MIME bundle by which IPython would show a value: `{"data": …, "metadata": …}`."""
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if isinstance(value, type):  # its methods are for instances
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
    except Exception:  # noqa: BLE001 - the user's; the value is shown by its other methods
        return None


def _text(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - an error of the user's
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}: {error}>"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT} more characters)"


def shell_of(space: dict[str, Any]) -> Any:
    """Return a shell for the cell's `!commands` and line magics."""
    from IPython import get_ipython  # noqa: PLC0415 - few cells need it

    shell = get_ipython()
    if shell is None:  # the session runs in a terminal
        from IPython.core.interactiveshell import InteractiveShell  # noqa: PLC0415 - as above
        from traitlets.config import Config  # noqa: PLC0415 - as above

        config = Config()
        config.HistoryManager.enabled = False
        shell = InteractiveShell.instance(config=config)
    shell.user_ns = space
    return shell
