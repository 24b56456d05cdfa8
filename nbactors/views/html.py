"""Static HTML for notebooks: cards and tables that are readable on light and dark background, and without styles.

The HTML has no scripts, and only the page's colours. GitHub, and JupyterLab in notebooks that it does not trust, remove
every style and keep the elements, so the elements alone (strong, code, table, details) must structure the content.
"""

from __future__ import annotations

from collections.abc import Sequence

_CARD = (
    "display:inline-block;border:1px solid currentColor;border-radius:6px;padding:.5em 1em;"
    "background:transparent;color:inherit;opacity:.9;max-width:100%;box-sizing:border-box"
)
_STYLE = (
    "<style>table.nbactors{background:transparent;color:inherit;margin:.3em 0 0 0}"
    "table.nbactors.nbactors.nbactors :is(th,td){text-align:left;vertical-align:top;padding:.1em 1em .1em 0;"
    "white-space:nowrap}"
    "table.nbactors.nbactors.nbactors .nbactors-long{white-space:pre-wrap;overflow-wrap:anywhere;min-width:8em}</style>"
)
"""The style of tables, sent with each: a style for each cell would be most of a long table.

The class is named three times, so that the rule prevails over JupyterLab's, which aligns cells to the right.
"""

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
    listed = f'{_STYLE}<table class="nbactors">{body}</table>' if body else ""
    folded = "".join(_folded(summary, lines) for summary, lines in more if lines)
    return f'<div style="{_CARD}">{head}{listed}{folded}</div>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    head = "".join(_cell(name, "th", "col") for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'{_STYLE}<table class="nbactors"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(text: str, tag: str = "td", scope: str = "") -> str:
    long = "" if len(text) <= _SHORT else ' class="nbactors-long"'
    scoped = f' scope="{scope}"' if scope else ""
    return f"<{tag}{scoped}{long}>{escaped(text)}</{tag}>"


def _folded(summary: str, lines: Sequence[str]) -> str:
    code = "<br>".join(f"<code>{escaped(line)}</code>" for line in lines)
    return f"<details><summary>{escaped(summary)}</summary>{code}</details>"
