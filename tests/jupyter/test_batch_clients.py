"""What a notebook holds after a run by nbclient, papermill or nbconvert is what a live front end shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from live_kernel import LiveKernel
from nbclient import NotebookClient
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.slow

CELLS = [
    "import nbactors as ray\nray.init(num_cpus=2);",
    """%%actor speaker
class Speaker:
    def say(self, word):
        print(word)
        return word
    def steps(self):
        from tqdm.auto import tqdm
        for _ in tqdm(range(4), desc="steps"):
            pass
    def figure(self):
        from IPython.display import HTML, display
        display(HTML("<b>a figure</b>"))
    def fail(self):
        raise ValueError("no such data")""",
    "ray.get(speaker.say.remote('a word'))",
    "ray.get(speaker.steps.remote())",
    "ray.get(speaker.figure.remote())",
    "%%remote -o answer\nprint('begun')\n6 * 7",
    "%%on speaker\nprint(type(self).__name__)",
    "ref = speaker.fail.remote()\nray.wait([ref])\ndel ref",
    "try:\n    ray.get(speaker.fail.remote())\nexcept ValueError as error:\n    print(type(error).__name__)",
    "%xmode Minimal\nray.get(speaker.fail.remote())",
]
LAST_LINES = {3: "100%", 5: "42", 7: "no such data"}
"""By cell, what a live front end may show after the end of the cell."""


def run_by_nbclient(notebook: Any, directory: Path) -> Any:
    return NotebookClient(notebook, timeout=120, allow_errors=True).execute()


def run_by_papermill(notebook: Any, directory: Path) -> Any:
    nbformat.write(notebook, directory / "in.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match="no such data"):
        papermill.execute_notebook(
            directory / "in.ipynb", directory / "out.ipynb", progress_bar=False, kernel_name="python3"
        )
    return nbformat.read(directory / "out.ipynb", as_version=4)


def run_by_nbconvert(notebook: Any, directory: Path) -> Any:
    ran, _ = ExecutePreprocessor(timeout=120, allow_errors=True, kernel_name="python3").preprocess(notebook)
    return ran


def plain(text: str) -> list[str]:
    """Return the lines of a text without colours and figures, in an order of their own."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    # A bar ends with its times and its pace. The line of a short task may lack the pid.
    text = re.sub(r"\[[^\]]*it/s\]|[0-9a-f]{32}| +pid \d+$", "", text, flags=re.MULTILINE)
    lines = (re.sub(r"\d+(\.\d+)?", "N", line).strip() for line in text.splitlines())
    return sorted(line for line in lines if line)


def stored(outputs: list[Any]) -> str:
    """Return what the outputs of a cell show as text."""
    return "\n".join(
        output.get("text") or "\n".join(output.get("traceback", ())) or output.get("data", {}).get("text/plain", "")
        for output in outputs
    )


@pytest.fixture(scope="module")
def live() -> list[list[str]]:
    """What a live front end shows under each cell."""
    kernel = LiveKernel()
    try:
        cells = []
        for number, source in enumerate(CELLS):
            cells.append(cell := kernel.start(source))
            kernel.until(lambda cell=cell: kernel.of(cell, "idle"))
            last = LAST_LINES.get(number, "")
            kernel.until(lambda cell=cell, last=last: last in kernel.text(cell))
        errors = ["\n".join(error["traceback"]) for error in kernel.of(cells[-1], "error")]
        assert errors, "the last cell fails"
        return [plain(kernel.text(cell)) for cell in cells[:-1]] + [plain(kernel.text(cells[-1]) + errors[0])]
    finally:
        kernel.stop()


@pytest.mark.parametrize("run", [run_by_nbclient, run_by_papermill, run_by_nbconvert])
def test_a_batch_run_holds_what_a_live_front_end_shows(
    run: Callable[[Any, Path], Any], live: list[list[str]], tmp_path: Path
) -> None:
    notebook = new_notebook(cells=[new_code_cell(source) for source in ("%load_ext nbactors", *CELLS)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    notebook = run(notebook, tmp_path)
    nbformat.validate(notebook)
    found = [plain(stored(cell.outputs)) for cell in notebook.cells if cell.source in CELLS]
    assert found == live
