"""The side panel of JupyterLab: all actors of the node, also while kernels are busy, hang or die."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from notebook_page import PICTURES, SESSION, NotebookPage
from playwright.sync_api import Page, expect

from nbactors.testing import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SHOWN_MS = 20_000
CLICK_S = 2.0
"""Seconds from a click to its effect on a busy machine."""

ACTORS = """import pathlib, time
@ray.remote
class Simulation:
    def run(self, mark):
        try:
            while True:
                time.sleep(0.01)
        finally:
            pathlib.Path(mark).touch()
    def fail(self):
        raise ValueError("no data file")
sim = Simulation.options(name="sim").remote()
store = Simulation.options(name="store", lifetime="detached", num_cpus=0).remote()
ray.get(store.__ray_ready__.remote())"""

HANGS = "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')"
"""Native code that keeps the lock of the interpreter, for longer than any test."""


def side(page: Page):  # type: ignore[no-untyped-def]
    """Open the side panel, and return it."""
    page.evaluate("() => window.jupyterapp.commands.execute('nbactors:show')")
    panel = page.locator("#nbactors-actors")
    panel.wait_for(timeout=SHOWN_MS)
    return panel


def test_the_panel_shows_actors_by_notebook_and_cancels_while_the_kernel_hangs(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    opened = notebook(SESSION, ACTORS, f"ref = sim.run.remote({str(stopped)!r})", HANGS)
    for number in range(3):
        opened.run(number)
    opened.run(3, wait=False)
    panel = side(opened.page)
    row = panel.get_by_role("row").filter(has_text="sim").filter(has_text="run")
    expect(row).to_be_visible(timeout=SHOWN_MS)
    groups = panel.locator(".nba-class").all_inner_texts()
    assert [re.sub(r"\W+$", "", text.split("\n")[0]) for text in groups] == ["▾ Detached", f"▾ {opened.path.name}"]
    row.click()
    opened.keep_picture("side-selected")
    began = time.monotonic()
    panel.get_by_role("button", name="Interrupt sim").click()
    eventually(stopped.exists, timeout_s=CLICK_S)
    print(f"from the click to its effect {time.monotonic() - began:.3f} s")
    for theme, width in (("JupyterLab Light", 1280), ("JupyterLab Dark", 900)):
        opened.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        opened.page.set_viewport_size({"width": width, "height": 800})
        opened.page.wait_for_timeout(300)
        opened.keep_picture(f"side-{width}")
    assert PICTURES.exists()
