"""Live panels in JupyterLab and Notebook 7: buttons while a cell is busy, reload, reopening, restart, and looks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from notebook_page import PICTURES, SESSION, NotebookPage
from playwright.sync_api import expect

from nbactors.testing import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"

CLICK_S = 2.0
"""Seconds from a click to its effect on a busy machine. On a quiet one it takes 0.1 s."""

# The calls of these actors are to run until they are cancelled, so their loops sleep.
KINDS = {
    "synchronous": ("", "def run(self, mark):", "time.sleep(0.01)"),
    "threaded": ("(max_concurrency=3)", "def run(self, mark):", "time.sleep(0.01)"),
    "asyncio": ("", "async def run(self, mark):", "await asyncio.sleep(0.01)"),
}


def actor(kind: str = "synchronous", options: str = "") -> str:
    """Return code for an actor whose call runs until it is cancelled, and then writes a file."""
    decorator, head, pause = KINDS[kind]
    return f"""import asyncio, pathlib, time
@ray.remote{decorator}
class Simulation:
    {head}
        try:
            print("it runs")
            while True:
                {pause}
        finally:
            pathlib.Path(mark).touch()
    def fail(self):
        raise ValueError("no data file")
sim = Simulation.options(name="sim"{options}).remote()"""


def busy(mark: Path) -> str:
    """Return code that keeps the kernel's main thread until a file exists."""
    return f"import pathlib, time\nwhile not pathlib.Path({str(mark)!r}).exists():\n    time.sleep(0.01)"


@pytest.mark.parametrize("app", ["lab", "notebook"])
@pytest.mark.parametrize("kind", KINDS)
def test_cancel_clicked_while_a_cell_is_busy_stops_the_call(
    notebook: Callable[..., NotebookPage], tmp_path: Path, kind: str, app: str
) -> None:
    if app == "notebook" and kind != "synchronous":
        pytest.skip("what differs in Notebook 7 is the page, not the actor")
    stopped, go_on = tmp_path / "stopped", tmp_path / "go on"
    opened = notebook(SESSION, actor(kind), f"ref = sim.run.remote({str(stopped)!r})\nsim", busy(go_on), app=app)
    for number in range(3):
        opened.run(number)
    opened.await_text(2, "run.mark=")
    opened.run(3, wait=False)
    button = opened.output(2).get_by_role("button", name="Cancel Simulation.run")
    eventually(opened.is_busy)
    began = time.monotonic()
    button.click()
    eventually(stopped.exists, timeout_s=CLICK_S)
    print(f"{kind} in {app}: from the click to its effect {time.monotonic() - began:.3f} s")
    opened.await_text(2, "idle")
    go_on.touch()
    opened.await_prompt(3)


