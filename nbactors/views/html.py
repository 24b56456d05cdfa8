"""Static HTML for notebooks: cards and tables that are readable on light and dark background, and without styles.

The HTML has no scripts, no style sheets, and only the page's colours. GitHub removes every style and keeps the
elements, so the elements alone (strong, code, table, details) must structure the content.
"""

from __future__ import annotations

from collections.abc import Sequence

_CARD = (
    "display:inline-block;border:1px solid currentColor;border-radius:6px;padding:.5em 1em;"
    "background:transparent;color:inherit;opacity:.9"
)
_TABLE = "background:transparent;color:inherit;margin:.3em 0 0 0"
_CELL = "text-align:left;vertical-align:top;padding:.1em 1em .1em 0;white-space:"
_SHORT = 32
"""A text up to this long is kept on one line."""


def escaped(text: str) -> str:
    """Return text with HTML's special characters escaped."""
    import html  # noqa: PLC0415 - this module of the standard library is needed in notebooks only

    return html.escape(text)


def card(
    title: str, state: str, rows: Sequence[tuple[str, str]], more: Sequence[tuple[str, Sequence[str]]] = ()
) -> str:
    """Return a box that describes one object.

    Args:
        title: The object's kind and name.
        state: The object's state, shown beside the title; may be empty.
        rows: Pairs of name and value. Rows without a value are left out.
        more: Pairs of a summary and lines of code, shown as a folded section.
    """
    head = f"<strong>{escaped(title)}</strong>" + (f" &middot; {escaped(state)}" if state else "")
    body = "".join(f"<tr>{_cell(name, 'th', 'row')}{_cell(value)}</tr>" for name, value in rows if value)
    listed = f'<table style="{_TABLE}">{body}</table>' if body else ""
    folded = "".join(_folded(summary, lines) for summary, lines in more if lines)
    return f'<div style="{_CARD}">{head}{listed}{folded}</div>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    head = "".join(_cell(name, "th", "col") for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(text: str, tag: str = "td", scope: str = "") -> str:
    style = _CELL + ("nowrap" if len(text) <= _SHORT else "pre-wrap")
    scoped = f' scope="{scope}"' if scope else ""
    return f'<{tag}{scoped} style="{style}">{escaped(text)}</{tag}>'


def _folded(summary: str, lines: Sequence[str]) -> str:
    code = "<br>".join(f"<code>{escaped(line)}</code>" for line in lines)
    return f"<details><summary>{escaped(summary)}</summary>{code}</details>"
