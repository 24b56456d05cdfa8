"""The picture of `%%trace`: live, zoomed, chosen by the keyboard, saved, and after a reload."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from notebook_page import SESSION, NotebookPage
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CLASSES = """import pathlib
from nbactors.testing import eventually
@ray.remote
def leaf(mark):
    eventually(pathlib.Path(mark).exists, timeout_s=100)
@ray.remote
class Worker:
    def work(self, mark):
        ray.get(leaf.remote(mark))
    def fail(self):
        raise ValueError("no data")"""


def test_a_trace_is_live_while_its_cell_runs_and_has_the_last_state_after_a_reload(
    notebook: Callable[..., NotebookPage], tmp_path: Path
) -> None:
    mark = tmp_path / "go"
    traced = f"""%%trace
worker = Worker.options(name="bob").remote()
ref = worker.work.remote({str(mark)!r})
failing = worker.fail.remote()
ray.get(ref)
"the end" """
    opened = notebook(SESSION, CLASSES, traced)
    opened.run(0)
    opened.run(1)
    opened.run(2, wait=False)
    opened.await_text(2, "4 calls · 3 not ended")
    output = opened.output(2)
    graph = output.get_by_role("application")
    graph.focus()
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("ArrowDown")
    opened.await_text(2, r"Worker.work called by In\[3\] · queued .* · runs for ")
    mark.touch()
    opened.await_text(2, r"4 calls in .* · 1 failed(.|\n)*'the end'")
    opened.page.keyboard.press("+")
    show_all = output.get_by_role("button", name="Show all")
    show_all.click()
    expect(show_all).to_have_count(0)
    box = output.locator(".nba-tracks svg").bounding_box()
    assert box is not None
    middle = box["y"] + 30
    opened.page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    opened.page.mouse.up()
    expect(show_all).to_have_count(1)
    graph.focus()
    opened.page.keyboard.press("Escape")
    expect(show_all).to_have_count(0)
    output.get_by_role("button", name="Save timeline").click()
    shown = opened.await_text(2, r"Saved 4 calls in .*trace-3\.json")
    saved = re.search(r"Saved 4 calls in (.*)", shown)
    assert saved is not None
    slices = [event["name"] for event in json.loads(Path(saved[1]).read_text()) if event.get("cat") == "task"]
    assert sorted(slices) == ["Worker.__init__", "Worker.fail", "Worker.work", "leaf"]
    assert Path(saved[1]).parent == opened.path.parent
    assert opened.overflow(2) == 0
    opened.save()
    opened.reload()
    opened.await_text(2, r"Trace of In\[3\]\s+4 calls in .* · 1 failed(.|\n)*Worker.work")
