"""References, generators and bars in a real kernel: lines with a state and a button."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from live_kernel import WIDGET, LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
from tqdm.auto import tqdm

@ray.remote
class Worker:
    def wait(self, path=None):
        if path:
            until(path)
        else:
            time.sleep(60)
        return b"x" * 5000
    def fail(self, path):
        until(path)
        raise ValueError("no such file")
    def items(self, path):
        yield 1
        yield 2
        until(path)
    def breaks(self, path):
        yield 1
        until(path)
        raise ValueError("no such item")
    def bars(self):
        for epoch in tqdm(range(2), desc="epochs"):
            for batch in tqdm(range(2), desc="batches"):
                time.sleep(60)
worker = Worker.options(num_cpus=0).remote()

@ray.remote
def hold(path):
    until(path)
"""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file for which calls wait."""
    return tmp_path / "go"


def is_static(kernel: LiveKernel, cell: str) -> bool:
    """Whether the line has ended, so that a static form has replaced it."""
    updates = kernel.of(cell, "update_display_data")
    return bool(updates) and WIDGET not in updates[-1]["data"]


def look(kernel: LiveKernel, cell: str) -> None:
    """Have the page show the line of a cell."""
    kernel.until(lambda: kernel.panels(cell))
    kernel.tell(kernel.panels(cell)[-1], {"kind": "look", "visible": True})


def test_a_shown_reference_is_live_until_its_call_has_ended(kernel: LiveKernel, gate: Path) -> None:
    cell = kernel.run(f"ref = worker.wait.remote({str(gate)!r})\nref")
    (shown,) = kernel.of(cell, "display_data")
    assert WIDGET in shown["data"]
    assert "): ◌ Worker.wait: submitted  since " in shown["data"]["text/plain"]
    gate.touch()
    kernel.until(lambda: is_static(kernel, cell))
    assert "✓ Worker.wait: done" in kernel.last(cell)["text/plain"]
    assert "4.9 KiB" in kernel.last(cell)["text/html"]


def test_a_page_that_looks_is_told_that_the_call_runs(kernel: LiveKernel, gate: Path) -> None:
    cell = kernel.run(f"ref = worker.wait.remote({str(gate)!r})\nref")
    look(kernel, cell)
    kernel.until(lambda: "'word': 'running'" in str(kernel.messages))
    assert not is_static(kernel, cell)
    gate.touch()
    kernel.until(lambda: is_static(kernel, cell))


def test_the_line_of_a_task_tells_what_it_waits_for(kernel: LiveKernel, gate: Path) -> None:
    kernel.run(f"first = hold.options(num_cpus=4).remote({str(gate)!r})")
    cell = kernel.run(f"second = hold.options(num_cpus=3).remote({str(gate)!r})\nsecond")
    look(kernel, cell)
    kernel.until(lambda: "'word': 'waits for CPU: 3'" in str(kernel.messages))
    gate.touch()
    kernel.until(lambda: is_static(kernel, cell))
    assert "✓ hold: done" in kernel.last(cell)["text/plain"]


def test_a_click_on_a_reference_interrupts_the_method(kernel: LiveKernel) -> None:
    cell = kernel.run("ref = worker.wait.remote()\nref")
    look(kernel, cell)
    kernel.until(lambda: "'word': 'running'" in str(kernel.messages))
    kernel.press(cell, what="cancel_line")
    kernel.until(lambda: is_static(kernel, cell))
    assert "⊘ Worker.wait: cancelled" in kernel.last(cell)["text/plain"]


def test_a_line_of_a_failed_call_does_not_count_as_reading_its_error(kernel: LiveKernel, gate: Path) -> None:
    cell = kernel.run(f"ref = worker.fail.remote({str(gate)!r})\nref")
    gate.touch()
    kernel.until(lambda: is_static(kernel, cell))
    assert "✗ Worker.fail: failed" in kernel.last(cell)["text/plain"]
    assert kernel.last(cell)["text/plain"].endswith("ValueError: no such file")
    kernel.until(lambda: "1 failed, not read" in kernel.text(cell))


def test_a_line_does_not_keep_its_reference_alive(kernel: LiveKernel, gate: Path) -> None:
    cell = kernel.run(f"ref = worker.wait.remote({str(gate)!r})\ndisplay(ref)")
    kernel.run("import weakref, gc\nweak = weakref.ref(ref)\ndel ref\ngc.collect()\nassert weak() is None")
    kernel.until(lambda: is_static(kernel, cell))
    assert "no reference is left" in kernel.last(cell)["text/plain"]
    gate.touch()


def test_a_generator_tells_how_many_values_are_there_to_read(kernel: LiveKernel, gate: Path) -> None:
    cell = kernel.run(f"gen = worker.items.remote({str(gate)!r})\ngen")
    look(kernel, cell)
    kernel.until(lambda: "'note': '2 to read'" in str(kernel.messages))
    gate.touch()
    kernel.until(lambda: is_static(kernel, cell))
    assert "✓ Worker.items: done" in kernel.last(cell)["text/plain"]
    assert "2 to read" in kernel.last(cell)["text/plain"]


def test_a_generator_that_raises_tells_its_error(kernel: LiveKernel, gate: Path) -> None:
    cell = kernel.run(f"gen = worker.breaks.remote({str(gate)!r})\ngen")
    gate.touch()
    kernel.until(lambda: is_static(kernel, cell))
    assert "✗ Worker.breaks: failed" in kernel.last(cell)["text/plain"]
    assert kernel.last(cell)["text/plain"].endswith("ValueError: no such item")


def test_a_ready_reference_is_a_plain_result(kernel: LiveKernel) -> None:
    cell = kernel.run("ray.put(1)")
    assert ": ready" in kernel.of(cell, "execute_result")[0]["data"]["text/plain"]


def test_the_bars_of_a_call_have_one_button_which_cancels_the_call(kernel: LiveKernel) -> None:
    cell = kernel.run("ref = worker.bars.remote()")
    kernel.until(lambda: kernel.panels(cell))
    state: dict[str, Any] = {}

    def has_both() -> bool:
        state.update(kernel.widgets()[kernel.panels(cell)[0]]["state"])
        return len(state["order"]) == 2

    kernel.until(has_both)
    first, second = state["order"]
    assert [state["rows"][row]["button"] for row in (first, second)] == [True, False]
    kernel.press(cell, what="cancel_bar", row=first)
    kernel.until(lambda: is_static(kernel, cell))
    kernel.run("try:\n    ray.get(ref)\nexcept ray.exceptions.TaskCancelledError:\n    print('cancelled')")
    kernel.until(lambda: "cancelled" in str(kernel.messages))
