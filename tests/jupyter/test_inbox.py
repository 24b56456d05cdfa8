"""`%inbox` in a real kernel: what came for cells of a page that was loaded again since."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from ipython_cells import run_cells
from live_kernel import WIDGET, LiveKernel

from nbactors.jupyter.cell_output.inbox import LOOK_S

pytestmark = pytest.mark.slow

SETUP = """
from pathlib import Path
from tqdm.auto import tqdm

@ray.remote
def say(path, *words):
    until(path)
    for word in words:
        print(word)
"""

HINT = "output that this page has not shown"


class Gate:
    """A file for which calls wait."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._missed_from = time.monotonic() + LOOK_S + 1

    def open(self) -> None:
        """Let the calls go on now."""
        Path(self.path).touch()

    def open_late(self) -> None:
        """Let the calls go on when a page that has sent a cell since the test's begin is taken to look no more."""
        time.sleep(max(0.0, self._missed_from - time.monotonic()))
        self.open()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "go")


@pytest.fixture(autouse=True)
def _new_page(kernel: LiveKernel) -> None:
    """A page that has missed nothing of the earlier tests: the page before has replayed it."""
    run(kernel, "%inbox")
    kernel.reload()


def run(kernel: LiveKernel, code: str) -> str:
    """Run a cell to its end; it may show an error."""
    cell = kernel.start(code)
    kernel.until(lambda: kernel.of(cell, "idle"))
    return cell


def prompt(kernel: LiveKernel, cell: str) -> int:
    """Return the number of a cell for its user."""
    number: int = kernel.of(cell, "execute_input")[0]["execution_count"]
    return number


def printed(kernel: LiveKernel, cell: str) -> str:
    """Return what the streams of a cell show, without colours."""
    text = "".join(stream["text"] for stream in kernel.of(cell, "stream"))
    return re.sub(r"\x1b\[\d*m", "", text)


def test_what_a_remote_cell_put_out_after_a_reload_is_replayed(kernel: LiveKernel, gate: Gate) -> None:
    lost = kernel.run(f"""%%remote
until({gate.path!r})
print("a line")
for _ in tqdm(range(3), desc="steps"):
    pass
class Bold:
    def _repr_html_(self):
        return '<b>bold</b>'
Bold()""")
    number = prompt(kernel, lost)
    kernel.reload()
    gate.open_late()
    kernel.until(lambda: kernel.of(lost, "display_data") and f"In[{number}]: done" in kernel.text(lost))
    cell = kernel.run("%inbox")
    text = kernel.text(cell)
    assert text.startswith(f"from In[{number}]:\n")
    assert f"✓ In[{number}]: done" in text
    assert ") a line\n" in printed(kernel, cell)
    assert any(shown["data"].get("text/html") == "<b>bold</b>" for shown in kernel.of(cell, "display_data"))
    kernel.until(lambda: "steps: 100%" in kernel.text(cell))


def test_an_error_after_a_reload_is_replayed(kernel: LiveKernel, gate: Gate) -> None:
    lost = kernel.run(f"%%remote\nuntil({gate.path!r})\n1 / 0")
    kernel.reload()
    gate.open_late()
    kernel.until(lambda: kernel.of(lost, "error"))
    cell = run(kernel, "%inbox")
    assert kernel.of(cell, "error") == kernel.of(lost, "error")


def test_output_of_a_cell_that_runs_during_the_reload_is_replayed(kernel: LiveKernel, gate: Gate) -> None:
    lost = kernel.start(f"ray.get(say.remote({gate.path!r}, 'during the cell'))")
    gate.open_late()
    kernel.reload()
    kernel.until(lambda: printed(kernel, lost))
    cell = kernel.run("%inbox")
    assert ") during the cell\n" in printed(kernel, cell)


def test_later_output_shows_under_the_inbox_and_under_its_own_cell(
    kernel: LiveKernel, gate: Gate, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    one = kernel.run(f"ref = say.remote({gate.path!r}, 'one'); also = say.remote({str(second)!r}, 'one again')")
    first_number = prompt(kernel, one)
    two = kernel.run(f"other = say.remote({gate.path!r}, 'two')")
    second_number = prompt(kernel, two)
    gate.open_late()
    kernel.until(lambda: "one" in printed(kernel, one) and "two" in printed(kernel, two))
    kernel.reload()
    cell = kernel.run("%inbox")
    kernel.run(f"Path({str(second)!r}).touch()")
    kernel.until(lambda: "one again" in printed(kernel, cell) and "one again" in printed(kernel, one))
    lines = [line.split(") ")[-1] for line in printed(kernel, cell).splitlines()]
    names = [f"from In[{number}]:" for number in (first_number, second_number)]
    assert lines == [names[0], "one", names[1], "two", names[0], "one again"]


def test_the_line_of_a_running_cell_is_live_again(kernel: LiveKernel, gate: Gate) -> None:
    lost = kernel.run(f"%%remote\nprint('begun')\nuntil({gate.path!r})")
    number = prompt(kernel, lost)
    kernel.until(lambda: "running" in kernel.text(lost))
    kernel.reload()
    cell = kernel.run(f"%inbox {number}")
    kernel.until(lambda: kernel.of(cell, "display_data"))
    shown = kernel.of(cell, "display_data")[0]
    panel = kernel.widgets()[shown["data"][WIDGET]["model_id"]]
    assert panel["state"]["button"] == "Cancel"
    gate.open_late()
    kernel.until(lambda: kernel.of(cell, "update_display_data"))
    assert kernel.of(cell, "update_display_data")[-1]["transient"] == shown["transient"]


def test_a_hint_tells_a_new_page_once_of_what_it_has_not_shown(kernel: LiveKernel, gate: Gate) -> None:
    lost = kernel.run(f"ref = say.remote({gate.path!r}, 'late')")
    same = kernel.run("1")
    kernel.reload()
    early = kernel.run("2")
    gate.open_late()
    kernel.until(lambda: "late" in printed(kernel, lost))
    first, second, inbox, after = [kernel.run(code) for code in ("3", "4", "%inbox", "5")]
    assert printed(kernel, first) == f"nbactors: 1 earlier cell has {HINT}: `%inbox` shows it.\n"
    assert not [cell for cell in (same, early, second, inbox, after) if HINT in printed(kernel, cell)]


def test_what_the_page_has_shown_itself_is_replayed_on_demand(kernel: LiveKernel, gate: Gate) -> None:
    gate.open()
    cell = kernel.run(f"ray.get(say.remote({gate.path!r}, 'seen'))")
    number = prompt(kernel, cell)
    kernel.until(lambda: "seen" in printed(kernel, cell))
    nothing = kernel.run("%inbox")
    assert "Nothing has come" in printed(kernel, nothing)
    assert "seen" not in printed(kernel, nothing)
    for line in (f"%inbox {number}", "%inbox --all"):
        assert ") seen\n" in printed(kernel, run(kernel, line))


def test_a_cell_of_which_nothing_is_kept_is_told_in_one_line(kernel: LiveKernel) -> None:
    cell = kernel.start("%inbox 999999")
    kernel.until(lambda: kernel.of(cell, "idle"))
    assert "nothing is kept of In[999999]" in kernel.text(cell)


def test_a_terminal_has_no_inbox() -> None:
    (outcome,) = run_cells("%inbox")
    assert "There is no inbox" in outcome.output
