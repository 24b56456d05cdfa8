"""How cards, tables, bars and errors fit into a narrow column and a wide one, in the light theme and the dark one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from notebook_page import SESSION, NotebookPage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ACTOR = """%%actor counter
class Counter:
    def __init__(self):
        self.value = 0
    def increment(self, by=1):
        self.value += by
        return self.value
    def fail(self):
        raise ValueError("the text of this error is a long one, " * 6)
    def load(self, size):
        from tqdm import tqdm
        for _ in tqdm(range(size), desc="loads the files of the first part"):
            pass
        print("a-word-without-a-space-" * 12)"""

CELLS = [
    SESSION,
    ACTOR,
    "ray.get(counter.increment.remote())\ncounter",
    "ref = ray.put(1)\nref",
    "ray.get(counter.load.remote(100))",
    "%%remote -o answer\n6 * 7",
    "ray.get(counter.fail.remote())",
    "%actors",
]

COLOURS = """(area) => {
    const light = (colour) => {
        const [red, green, blue, alpha] = colour.match(/[0-9.]+/g).map(Number);
        return alpha === 0 ? null : 0.3 * red + 0.6 * green + 0.1 * blue;
    };
    const ground = (element) => light(getComputedStyle(element).backgroundColor) ?? ground(element.parentElement);
    const texts = [...area.querySelectorAll('strong, b, td, th, summary')].filter((element) => element.innerText);
    return texts.map((element) => Math.abs(light(getComputedStyle(element).color) - ground(element)));
}"""
"""Returns by how much the texts of an area are lighter or darker than their ground, from 0 to 255."""


SHOWN = ["Session", "Counter · pid", "idle", "ObjectRef", "100%", "done", "ValueError", "Counter"]

CARDS = (0, 1, 2, 3)
TABLE = 7


def test_what_shows_fits_its_column_and_stands_out_from_the_ground(notebook: Callable[..., NotebookPage]) -> None:
    opened = notebook(*CELLS)
    opened.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    for number in range(len(CELLS)):
        opened.run(number)
    for width in (640, 1280):
        opened.page.set_viewport_size({"width": width, "height": 1600})
        for theme in ("Light", "Dark"):
            opened.page.evaluate(
                "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
                f"JupyterLab {theme}",
            )
            for number, pattern in enumerate(SHOWN):
                opened.await_text(number, pattern)
                if number != TABLE:  # a table of many columns scrolls
                    assert opened.overflow(number) == 0, (width, theme, pattern)
            for number in (*CARDS, TABLE):
                contrasts = opened.output(number).evaluate(COLOURS)
                assert contrasts, (width, theme, number)
                assert min(contrasts) > 100, (width, theme, number)
            opened.keep_picture(f"{width}-{theme}")
