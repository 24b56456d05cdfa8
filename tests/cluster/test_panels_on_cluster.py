"""Panels, `%actors` and `%%trace` in a real kernel whose session is on a Ray cluster, without a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_kernel import LiveKernel

from nbactors.testing import eventually

SETUP = """
@ray.remote
class Sim:
    def run(self, mark):
        import pathlib
        pathlib.Path(mark).touch()
        time.sleep(60)
    def quick(self):
        return inner.remote()

@ray.remote(num_cpus=0)
def inner():
    return 7

sim = Sim.options(name="sim").remote()
ray.get(sim.__ray_ready__.remote())
"""


@pytest.fixture(scope="module")
def kernel(_nbactors: Any) -> Iterator[Any]:
    """A kernel with a session on a cluster of its own."""
    _nbactors.shutdown()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBACTORS_ENGINE", "ray")
        made = LiveKernel(reply_s=40)  # Ray starts slowly
        made.open(SETUP)
        yield made
        made.close()
        made.stop()


def panel_of(kernel: Any, cell: str) -> str:
    return str(kernel.panels(cell)[-1])


def test_a_panel_shows_a_running_call_and_interrupts_it(kernel: Any, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    panel = panel_of(kernel, kernel.run(f"ref = sim.run.remote({str(mark)!r}); sim"))
    eventually(mark.exists, timeout_s=30)
    kernel.tell(panel, {"kind": "hello"})
    kernel.tell(panel, {"kind": "look", "visible": True})

    def busy_state() -> dict[str, Any]:
        state: dict[str, Any] = kernel.widgets()[panel]["state"]
        return state if state["mark"] == "busy" and state["memory"] else {}

    state = eventually(busy_state, timeout_s=30)
    assert [(call["name"], call["mark"]) for call in state["calls"]] == [("Sim.run", "busy")]
    eventually(lambda: kernel.value("ray.util.state.get_task(ref)['state']") == "'RUNNING'", timeout_s=30)
    roster = kernel.run("%actors")
    kernel.until(lambda: kernel.of(roster, "execute_result"))
    line = kernel.of(roster, "execute_result")[0]["data"]["text/plain"].splitlines()[1]
    assert line.split()[:4] == ["sim", "sim", "Sim", "alive"]
    assert " run " in line
    assert "time.sleep(60)" in kernel.ask(panel, what="stack", actor=state["id"])["text"]
    assert kernel.ask(panel, what="interrupt", actor=state["id"])["text"] == "1 interrupted"
    kernel.run("import pytest\nwith pytest.raises(ray.exceptions.TaskCancelledError): ray.get(ref)")


def test_a_trace_has_the_calls_of_a_cell_and_of_their_callees(kernel: Any) -> None:
    cell = kernel.run("%%trace\nray.get(ray.get(sim.quick.remote()))")
    assert kernel.of(cell, "execute_result")[0]["data"]["text/plain"] == "7"

    def text() -> str:
        shown = kernel.of(cell, "update_display_data")
        return str(shown[-1]["data"]["text/plain"]) if shown else ""

    kernel.until(lambda: "2 calls" in text())
    assert "Sim.quick" in text()
    assert "inner" in text()


def test_the_feed_goes_on_with_a_session_on_this_machine(kernel: Any) -> None:
    kernel.run("ray.shutdown()")
    kernel.run("ray.init(engine='local', num_cpus=1)")
    kernel.run(SETUP.replace('"sim"', '"near"'))
    cell = kernel.run("%actors --live")
    state = kernel.widgets()[panel_of(kernel, cell)]["state"]
    assert [row["name"] for row in state["rows"].values()] == ["near"]