def test_after_a_reload_the_panel_is_live_again_even_while_the_cell_is_busy(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    stopped, go_on = tmp_path / "stopped", tmp_path / "go on"
    opened = notebook(SESSION, actor(), f"ref = sim.run.remote({str(stopped)!r})\nsim", busy(go_on))
    for number in range(3):
        opened.run(number)
    opened.await_text(2, "run.mark=")
    opened.save()
    opened.reload()
    opened.await_text(2, "run.mark=")
    opened.run(3, wait=False)
    opened.output(2).get_by_role("button", name="Interrupt").click()
    eventually(stopped.exists, timeout_s=CLICK_S)
    go_on.touch()
    opened.await_prompt(3)


def test_a_notebook_that_is_opened_again_shows_the_last_state_of_its_panels(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    opened = notebook(SESSION, actor(), f"ref = sim.run.remote({str(tmp_path / 'stopped')!r})\nsim", "ray.panel()")
    for number in range(4):
        opened.run(number)
    opened.await_text(2, "run.mark=")
    opened.look_at(3)
    opened.await_text(3, "1 busy")
    opened.save()
    eventually(lambda: "widgets" in opened.saved().metadata)
    opened.end_kernel()
    opened.reload()
    shown = opened.await_text(2, "its kernel does not run any more")
    assert "run(mark=" in shown
    opened.await_text(3, "sim(.|\n)*its kernel does not run any more")
    assert opened.output(2).get_by_role("button", name="Interrupt").is_disabled()
    # Readers without widgets have the static form.
    html = [output.data["text/html"] for output in opened.saved().cells[2].outputs if "data" in output]
    assert "Actor Simulation" in html[0]


def test_after_a_restart_the_old_panel_is_marked_and_a_new_one_of_the_detached_actor_is_live(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    opened = notebook(
        SESSION,
        actor(options=", lifetime='detached'"),
        f"ref = sim.run.remote({str(stopped)!r})\nsim",
        "sim = ray.get_actor('sim')\nsim",
    )
    for number in range(3):
        opened.run(number)
    opened.await_text(2, "run.mark=")
    opened.restart()
    opened.await_text(2, "its kernel does not run any more")
    opened.run(0)
    opened.run(3)
    opened.look_at(3)
    opened.await_text(3, r"sim(.|\n)*detached(.|\n)*\d+ % CPU")
    opened.output(3).get_by_role("button", name="Kill").click()
    question = opened.output(3).get_by_role("alertdialog")
    assert question.get_by_role("button", name="End it").is_disabled()
    question.get_by_role("textbox").fill("sim")
    question.get_by_role("button", name="End it").click()
    opened.await_text(3, "it was killed")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [640, 1400])
def test_panels_fit_their_cell_and_have_no_serious_fault_of_accessibility(
    notebook: Callable[..., NotebookPage], tmp_path: Path, theme: str, width: int
) -> None:
    opened = notebook(
        SESSION,
        actor("threaded"),
        f"refs = [sim.run.remote({str(tmp_path / 'stopped')!r}) for _ in range(5)]\n"
        "other = Simulation.remote()\nbad = other.fail.remote()\nray.wait([bad])\nsim",
        "ray.panel()",
    )
    opened.page.set_viewport_size({"width": width, "height": 1100})
    opened.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    opened.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    for number in range(4):
        opened.run(number)
    opened.await_text(2, "3 of 3 busy, 2 queued")
    opened.look_at(3)
    opened.await_text(3, "1 busy")
    opened.look_at(2)
    opened.output(2).get_by_role("button", name="Stack").click()
    opened.await_text(2, "Stack of sim")
    for number in (2, 3):
        assert opened.overflow(number) <= 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    for number in (2, 3):
        picture = PICTURES / f"panel-{number}-{theme.split()[1].lower()}-{width}.png"
        opened.output(number).screenshot(path=picture)
    opened.page.add_script_tag(path=AXE)
    found = opened.page.evaluate("() => axe.run('.nba', {resultTypes: ['violations']})")
    serious = [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not serious, "\n".join(serious)


def test_the_list_of_a_session_is_used_by_keyboard(notebook: Callable[..., NotebookPage], tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    opened = notebook(SESSION, actor(), f"ref = sim.run.remote({str(stopped)!r})", "ray.panel()")
    for number in range(4):
        opened.run(number)
    opened.look_at(3)
    opened.await_text(3, "runs run")
    opened.output(3).get_by_role("grid").focus()
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("s")
    opened.await_text(3, "Stack of sim")
    opened.page.keyboard.press("l")
    opened.await_text(3, "Log of sim(.|\n)*it runs")
    opened.page.keyboard.press("i")
    eventually(stopped.exists, timeout_s=CLICK_S)
    opened.page.keyboard.press("Delete")
    opened.output(3).get_by_role("button", name="End it").click()
    opened.await_text(3, "it was killed")


@pytest.mark.timeout(400)
def test_a_thousand_actors_are_a_heat_map_and_a_list_that_scrolls(notebook: Callable[..., NotebookPage]) -> None:
    many = """@ray.remote(num_cpus=0)
class Parser:
    def parse(self): return 1
parsers = [Parser.remote() for _ in range(1000)]
len(ray.get([parser.parse.remote() for parser in parsers]))"""
    # The time over which the kernel's CPU is measured has to pass: nothing happens in it.
    usage = """import json, os, time
def cpu(): return sum(os.times()[:2])
before, began = cpu(), time.time()
time.sleep(5)
print("kernel", json.dumps((cpu() - before) / (time.time() - began)))"""
    works = """for number in range(0, 1000, 10):
    ray.get([parser.parse.remote() for parser in parsers[number : number + 10]])
    time.sleep(0.1)"""
    opened = notebook(SESSION, many, "ray.panel()", usage, works)
    opened.run(0)
    opened.run(1, wait=False)
    opened.await_prompt(1, timeout_s=300)
    opened.run(2)
    opened.look_at(2)
    opened.await_text(2, "1,000 idle")
    assert opened.output(2).locator(".nba-heat > i").count() == 1000
    opened.run(3)
    share = float(re.search(r"kernel ([\d.]+)", opened.text(3))[1])  # type: ignore[index]
    print(f"the kernel takes {share:.1%} of a core with 1,000 actors")
    assert share < 0.1
    opened.output(2).get_by_role("button", name="Parser").click()
    list_of = opened.output(2).get_by_role("grid")
    list_of.focus()
    opened.page.keyboard.press("End")
    opened.page.wait_for_function("() => document.querySelector('.nba-rows').scrollTop > 20000")
    assert opened.output(2).locator(".nba-row").count() < 100
    frames = opened.page.evaluate(
        """async () => {
            const list = document.querySelector('.nba-rows');
            const times = [];
            let last = performance.now();
            for (let step = 0; step < 60; step++) {
                list.scrollTop = step * 400;
                await new Promise(requestAnimationFrame);
                times.push(performance.now() - last);
                last = performance.now();
            }
            return times.sort((a, b) => a - b);
        }"""
    )
    print(f"frames while scrolling: median {frames[30]:.0f} ms, longest {frames[-1]:.0f} ms")
    print(json.dumps({"kernel_share": share, "frame_ms": frames[30]}))
    assert frames[30] < 100
    opened.run(4, wait=False)
    opened.page.evaluate("() => window.jupyterapp.commands.execute('nbactors:show')")
    panel = opened.page.locator("#nbactors-actors")
    expect(panel).to_contain_text("1000 actors", timeout=20_000)
    # The time over which the server's CPU is measured has to pass: a hundred calls are made in each second of it.
    before, page_before, began = opened.server.cpu_s(), opened.cpu_s(), time.monotonic()
    opened.await_prompt(4)
    took = time.monotonic() - began
    share, of_page = (opened.server.cpu_s() - before) / took, (opened.cpu_s() - page_before) / took
    print(f"server {share:.1%}, page {of_page:.1%} of a core with 1,000 actors and 100 calls a second")
    assert share < 0.2
