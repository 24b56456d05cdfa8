"""Progress bars of actors and tasks in a real kernel: under which cell they show, and what a saved notebook keeps."""

from __future__ import annotations

import pytest
from live_kernel import WIDGET, LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
from tqdm.auto import tqdm

@ray.remote
def work(n, name="work", leave=True):
    for _ in tqdm(range(n), desc=name, leave=leave):
        time.sleep(0.02)
    return n

@ray.remote
class Trainer:
    def fit(self, gate=None):
        for epoch in tqdm(range(2), desc="epochs"):
            for batch in tqdm(range(3), desc="batches", leave=False):
                tqdm.write(f"batch {epoch}.{batch}")
        return "fitted"

@ray.remote(max_retries=0)
def dies():
    import os
    for i in tqdm(range(10), desc="dies"):
        time.sleep(0.15)  # tqdm itself looks at its clock every 0.1 s
        if i == 4:
            os._exit(1)
"""


def is_static(kernel: LiveKernel, cell: str) -> bool:
    """Whether the display under a cell is done: it was replaced by one without a widget."""
    updates = kernel.of(cell, "update_display_data")
    return bool(updates) and WIDGET not in updates[-1]["data"]


def test_bars_show_under_the_cell_that_made_the_call(kernel: LiveKernel) -> None:
    first = kernel.run("refs = [work.remote(20, 'one'), work.remote(30, 'two')]")
    other = kernel.run("ray.get(refs)")
    kernel.until(lambda: is_static(kernel, first))
    (shown,) = kernel.of(first, "display_data")
    assert WIDGET not in shown["data"]
    assert WIDGET in kernel.of(first, "update_display_data")[0]["data"]
    lines = kernel.last(first)["text/plain"].splitlines()
    assert len(lines) == 2
    assert all("100%" in line and line.startswith("(work pid=") for line in lines)
    assert "one: " in kernel.last(first)["text/plain"]
    assert "20/20" in kernel.last(first)["text/html"]
    assert kernel.of(other, "display_data") == []


def test_a_bar_shows_while_the_kernel_is_busy(kernel: LiveKernel) -> None:
    cell = kernel.start("ref = work.remote(50, 'busy'); ray.get(ref)")
    kernel.until(lambda: kernel.of(cell, "idle"))
    kinds = [kind for owner, kind, _ in kernel.messages if owner == cell]
    assert kinds.index("display_data") < kinds.index("idle")
    kernel.until(lambda: is_static(kernel, cell))


def test_nested_bars_show_beside_printed_lines(kernel: LiveKernel) -> None:
    cell = kernel.run("trainer = Trainer.remote(); ray.get(trainer.fit.remote())")
    kernel.until(lambda: is_static(kernel, cell))
    assert "epochs: 100%" in kernel.last(cell)["text/plain"]
    assert "batches" not in kernel.last(cell)["text/plain"]
    kernel.until(lambda: "batch 1.2" in "".join(map(str, kernel.messages)))


def test_tqdm_notebook_needs_no_widgets_in_the_worker(kernel: LiveKernel) -> None:
    cell = kernel.run("""
@ray.remote
def plain():
    import sys
    from tqdm.notebook import tqdm, trange
    for _ in trange(5, desc="plain"):
        pass
    return [name for name in ("IPython", "ipywidgets") if name in sys.modules]
ray.get(plain.remote())
""")
    kernel.until(lambda: is_static(kernel, cell))
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "[]"
    assert "plain: 100%" in kernel.last(cell)["text/plain"]


def test_the_bars_of_a_worker_end_with_its_death(kernel: LiveKernel) -> None:
    cell = kernel.run("ref = dies.remote()")
    kernel.until(lambda: is_static(kernel, cell))
    text = kernel.last(cell)["text/plain"]
    assert "its process has ended" in text
    assert "4/10" in text


def test_a_bar_with_leave_false_is_gone_at_its_end(kernel: LiveKernel) -> None:
    cell = kernel.run("ref = work.remote(20, leave=False)")
    kernel.until(lambda: is_static(kernel, cell))
    assert kernel.last(cell)["text/plain"] == ""


def test_progress_yields_the_references_and_counts_failures(kernel: LiveKernel) -> None:
    cell = kernel.run("""
