"""`%%trace` in a real kernel."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ipython_cells import run_cells
from live_kernel import WIDGET, LiveKernel
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.slow

SETUP = """
@ray.remote
def leaf(seconds):
    time.sleep(seconds)
    return seconds

@ray.remote
class Worker:
    def work(self, seconds):
        return ray.get(leaf.remote(seconds))
"""


def final(kernel: LiveKernel, cell: str) -> str:
    """Return the last static form of the trace under a cell."""
    texts: list[str] = []

    def is_final() -> bool:
        texts[:] = [each["data"]["text/plain"] for each in kernel.of(cell, "update_display_data")]
        return bool(texts) and " in " in texts[-1].splitlines()[0].partition(":")[2]

    kernel.until(is_final)
    return texts[-1]


def state_of(kernel: LiveKernel, cell: str) -> dict[str, Any]:
    """Return the state of the panel under a cell."""
    (shown,) = [each["data"] for each in kernel.of(cell, "display_data") if WIDGET in each["data"]]
    state: dict[str, Any] = kernel.widgets()[shown[WIDGET]["model_id"]]["state"]
    return state


def test_a_traced_cell_has_its_output_value_variables_and_lines_as_without(kernel: LiveKernel) -> None:
    cell = kernel.run("%%trace\nprint('printed')\nvalue = 6 * 7\nvalue")
    assert kernel.of(cell, "stream")[0]["text"] == "printed\n"
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "42"
    after = kernel.run("value, _, Out[max(Out)], In[-2].splitlines()[1]")
    assert kernel.of(after, "execute_result")[0]["data"]["text/plain"] == "(42, 42, 42, \"print('printed')\")"
    failing = kernel.start("%%trace\n\n1 / 0")
    kernel.until(lambda: kernel.of(failing, "idle"))
    (error,) = kernel.of(failing, "error")
    assert error["ename"] == "ZeroDivisionError"
    assert "----> 3 1 / 0" in re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))


def test_a_traced_cell_may_await(kernel: LiveKernel) -> None:
    cell = kernel.run("%%trace\nawait leaf.remote(0.01)")
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "0.01"
    assert "1 call " in final(kernel, cell)


def test_the_trace_goes_on_after_the_cell_until_the_calls_of_callees_have_ended(kernel: LiveKernel) -> None:
    cell = kernel.run("%%trace\nworker = Worker.options(name='bob').remote()\nrefs = [worker.work.remote(0.6)];")
    other = kernel.run("ray.get(leaf.remote(0.05));")
    text = final(kernel, cell)
    assert text.startswith("Trace of In[")
    assert "3 calls in " in text
    assert {line.split()[0] for line in text.splitlines()[2:]} == {"Worker.__init__", "Worker.work", "leaf"}
    spans = {span["name"]: span for span in state_of(kernel, cell)["spans"].values()}
    assert spans["leaf"]["parent"] == spans["Worker.work"]["id"]
    assert spans["Worker.work"]["parent"] == ""
    assert (spans["leaf"]["track"], spans["Worker.work"]["track"]) == ("tasks", "bob")
    assert spans["leaf"]["submitted"] <= spans["leaf"]["started"] <= spans["leaf"]["ended"] - 0.6
    assert all(span["mark"] == "done" for span in spans.values())
    assert not kernel.of(other, "display_data")


def test_the_calls_are_saved_as_trace_events(kernel: LiveKernel, tmp_path: Path) -> None:
    file = tmp_path / "a trace.json"
    kernel.run("ray.get(leaf.remote(0));")
    cell = kernel.run(f"%%trace --save '{file}'\nworker = Worker.remote()\nray.get(worker.work.remote(0.01));")
    assert f"Saved 3 calls in {file}" in final(kernel, cell)
    slices = [event["name"] for event in json.loads(file.read_text()) if event.get("cat") == "task"]
    assert sorted(slices) == ["Worker.__init__", "Worker.work", "leaf"]


def test_a_trace_shows_failed_and_cancelled_calls(kernel: LiveKernel) -> None:
    cell = kernel.run("%%trace\nref = leaf.remote('no number')\nray.wait([ref]);")
    assert "1 call in " in final(kernel, cell)
    assert "1 failed" in final(kernel, cell)
    kernel.run("del ref")


def test_wrong_arguments_show_a_usage_error(kernel: LiveKernel) -> None:
    cell = kernel.start("%%trace --nothing\nprint('ran')")
    kernel.until(lambda: kernel.of(cell, "idle"))
    (shown,) = kernel.of(cell, "stream")
    assert "UsageError: %%trace: unrecognized arguments: --nothing; write %%trace [" in shown["text"]


def test_a_traced_cell_may_start_the_session() -> None:
    kernel = LiveKernel("anywidget")
    try:
        cell = kernel.run("%%trace\nray.init(num_cpus=1)\n" + SETUP + "ray.get(leaf.remote(0.01));")
        assert "1 call in" in final(kernel, cell)
    finally:
        kernel.stop()


def test_a_batch_client_gets_the_trace_of_all_calls() -> None:
    cells = [
        "%load_ext nbactors\nimport time\nimport nbactors as ray\nray.init(num_cpus=2);" + SETUP,
        "%%trace\nrefs = [leaf.remote(0.5) for _ in range(2)];",
    ]
    ran = NotebookClient(new_notebook(cells=[new_code_cell(code) for code in cells]), timeout=60).execute()
    (shown,) = ran.cells[1].outputs
    assert "2 calls in " in shown["data"]["text/plain"]
    assert "<table" in shown["data"]["text/html"]


def test_a_terminal_prints_the_trace_at_the_end_of_the_cell() -> None:
    printed = run_cells(
        "import time\nimport nbactors as ray\nray.init(num_cpus=2);", SETUP, "%%trace\nref = leaf.remote(0.3)"
    )
    assert "1 call in " in str(printed)
