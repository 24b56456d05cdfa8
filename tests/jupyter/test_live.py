"""Live displays in a real kernel: what a page that is loaded again, and a saved notebook, have of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_kernel import WIDGET, LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
from tqdm.auto import tqdm

@ray.remote
def pausing(path):
    for step in tqdm(range(4), desc="steps"):
        if step == 2:
            until(path)
        time.sleep(0.2)
"""


def test_a_widget_that_has_ended_keeps_its_last_state_for_a_page_that_is_loaded_again(kernel: LiveKernel) -> None:
    cell = kernel.run("%%remote --name mine\nfor _ in tqdm(range(3), desc='steps'):\n    pass")
    kernel.until(lambda: "mine: done" in kernel.text(cell) and "steps: 100%" in kernel.text(cell))
    line = next(
        shown["data"][WIDGET]["model_id"] for shown in kernel.of(cell, "display_data") if WIDGET in shown["data"]
    )
    kernel.reload()
    states = kernel.widgets()
    assert states[line]["state"]["word"] == "done"
    assert states[line]["state"]["button"] == ""
    assert "3/3" in str([state.get("state") for state in states.values()])


def test_the_static_form_of_a_running_cell_is_refreshed(kernel: LiveKernel, tmp_path: Path) -> None:
    path = tmp_path / "go"
    cell = kernel.run(f"%%remote\nuntil({str(path)!r})")
    kernel.until(lambda: kernel.of(cell, "update_display_data"))
    refreshed = kernel.last(cell)
    assert ": running  since " in refreshed["text/plain"]
    assert "running" in refreshed["text/html"]
    assert refreshed[WIDGET] == kernel.of(cell, "display_data")[0]["data"][WIDGET]
    path.touch()


def test_the_static_form_of_a_bar_is_refreshed_when_the_bar_pauses(kernel: LiveKernel, tmp_path: Path) -> None:
    path = tmp_path / "go"
    cell = kernel.run(f"ref = pausing.remote({str(path)!r})")
    kernel.until(lambda: "2/4" in kernel.text(cell))
    assert WIDGET in kernel.last(cell)
    assert "2/4" in kernel.last(cell)["text/html"]
    path.touch()
