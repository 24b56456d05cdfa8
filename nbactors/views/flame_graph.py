"""`FlameGraph`: counted stacks as a drawing without scripts, for notebooks and for files."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

from nbactors.views.html import escaped, table

_WIDTH = 1000.0
_HEIGHT = 18
_LETTER = 6.5
_NARROWEST = 0.8
"""Units of the drawing's width below which a frame is left out: it could not be seen."""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 1em; color-scheme: light dark }}</style></head>
<body>{body}</body></html>
"""


class Frame:
    """One box of the drawing.

    Attributes:
        name: The function with its file and line, or the call at the top.
        count: In how many samples it was seen.
        own: In how many of these it was the innermost frame.
        callees: The frames below it, by name.
    """

    __slots__ = ("callees", "count", "name", "own")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = self.own = 0
        self.callees: dict[str, Frame] = {}


class FlameGraph:
    """Counted stacks.

    Args:
        title: What was sampled.
        stacks: Each stack, outermost frame first, and its count.
    """

    def __init__(self, title: str, stacks: Iterable[tuple[Sequence[str], int]]) -> None:
        self.title = title
        self.root = Frame("all")
        self._own: Counter[str] = Counter()
        for stack, count in stacks:
            self._add(stack, count)

    def _add(self, stack: Sequence[str], count: int) -> None:
        frame = self.root
        frame.count += count
        for name in stack:
            frame = frame.callees.setdefault(name, Frame(name))
            frame.count += count
        frame.own += count
        self._own[frame.name] += count

    def hottest(self, most: int) -> list[tuple[str, int]]:
        """Return the functions that were the innermost frame most often, with their counts."""
        return self._own.most_common(most)

    def svg(self) -> str:
        """Return the drawing: callers above callees, as wide as the share of samples. A tooltip tells the details."""
        boxes: list[str] = []
        depth = self._draw(boxes, self.root, 0.0, 0)
        height = (depth + 1) * _HEIGHT
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}" width="100%" role="img" '
            f'font-family="monospace" font-size="11"><title>{escaped(self.title)}</title>{"".join(boxes)}</svg>'
        )

    def _draw(self, boxes: list[str], top: Frame, left: float, level: int) -> int:
        """Draw a frame and those below it; return the deepest level. Without recursion, since stacks may be deep."""
        deepest = level
        todo = [(top, left, level)]
        while todo:
            frame, left, level = todo.pop()
            width = _WIDTH * frame.count / max(self.root.count, 1)
            if width < _NARROWEST:
                continue
            deepest = max(deepest, level)
            boxes.append(self._box(frame, left, level * _HEIGHT, width))
            for callee in sorted(frame.callees.values(), key=lambda one: one.name):
                todo.append((callee, left, level + 1))
                left += _WIDTH * callee.count / max(self.root.count, 1)
        return deepest

    def _box(self, frame: Frame, left: float, above: int, width: float) -> str:
        share = frame.count / max(self.root.count, 1)
        own = f", {frame.own} in itself" if frame.own else ""
        tip = escaped(f"{frame.name}: {frame.count} samples ({share:.1%}){own}")
        letters = int((width - 4) / _LETTER)
        shown = frame.name.partition(" (")[0]
        shown = shown if len(shown) <= letters else f"{shown[: letters - 1]}…" if letters > 2 else ""
        text = f'<text x="{left + 3:.1f}" y="{above + 13}" fill="#000">{escaped(shown)}</text>' if shown else ""
        return (
            f'<g><title>{tip}</title><rect x="{left:.1f}" y="{above}" width="{max(width - 0.5, 0.3):.1f}" '
            f'height="{_HEIGHT - 1}" rx="2" fill="{_colour(frame.name)}"/>{text}</g>'
        )

    def section(self) -> str:
        """Return the title, the drawing, and a folded table of the hottest functions."""
        rows = [(f"{count / max(self.root.count, 1):.1%}", str(count), name) for name, count in self.hottest(20)]
        return (
            f"<div><strong>{escaped(self.title)}</strong>{self.svg()}"
            f"<details><summary>Innermost frames</summary>{table(('share', 'samples', 'function'), rows)}"
            "</details></div>"
        )

    def page(self) -> str:
        """Return a whole HTML document, which needs no other file."""
        return _PAGE.format(title=escaped(self.title), body=self.section())


def _colour(name: str) -> str:
    """Return a warm colour, the same for each box of a function. Black text is readable on it."""
    number = zlib.crc32(name.encode())
    return f"hsl({15 + number % 40},{70 + number // 64 % 25}%,{62 + number // 4096 % 12}%)"
