"""Rich output that is made in actors and tasks, in a real kernel: what shows, under which cell, in which order."""

from __future__ import annotations

from typing import Any

import pytest
from live_kernel import LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
import threading

@ray.remote
class Shower:
    def around(self):
        print("before", end="")
        display("shown")
        print("after")
    def html(self):
        from IPython.display import HTML, display
        display(HTML("<b>bold</b>"))
    def update(self):
        handle = display("old", display_id="mine")
        handle.update("new")
    def clear(self):
        from IPython.display import clear_output
        print("old")
        clear_output(wait=True)
        print("new")
    def draw(self):
        import matplotlib.pyplot as plt
        plt.plot([1, 2])
        plt.show()
    def large(self):
        display({"text/plain": "x" * (20 << 20)}, raw=True)
    def untouched(self):
        import signal, sys
        hooks = lambda: (sys.excepthook, sys.displayhook, signal.getsignal(signal.SIGINT), sys.modules["__main__"])
        before = hooks()
        get_ipython().run_line_magic("time", "1")
        return before == hooks() and get_ipython().history_manager.enabled is False
    def by_callback(self):
        shown = threading.Event()
        def show(future):
            display("word")
            shown.set()
        task.remote("other").future().add_done_callback(show)
        return shown.wait(30)
    def later(self, wait):
        time.sleep(wait)
        display("late")

@ray.remote
class Async:
    async def show(self, word):
        display(word)

@ray.remote
def task(word):
    display(word)

@ray.remote
class Quiet:
    def imported(self, show):
        import sys
        if show:
            display("shown")
        return "IPython" in sys.modules

shower = Shower.remote()
"""


def one(kernel: LiveKernel, code: str) -> dict[str, Any]:
    """Run a cell and return the one bundle that it shows."""
    cell = kernel.run(code)
    kernel.until(lambda: kernel.of(cell, "display_data"))
    (content,) = kernel.of(cell, "display_data")
    data: dict[str, Any] = content["data"]
    return data


@pytest.mark.parametrize(
    "call",
    [
        "ray.get(task.remote('word'))",
        "asynchronous = Async.remote()\nray.get(asynchronous.show.remote('word'))",
        "%%on shower\ndisplay('word')",
        (
            "%%on shower\nimport threading\nshown = threading.Thread(target=display, args=('word',))\n"
            "shown.start()\nshown.join()"
        ),
    ],
    ids=["task", "async actor", "%%on", "thread"],
)
def test_display_shows_under_the_cell(kernel: LiveKernel, call: str) -> None:
    assert one(kernel, call) == {"text/plain": "'word'"}


def test_callbacks_of_references_display_too(kernel: LiveKernel) -> None:
    cell = kernel.run("ray.get(shower.by_callback.remote())")
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "True"
    kernel.until(lambda: kernel.of(cell, "display_data"))


def test_a_display_shows_under_the_calling_cell_whichever_cell_runs(kernel: LiveKernel) -> None:
    first = kernel.run("call = shower.later.remote(0.3)")
    second = kernel.run("ray.get(call)")
    kernel.until(lambda: kernel.of(first, "display_data"))
    assert not kernel.of(second, "display_data")


def test_the_order_of_text_and_displays_is_kept(kernel: LiveKernel) -> None:
    cell = kernel.run("ray.get(shower.around.remote())")
    kernel.until(lambda: len(kernel.of(cell, "stream")) == 2)
    kinds = [kind for owner, kind, _ in kernel.messages if owner == cell and kind in ("stream", "display_data")]
    assert kinds == ["stream", "display_data", "stream"]
    assert ["before" in part["text"] for part in kernel.of(cell, "stream")] == [True, False]


def test_objects_show_as_in_the_notebook(kernel: LiveKernel) -> None:
    assert one(kernel, "ray.get(shower.html.remote())")["text/html"] == "<b>bold</b>"


def test_displays_are_updated(kernel: LiveKernel) -> None:
    cell = kernel.run("ray.get(shower.update.remote())")
    kernel.until(lambda: kernel.of(cell, "update_display_data"))
    (update,) = kernel.of(cell, "update_display_data")
    assert (update["data"]["text/plain"], update["transient"]["display_id"]) == ("'new'", "mine")


def test_output_is_cleared_in_order(kernel: LiveKernel) -> None:
    cell = kernel.run("ray.get(shower.clear.remote())")
    kernel.until(lambda: len(kernel.of(cell, "stream")) == 2)
    kinds = [kind for owner, kind, _ in kernel.messages if owner == cell and kind in ("stream", "clear_output")]
    assert kinds == ["stream", "clear_output", "stream"]
    assert kernel.of(cell, "clear_output") == [{"wait": True}]


def test_figures_show(kernel: LiveKernel) -> None:
    pytest.importorskip("matplotlib")
    assert "image/png" in one(kernel, "ray.get(shower.draw.remote())")
    code = "%%on shower\nimport matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2]);"
    assert "image/png" in one(kernel, code)
    (result,) = kernel.of(kernel.run("%%on shower\nfigure"), "execute_result")
    assert "image/png" in result["data"]


def test_an_output_that_is_too_large_is_replaced_by_a_note(kernel: LiveKernel) -> None:
    assert one(kernel, "ray.get(shower.large.remote())")["text/plain"].startswith("<output of 20 MiB, more than")


def test_ipython_is_not_imported_before_its_use(kernel: LiveKernel) -> None:
    cell = kernel.run("quiet = Quiet.remote()\nray.get([quiet.imported.remote(show) for show in (False, True)])")
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "[False, True]"


def test_the_worker_s_shell_changes_nothing_in_the_process(kernel: LiveKernel) -> None:
    cell = kernel.run("ray.get(shower.untouched.remote())")
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "True"


@pytest.mark.parametrize(
    "code",
    [
        "ray.get(shower.__ray_call__.remote(lambda self: display(__import__('ipywidgets').IntSlider(value=3))))",
        "%%remote\nimport ipywidgets\ndisplay(ipywidgets.IntSlider(value=3));",
    ],
    ids=["actor", "%%remote"],
)
def test_widgets_of_a_worker_show_as_text(kernel: LiveKernel, code: str) -> None:
    cell = kernel.run(code)
    kernel.until(lambda: any("IntSlider" in str(content) for content in kernel.of(cell, "display_data")))
    [data] = [content["data"] for content in kernel.of(cell, "display_data") if "IntSlider" in str(content)]
    assert data == {"text/plain": "IntSlider(value=3)"}
