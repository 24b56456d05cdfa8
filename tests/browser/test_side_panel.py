"""The side panel of JupyterLab: all actors of the node, also while kernels are busy, hang or die."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_page import SESSION, NotebookPage
from playwright.sync_api import Browser, Locator, Page, expect

from nbactors.testing import eventually
from nbactors.util import calls, state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"

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


@pytest.fixture(autouse=True)
def _detached_actors_end() -> Iterator[None]:
    yield
    for row in state.list_actors(filters=[("is_detached", "=", True), ("state", "=", "ALIVE")], detail=True):
        calls.kill_actor(row["actor_id"])


def side(page: Page) -> Locator:
    """Open the side panel, and return it."""
    page.evaluate("() => window.jupyterapp.commands.execute('nbactors:show')")
    panel = page.locator("#nbactors-actors")
    panel.wait_for(timeout=SHOWN_MS)
    return panel


def rows_of(panel: Locator, name: str) -> Locator:
    """Return the rows of the actors with a name."""
    header = panel.page.get_by_role("rowheader").filter(has_text=re.compile(rf"^\s*{name}\b"))
    return panel.get_by_role("row").filter(has=header)


def row_of(panel: Locator, name: str, word: str) -> Locator:
    """Return the row of an actor, once it shows a state."""
    row = rows_of(panel, name).filter(has_text=word)
    expect(row).to_be_visible(timeout=SHOWN_MS)
    return row


def is_running(row: dict[str, Any]) -> bool:
    return bool(row["state"] == "RUNNING")


def groups(panel: Locator) -> list[str]:
    return panel.locator(".nba-class b").all_inner_texts()


def test_the_panel_shows_actors_by_notebook_and_interrupts_while_the_kernel_hangs(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    opened = notebook(SESSION, ACTORS, f"ref = sim.run.remote({str(stopped)!r})", HANGS)
    for number in range(3):
        opened.run(number)
    opened.run(3, wait=False)
    panel = side(opened.page)
    row_of(panel, "sim", "run").click()
    assert groups(panel) == ["Detached", opened.path.name]
    opened.keep_picture("selected")
    began = time.monotonic()
    panel.get_by_role("button", name="Interrupt sim").click()
    eventually(stopped.exists, timeout_s=CLICK_S)
    print(f"from the click to its effect {time.monotonic() - began:.3f} s")
    for theme, width in (("JupyterLab Light", 1280), ("JupyterLab Dark", 900)):
        opened.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        opened.page.set_viewport_size({"width": width, "height": 800})
        expect(opened.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
        opened.keep_picture(f"{width}")
    expect(panel).to_contain_text("2 actors, 0 busy", timeout=SHOWN_MS)
    assert groups(panel) == ["Detached", opened.path.name]


def test_a_click_on_an_actor_leads_to_the_cell_that_called_it(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    filler = ["\n".join("pass" for _ in range(30))] * 3
    opened = notebook(SESSION, ACTORS, f"ref = sim.run.remote({str(tmp_path / 'stopped')!r})", *filler)
    for number in range(6):
        opened.run(number)
    active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    assert opened.page.evaluate(active) != 2
    row_of(side(opened.page), "sim", "run").click()
    eventually(lambda: opened.page.evaluate(active) == 2)
    expect(opened.page.locator(".jp-Notebook .jp-Cell").nth(2)).to_be_in_viewport()


def test_when_a_kernel_dies_its_actors_vanish_and_a_detached_one_can_be_attached_to_another_notebook(
    notebook: Callable[..., NotebookPage],
) -> None:
    opened = notebook(SESSION, ACTORS)
    for number in range(2):
        opened.run(number)
    panel = side(opened.page)
    row_of(panel, "sim", "idle")
    opened.end_kernel()
    expect(rows_of(panel, "sim")).to_have_count(0, timeout=SHOWN_MS)
    row_of(panel, "store", "idle")
    other = notebook(SESSION)
    other.run(0)
    panel = side(other.page)
    row_of(panel, "store", "idle").click()
    panel.get_by_role("button", name="Attach store").click()
    other.await_text(1, "store")
    assert "%attach store" in other.page.locator(".jp-Notebook .jp-Cell").nth(1).inner_text()


def test_two_notebooks_show_after_a_reload_and_a_kill_asks_in_its_place(
    notebook: Callable[..., NotebookPage], browser: Browser
) -> None:
    one = notebook(SESSION, ACTORS)
    for number in range(2):
        one.run(number)
    page = browser.new_context(viewport={"width": 1000, "height": 800}).new_page()
    two = NotebookPage(page, one.server, "second.ipynb", [SESSION, "ray.remote(dict).options(name='table').remote()"])
    for number in range(2):
        two.run(number)
    panel = side(two.page)
    row_of(panel, "table", "idle")
    assert groups(panel) == ["Detached", one.path.name, "second.ipynb"]
    two.reload()
    panel = side(two.page)
    row_of(panel, "sim", "idle").click()
    panel.get_by_role("button", name="End sim").click()
    question = panel.get_by_role("alertdialog")
    assert "Its state is lost" in question.inner_text()
    question.get_by_role("button", name="End it").click()
    expect(rows_of(panel, "sim").filter(has_text="idle")).to_have_count(0, timeout=SHOWN_MS)
    page.context.close()


def test_the_status_bar_counts_and_opens_the_panel(notebook: Callable[..., NotebookPage]) -> None:
    opened = notebook(SESSION, ACTORS)
    for number in range(2):
        opened.run(number)
    item = opened.page.locator(".nba-status-button")
    expect(item).to_contain_text("2 actors, 0 busy", timeout=SHOWN_MS)
    item.click()
    expect(opened.page.locator("#nbactors-actors")).to_be_visible()
    box, bar = item.bounding_box(), opened.page.locator("#jp-main-statusbar").bounding_box()
    assert box is not None
    assert bar is not None
    assert box["height"] <= bar["height"]


def test_axe_finds_no_serious_fault(notebook: Callable[..., NotebookPage]) -> None:
    opened = notebook(SESSION, ACTORS)
    for number in range(2):
        opened.run(number)
    panel = side(opened.page)
    row_of(panel, "sim", "idle").click()
    opened.page.add_script_tag(path=AXE)
    found = opened.page.evaluate(
        "() => axe.run('#nbactors-actors').then((result) => result.violations"
        ".filter((each) => ['serious', 'critical'].includes(each.impact)).map((each) => each.id + ': ' + each.help))"
    )
    assert found == []


def test_the_menu_of_a_cell_cancels_the_calls_that_it_has_made(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    call = "other = Simulation.remote()\nref2 = other.run.remote({!r})"
    opened = notebook(SESSION, ACTORS, f"ref = sim.run.remote({str(first)!r})", call.format(str(second)))
    for number in range(4):
        opened.run(number)
    row_of(side(opened.page), "sim", "run")
    eventually(lambda: len([row for row in state.list_tasks(detail=True) if row["cell_id"] and is_running(row)]) == 2)
    opened.page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".jp-InputArea").click(button="right")
    opened.page.get_by_role("menuitem", name="Cancel the Calls of This Cell").click()
    eventually(first.exists, timeout_s=CLICK_S)
    assert not second.exists()


def test_a_cell_in_the_background_has_its_bar_and_is_cancelled(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    cell = f"""%%remote
import pathlib, time
from tqdm import tqdm
try:
    with tqdm(total=8, desc="images") as bar:
        bar.update(2)
        bar.refresh()
        while True:
            time.sleep(0.01)
