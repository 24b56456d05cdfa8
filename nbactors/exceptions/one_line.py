"""Texts of any length in one line, as front ends show them."""

from __future__ import annotations

SHOWN = 200
"""Characters of the longest line."""


def brief(text: str) -> str:
    """Return the first line of a text, shortened, with escapes in place of what is no valid UTF-8.

    A notebook shows it: a message with a lone surrogate cannot be sent.
    """
    line = text.strip().partition("\n")[0].strip().encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
