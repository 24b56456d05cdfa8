"""The tutorial that tells its reader to restart the kernel, with a kernel that is restarted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_core.utils import ensure_event_loop
from restarting_client import RESTART, RestartingClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03-restart.ipynb"


def result(cell: Any) -> str:
    """Return what a cell shows, without what differs from run to run."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return re.sub(r"\b[0-9a-f]{32}\b", "ID", "".join(texts))


@pytest.fixture(scope="module", autouse=True)
def _loop() -> Iterator[None]:
    """The event loop that jupyter_client makes for its blocking calls, and keeps."""
    loop = ensure_event_loop()
    yield
    loop.close()


@pytest.mark.slow
def test_state_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NBACTORS_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "03-restart.ipynb"))
    stored = nbformat.read(NOTEBOOK, as_version=4)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    pids = len(notebook.cells)
    at = next(index for index, cell in enumerate(notebook.cells) if RESTART in cell.metadata.get("tags", []))
    who = nbformat.v4.new_code_cell(
        "import os; print(os.getpid(), ray.get(library.__ray_call__.remote(lambda self: os.getpid())))"
    )
    notebook.cells.insert(at + 3, nbformat.from_dict(who))
    notebook.cells.insert(at, nbformat.from_dict(who))
    RestartingClient(notebook, kernel_name="python3", resources={"metadata": {"path": os.getcwd()}}).execute()
    asked = [cell for cell in notebook.cells if cell.source == who.source]
    (kernel, actor), (restarted, found) = ([int(word) for word in result(cell).split()] for cell in asked)
    assert kernel != restarted
    assert actor == found
    executed = [cell for cell in notebook.cells if cell.source != who.source]
    assert len(executed) == pids
    for cell, expected in zip(executed, stored.cells, strict=True):
        if cell.cell_type == "code" and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            assert result(cell) == result(expected), cell.source