finally:
    pathlib.Path({str(stopped)!r}).touch()"""
    opened = notebook(SESSION, cell, HANGS)
    opened.run(0)
    opened.run(1)
    opened.await_text(1, "2/8")  # the kernel sends the call to its worker, which it must have done before it hangs
    opened.run(2, wait=False)
    panel = side(opened.page)
    bar = panel.get_by_role("progressbar", name="images")
    expect(bar).to_have_attribute("aria-valuenow", "25", timeout=SHOWN_MS)
    opened.keep_picture("bar")
    panel.get_by_role("button", name=re.compile("^Cancel")).click()
    eventually(stopped.exists, timeout_s=CLICK_S)
    expect(bar).to_have_count(0, timeout=SHOWN_MS)


def test_the_launcher_opens_a_copy_of_the_first_tutorial(notebook: Callable[..., NotebookPage]) -> None:
    opened = notebook("1")
    opened.page.evaluate("() => window.jupyterapp.commands.execute('launcher:create', { cwd: '' })")
    opened.page.locator(".jp-LauncherCard", has_text="Actors Tutorial").click()
    expect(opened.page.locator(".jp-Notebook h1").first).to_be_visible(timeout=SHOWN_MS)
    assert (opened.path.parent / "nbactors tutorial.ipynb").exists()


def test_notebook_7_has_the_side_panel(notebook: Callable[..., NotebookPage]) -> None:
    opened = notebook(SESSION, ACTORS, app="notebook")
    for number in range(2):
        opened.run(number)
    row_of(side(opened.page), "sim", "idle")
    opened.keep_picture("notebook")
    panel = opened.page.locator("#nbactors-actors")
    # The page tells the server the notebook's path a moment after the kernel has started.
    eventually(lambda: groups(panel) == ["Detached", opened.path.name], what="the groups")