from nbactors.util import progress
@ray.remote
def half(x):
    if x == 3:
        raise ValueError(x)
    return x
refs = [half.remote(x) for x in range(5)]
sorted(refs.index(ref) for ref in progress(refs, "halves"))
""")
    kernel.until(lambda: is_static(kernel, cell))
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "[0, 1, 2, 3, 4]"
    text = kernel.last(cell)["text/plain"]
    assert text.startswith("halves: 100%")
    assert "1 failed" in text


def test_progress_as_a_cells_result_shows_the_bar_alone(kernel: LiveKernel) -> None:
    cell = kernel.run("progress([work.remote(2, leave=False)])")
    kernel.until(lambda: is_static(kernel, cell))
    assert kernel.of(cell, "execute_result") == []


def test_progress_inside_an_actor_shows_in_the_notebook(kernel: LiveKernel) -> None:
    cell = kernel.run("""
@ray.remote
def manager():
    return ray.util.progress([work.remote(2, leave=False) for _ in range(3)], "inner calls").get()
ray.get(manager.remote())
""")
    kernel.until(lambda: is_static(kernel, cell) and "inner calls: 100%" in kernel.last(cell)["text/plain"])
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "[2, 2, 2]"


def test_tqdm_ray_shows_under_the_cell_that_made_the_call(kernel: LiveKernel) -> None:
    cell = kernel.run("""
from nbactors.experimental import tqdm_ray
@ray.remote
def read(count):
    return sum(tqdm_ray.tqdm(range(count), desc="rows", unit="row"))
shared = ray.remote(tqdm_ray.tqdm).remote(total=4, desc="shared")
@ray.remote
def advance(bar):
    ray.get(bar.update.remote(2))
refs = [read.remote(5), advance.remote(shared), advance.remote(shared)]
""")
    kernel.run("ray.get(refs); ray.get(shared.close.remote())")
    kernel.until(lambda: is_static(kernel, cell) and "4/4" in kernel.last(cell)["text/plain"])
    text = kernel.last(cell)["text/plain"]
    assert "rows: 100%" in text
    assert "5/5" in text


def test_tqdm_ray_in_the_cell_itself(kernel: LiveKernel) -> None:
    cell = kernel.run("""
from nbactors.experimental import tqdm_ray
bar = tqdm_ray.tqdm(total=3)
bar.update(); bar.set_description("half"); bar.update(2); bar.close(); bar.close()
bar.n
""")
    kernel.until(lambda: is_static(kernel, cell))
    assert kernel.last(cell)["text/plain"].startswith("half: 100%")
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "3"


def test_without_ipywidgets_the_output_is_replaced() -> None:
    kernel = LiveKernel("ipywidgets")
    try:
        kernel.open(SETUP)
        cell = kernel.run("ray.get(work.remote(30))")
        kernel.until(lambda: "100%" in kernel.text(cell))
        assert not [kind for _, kind, _ in kernel.messages if kind.startswith("comm")]
        assert WIDGET not in kernel.of(cell, "display_data")[0]["data"]
    finally:
        kernel.stop()


def test_the_last_state_shows_before_the_cell_ends(kernel: LiveKernel) -> None:
    """Programs that run notebooks keep nothing of what comes later."""
    kernel.run("rest = ray.remote(lambda: time.sleep(0.1))")
    cell = kernel.run("for ref in ray.util.progress([rest.remote() for _ in range(3)], desc='all'): pass")
    # `run` has read no further than to the cell's end.
    assert any("all: 100%" in shown["data"]["text/plain"] for shown in kernel.of(cell, "update_display_data"))
