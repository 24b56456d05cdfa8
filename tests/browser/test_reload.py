"""What a notebook shows of calls and of `%%remote` after its page was reloaded, closed, or its kernel restarted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from notebook_page import SESSION, NotebookPage

from nbactors.testing import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ACTOR = """%%actor worker
class Worker:
    def __init__(self):
        self.done = 0
    def work(self, mark):
        import pathlib
        from nbactors.testing import eventually
        from tqdm.auto import tqdm
        with tqdm(total=10, desc="files", mininterval=0) as bar:
            bar.update(3)
            eventually(pathlib.Path(mark).exists, timeout_s=100)
            bar.update(7)
        print("a line after the bar")
        self.done += 1
        return self.done"""


def waits_for(mark: Path) -> str:
    """Return code that waits for a file."""
    code = "import pathlib\nfrom nbactors.testing import eventually\n"
    return f"{code}eventually(pathlib.Path({str(mark)!r}).exists, timeout_s=100)\n"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file for which the calls of a test wait."""
    return tmp_path / "go"


def test_after_a_reload_what_changes_goes_on_in_its_place_and_the_inbox_has_the_rest(
    notebook: Callable[..., NotebookPage], mark: Path
) -> None:
    remote = f"%%remote -o result\n{waits_for(mark)}print('a line of the cell')\n6 * 7"
    opened = notebook(SESSION, ACTOR, remote, f"ref = worker.work.remote({str(mark)!r})", "ray.get(ref)", "%inbox")
    for number in range(4):
        opened.run(number)
    opened.await_text(2, "running")
    opened.await_text(3, "30%")
    opened.save()
    opened.reload()
    opened.await_text(2, "running")
    opened.await_text(3, "30%")
    mark.touch()
    opened.await_text(2, "done")
    opened.await_text(3, "100%")
    opened.run(4)
    opened.await_text(4, "2 earlier cells have output that this page has not shown: `%inbox` shows it")
    opened.run(5)
    shown = opened.await_text(5, "from In.4.(.|\n)*a line after the bar")
    of_remote = shown.partition("from In[4]")[0]
    assert of_remote.startswith("from In[3]")
    assert all(text in of_remote for text in ("done", "42", "a line of the cell"))


def test_a_new_page_of_a_notebook_that_was_not_saved_shows_in_the_inbox_what_runs_and_can_cancel_it(
    notebook: Callable[..., NotebookPage], mark: Path
) -> None:
    opened = notebook(SESSION, ACTOR, f"%%remote\n{waits_for(mark)}", f"worker.work.remote({str(mark)!r});", "%inbox")
    for number in range(4):
        opened.run(number)
    opened.await_text(2, "running")
    opened.await_text(3, "30%")
    context = opened.page.context
    opened.page.close()
    opened.open(context.new_page())
    assert not opened.text(2)
    opened.run(4)
    opened.await_text(4, "running(.|\n)*30%")
    opened.output(4).get_by_role("button", name="Cancel In[3]").click()
    opened.await_text(4, "cancelled")
    mark.touch()
    opened.await_text(4, "100%(.|\n)*a line after the bar")


def test_a_restart_of_the_kernel_does_not_stop_the_call_of_a_detached_actor_that_a_cell_awaits(
    notebook: Callable[..., NotebookPage], mark: Path
) -> None:
    detached = ACTOR.replace("worker\n", "worker --name the_worker --lifetime detached\n", 1)
    opened = notebook(
        SESSION,
        detached,
        f"ray.get(worker.work.remote({str(mark)!r}))",
        "%attach the_worker",
        "ray.get(the_worker.__ray_call__.remote(lambda self: self.done))",
        "%kill the_worker",
    )
    opened.run(0)
    opened.run(1)
    opened.run(2, wait=False)
    opened.await_text(2, "30%")
    opened.restart()
    opened.run(0)
    opened.run(3)
    opened.await_text(3, "runs work")
    mark.touch()
    opened.run(4)
    assert opened.await_text(4, r"\]:\s+1\s*$")
    opened.run(5)
    opened.await_text(5, "Killed")


def test_a_click_cancels_the_call_of_a_reference_while_a_cell_blocks_the_kernel(
    notebook: Callable[..., NotebookPage], mark: Path
) -> None:
    opened = notebook(SESSION, ACTOR, f"ref = worker.work.remote({str(mark)!r})\nref", f"{waits_for(mark)}1")
    for number in range(3):
        opened.run(number)
    opened.await_text(2, "running")
    opened.run(3, wait=False)
    opened.output(2).get_by_role("button", name="Cancel Worker.work").click()
    opened.await_text(2, "cancelled")
    assert opened.prompt(3) == "*"
    mark.touch()
    opened.await_prompt(3)


def test_a_click_beside_a_bar_cancels_its_call_while_a_cell_waits_for_it(
    notebook: Callable[..., NotebookPage], mark: Path
) -> None:
    opened = notebook(SESSION, ACTOR, f"ray.get(worker.work.remote({str(mark)!r}))")
    for number in range(3):
        opened.run(number, wait=number < 2)
    opened.await_text(2, "30%")
    opened.output(2).get_by_role("button", name="Cancel files").click()
    assert "cancelled" in opened.await_text(2, "TaskCancelledError")


def test_a_line_and_a_bar_are_as_high_live_as_at_their_ends(notebook: Callable[..., NotebookPage], mark: Path) -> None:
    opened = notebook(SESSION, ACTOR, f"%%remote\n{waits_for(mark)}", f"ref = worker.work.remote({str(mark)!r})")
    for number in range(4):
        opened.run(number)
    opened.await_text(2, "running")
    opened.await_text(3, "30%")
    live = [opened.size(number) for number in (2, 3)]
    mark.touch()
    opened.await_text(2, "done")
    opened.await_text(3, "100%")
    eventually(lambda: not opened.output(3).locator(".nba-progress").count(), timeout_s=10)
    assert [opened.size(number) for number in (2, 3)] == live
