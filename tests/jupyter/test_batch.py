"""A notebook that a batch client runs (nbclient, as papermill and nbconvert do) holds all output, in its last state."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.slow


SETUP = """
import os, time
import nbactors as ray
from tqdm.auto import tqdm
ray.init(num_cpus=4);
%load_ext nbactors
@ray.remote
class Speaker:
    def say(self, word, path=""):
        while path and not os.path.exists(path):
            time.sleep(0.01)
        print(word)
        return word
    def fail(self, path):
        while not os.path.exists(path):
            time.sleep(0.01)
        raise ValueError("no such data")
    def bar(self, path):
        for step in tqdm(range(4), desc="steps"):
            while step == 2 and not os.path.exists(path):
                time.sleep(0.01)
s = Speaker.options(max_concurrency=4).remote()
ray.get(s.say.remote("ready"))
"""


def executed(*sources: str) -> list[list[Any]]:
    """Run cells after `SETUP` as a batch does; return the outputs of each."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in (SETUP, *sources)])
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    nbformat.validate(notebook)
    return [cell.outputs for cell in notebook.cells[1:]]


def text(outputs: list[Any]) -> str:
    """Return all that outputs show as text."""
    return "".join(
        output.get("text") or output.get("evalue") or output.get("data", {}).get("text/plain", "") for output in outputs
    )


def test_output_of_an_earlier_cell_shows_under_the_running_one(tmp_path: Any) -> None:
    path = str(tmp_path / "go")
    first, second = executed(f"r = s.say.remote('late', {path!r})", f"open({path!r}, 'w').close(); ray.get(r)")
    assert "late" not in text(first)
    assert "from In[2]:\n" in text(second)
    assert text(second).index("from In[2]:") < re.search(r"\(Speaker pid=\d+\)\S* late", text(second)).start()


def test_output_between_two_cells_shows_under_the_next(tmp_path: Any) -> None:
    path = str(tmp_path / "go")
    first, second = executed(f"r = s.say.remote('late', {path!r}); open({path!r}, 'w').close()", "ray.get(r)", "1")[:2]
    assert text(first).count("late") + text(second).count("late)") in (0, 1)
    assert "late" in text(first) + text(second)


def test_a_background_cell_is_awaited_at_the_end_of_its_cell() -> None:
    (outputs,) = executed("%%remote\nimport time\nprint('begun')\ntime.sleep(0.5)\n6 * 7")
    assert ": done" in text(outputs)
    assert "begun" in text(outputs)
    assert "42" in text(outputs)
    assert "widget" not in str([list(output.get("data", {})) for output in outputs])


def test_a_failed_background_cell_leaves_its_traceback() -> None:
    (outputs,) = executed("%%remote\n1 / 0")
    assert ": failed" in text(outputs)
    assert [output.ename for output in outputs if output.output_type == "error"]
    assert "division by zero" in text(outputs)


def test_the_wait_has_an_end_and_says_so(tmp_path: Any) -> None:
    path = str(tmp_path / "go")
    wait = f"while not os.path.exists({path!r}):\n    time.sleep(0.01)"
    first, second = executed(
        f"%%remote --wait 0.2 --name fit -o r\nimport os, time\n{wait}\nprint('fitted')",
        f"open({path!r}, 'w').close(); ray.get(r); time.sleep(1)",
    )
    assert "✓ fit: done" in text(first), "the line is replaced where it is"
    assert "fitted" not in text(first)
    assert "fitted" in text(second)


def test_a_line_that_is_not_done_says_where_its_output_will_be(tmp_path: Any) -> None:
    (first,) = executed("%%remote --wait 0.2 --name fit\nimport time\ntime.sleep(60)")
    assert "fit: running" in text(first) or "fit: queued" in text(first)
    assert "shows under later cells" in text(first)


def test_a_bar_is_stored_in_its_last_state(tmp_path: Any) -> None:
    path = str(tmp_path / "go")
    first, second = executed(f"r = s.bar.remote({path!r}); time.sleep(1)", f"open({path!r}, 'w').close(); ray.get(r)")
    assert "100%" in text(first) + text(second)
    assert "100%" in text(first), "the bar is replaced where it is"


def test_the_card_of_a_new_actor_is_stored_after_its_start() -> None:
    (outputs, _) = executed("%%actor made\nclass Made: pass", "del made")
    assert ": alive" in text(outputs)


def test_what_comes_after_the_last_cell_is_written_to_the_terminal(tmp_path: Any, capfd: Any) -> None:
    path = str(tmp_path / "go")
    executed(
        f"r = s.say.remote('late', {path!r})",
        f"import atexit; atexit.register(lambda: (open({path!r}, 'w').close(), ray.get(r)));",
    )
    printed = capfd.readouterr().err
    assert "this came after the last cell" in printed
    assert any(line.startswith("In[2]") and line.endswith("late") for line in printed.splitlines())


def test_an_error_that_no_code_reads_is_stored() -> None:
    dropped, held, last = executed(
        "ref = s.fail.remote('/dev/null'); ray.wait([ref]); del ref",
        "kept = s.fail.remote('/dev/null'); ray.wait([kept]);",
        "try: ray.get(kept)\nexcept ValueError: pass",
    )
    assert text(dropped).startswith("✗ Speaker.fail failed, and no code can read the error:\nray::Speaker.fail() (pid=")
    assert "ValueError: no such data" in text(dropped)
    assert "not read" not in text(held) + text(last), "the last cell has read the error"


def test_an_error_that_is_not_read_at_the_end_is_written_to_the_terminal(capfd: Any) -> None:
    executed("kept = s.fail.remote('/dev/null'); ray.wait([kept]);")
    assert "In[2] ✗ 1 failed, not read: 1 × Speaker.fail: ValueError: no such data" in capfd.readouterr().err
