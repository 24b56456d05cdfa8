"""Live panels in a real kernel, without a page: what the kernel shows, and what it does when a page asks."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from live_kernel import WIDGET, LiveKernel

pytestmark = [pytest.mark.slow]

CLASS = """
@ray.remote
class Sim:
    def run(self, path): until(path)
    def fail(self): raise ValueError("no data file")
sim = Sim.options(name="sim").remote()
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveKernel]:
    kernel = LiveKernel()
    yield kernel
    kernel.stop()


@pytest.fixture
def kernel(shared: LiveKernel) -> Iterator[LiveKernel]:
    shared.open(CLASS)
    yield shared
    shared.close()


def shown(kernel: LiveKernel, code: str) -> tuple[str, dict[str, Any]]:
    """Run a cell that shows a panel; return the cell, and what it shows."""
    cell = kernel.run(code)
    return cell, kernel.of(cell, "display_data")[0]["data"]


def model_of(data: dict[str, Any]) -> str:
    return str(data[WIDGET]["model_id"])


def test_a_handle_shows_as_a_panel_whose_first_state_is_there_at_once(kernel: LiveKernel) -> None:
    _, data = shown(kernel, "sim")
    assert data["text/plain"].startswith("Actor(Sim, ")
    assert "Actor Sim" in data["text/html"]
    state = kernel.widgets()[model_of(data)]["state"]
    assert (state["view"], state["cls"]) == ("actor", "Sim")


def test_all_displays_of_an_actor_share_a_widget_and_all_panels_share_the_code(kernel: LiveKernel) -> None:
    _, first = shown(kernel, "sim")
    _, second = shown(kernel, "sim")
    _, other = shown(kernel, "Sim.remote()")
    assert model_of(first) == model_of(second) != model_of(other)
    widgets = kernel.widgets()
    assert widgets[model_of(first)]["code"] == widgets[model_of(other)]["code"]
    code = widgets[widgets[model_of(first)]["code"].removeprefix("IPY_MODEL_")]
    assert len(code["text"]) > 10_000 > len(widgets[model_of(first)]["_esm"])


def test_without_an_answer_of_a_page_the_display_becomes_static_and_says_what_to_install(kernel: LiveKernel) -> None:
    kernel.has_views = False
    cell, _ = shown(kernel, "sim")
    kernel.has_views = True
    kernel.until(lambda: "pip install anywidget" in str(kernel.of(cell, "update_display_data")))
    last = kernel.last(cell)
    assert WIDGET not in last
    assert "Actor Sim" in last["text/html"]


def test_a_page_that_answers_gets_the_state_and_then_what_changes(kernel: LiveKernel) -> None:
    kernel.run("ray.get(sim.__ray_ready__.remote())")
    cell, data = shown(kernel, "ref = sim.run.remote('/nowhere'); sim")
    panel = model_of(data)
    kernel.tell(panel, {"kind": "hello"})
    kernel.tell(panel, {"kind": "look", "visible": True})
    kernel.until(lambda: any(news["fields"].get("calls") for news in kernel.told(panel, "changes")))
    calls = next(news["fields"]["calls"] for news in kernel.told(panel, "changes") if news["fields"].get("calls"))
    assert calls[0]["name"] == "Sim.run"
    # A page that is loaded again asks for the state, which is the present one.
    assert kernel.widgets()[panel]["state"]["calls"][0]["name"] == "Sim.run"
    assert kernel.told(panel, "changes")
    assert "pip install" not in str(kernel.of(cell, "update_display_data"))


def test_a_hidden_panel_gets_nothing(kernel: LiveKernel) -> None:
    _, data = shown(kernel, "sim")
    panel = model_of(data)
    kernel.tell(panel, {"kind": "hello"})
    kernel.tell(panel, {"kind": "look", "visible": True})
    kernel.until(lambda: any("cpu" in news["fields"] for news in kernel.told(panel, "changes")))
    kernel.tell(panel, {"kind": "look", "visible": False})
    kernel.until(
        lambda: (
            kernel.value("[t.name for t in __import__('threading').enumerate() if t.name == 'nbactors-panels']") == "[]"
        )
    )
    before = len(kernel.told(panel, "changes"))
    kernel.run("ray.wait([sim.fail.remote()])")
    assert len(kernel.told(panel, "changes")) == before


def test_cancel_interrupt_stack_log_and_kill(kernel: LiveKernel) -> None:
    _, data = shown(kernel, "refs = [sim.run.remote('/nowhere') for _ in range(2)]; sim")
    panel, state = model_of(data), kernel.widgets()[model_of(data)]["state"]
    kernel.tell(panel, {"kind": "hello"})
    kernel.until(lambda: "until(path)" in kernel.ask(panel, what="stack", actor=state["id"])["text"])
    second = kernel.value("refs[1].task_id().hex()").strip("'")
    assert kernel.ask(panel, what="cancel", call=second)["ok"]
    kernel.run("import pytest\nwith pytest.raises(ray.exceptions.TaskCancelledError): ray.get(refs[1])")
    assert kernel.ask(panel, what="interrupt", actor=state["id"])["text"] == "1 interrupted"
    kernel.run("with pytest.raises(ray.exceptions.TaskCancelledError): ray.get(refs[0])")
    assert kernel.ask(panel, what="interrupt", actor=state["id"])["text"] == "Nothing runs in it now."
    assert kernel.ask(panel, what="log", actor=state["id"])["text"] == "It has printed nothing yet."
    assert kernel.ask(panel, what="kill", actor=state["id"])["ok"]
    kernel.run("with pytest.raises(ray.exceptions.RayActorError): ray.get(sim.fail.remote())")


def test_what_cannot_be_done_is_answered_with_its_reason(kernel: LiveKernel) -> None:
    _, data = shown(kernel, "sim")
    panel = model_of(data)
    assert kernel.ask(panel, what="stack", actor="ff" * 16)["text"].startswith("ValueError: there is no actor")
    assert "knows no command 'dance'" in kernel.ask(panel, what="dance", actor="")["text"]


def test_the_panel_of_the_session_lists_its_actors(kernel: LiveKernel) -> None:
    kernel.run("ray.get(sim.__ray_ready__.remote())")
    _, data = shown(kernel, "%actors --live")
    assert "sim" in data["text/html"]
    state = kernel.widgets()[model_of(data)]["state"]
    assert state["runs"]
    assert [(row["name"], row["mark"]) for row in state["rows"].values()] == [("sim", "idle")]
    assert state["cpu"] == [0, 4]


def test_vs_code_gets_the_static_form_with_the_commands_to_type(kernel: LiveKernel) -> None:
    kernel.run("__vsc_ipynb_file__ = 'a.ipynb'")
    _, data = shown(kernel, "sim")
    kernel.run("del __vsc_ipynb_file__")
    assert WIDGET not in data
    assert "nbactors interrupt " in data["text/html"]


def test_a_panel_keeps_no_actor_alive(kernel: LiveKernel) -> None:
    _, data = shown(kernel, "other = Sim.remote(); ray.get(other.__ray_ready__.remote()); other")
    kernel.run("del other")
    actor_id = kernel.widgets()[model_of(data)]["state"]["id"]
    code = f"ray.util.state.get_actor({actor_id!r}).state"
    kernel.run("from nbactors.util import state as _")
    kernel.until(lambda: kernel.value(code) == "'DEAD'")
    assert model_of(data) in kernel.widgets()


def test_without_anywidget_a_handle_is_a_static_card() -> None:
    kernel = LiveKernel("anywidget")
    try:
        kernel.open(CLASS)
        cell = kernel.run("sim")
        data = kernel.of(cell, "execute_result")[0]["data"]
        assert WIDGET not in data
        assert "Actor Sim" in data["text/html"]
    finally:
        kernel.stop()


COUNT = "len([w for w in __import__('ipywidgets').widgets.widget._instances.values() if type(w).__name__ == {0!r}])"


@pytest.mark.parametrize("code", ["ray.panel()", "sim", "%%trace\nray.get(sim.__ray_ready__.remote())"])
def test_a_cell_that_runs_again_leaves_no_panel_behind(kernel: LiveKernel, code: str) -> None:
    count = COUNT.format("PanelWidget")
    before = int(kernel.value(count))
    for _ in range(50):
        kernel.run(code, "the same cell")
    assert int(kernel.value(count)) <= before + 1
    assert int(kernel.value(COUNT.format("Layout"))) <= before + 1
    # A panel of another cell stays.
    _, data = shown(kernel, "sim")
    kernel.run(code, "the same cell")
    assert model_of(data) in kernel.widgets()


def test_an_actor_that_two_cells_show_stays_in_one_when_the_other_runs_again(kernel: LiveKernel) -> None:
    _, first = shown(kernel, "sim")
    again = kernel.run("sim", "again")
    assert kernel.panels(again) == [model_of(first)]
    kernel.run("ray.panel()", "again")
    assert kernel.widgets()[model_of(first)]["state"]["view"] == "actor"


def test_the_oldest_displays_become_static_and_the_number_of_live_ones_is_bounded(kernel: LiveKernel) -> None:
    kernel.run("from nbactors.jupyter.panels import display as d; d.open_displays._most = 5")
    cells = [kernel.run("ray.panel()") for _ in range(8)]
    kernel.run("d.open_displays._most = d.KEPT")
    assert int(kernel.value("len(d.open_displays)")) == 5
    assert WIDGET not in kernel.last(cells[0])
    assert not kernel.of(cells[-1], "update_display_data")


def test_after_20_000_fast_calls_the_panel_says_20_000(kernel: LiveKernel) -> None:
    kernel.run("@ray.remote\nclass Fast:\n    def add(self, n): return n\nfast = Fast.remote()")
    _, data = shown(kernel, "fast")
    panel = model_of(data)
    kernel.tell(panel, {"kind": "look", "visible": True})
    kernel.run("ray.get([fast.add.remote(n) for n in range(20_000)]);")
    kernel.until(lambda: any(news["fields"].get("done") == 20_000 for news in kernel.told(panel, "changes")))
    done = [news["fields"]["done"] for news in kernel.told(panel, "changes") if "done" in news["fields"]]
    assert done == sorted(done)


def test_a_constructor_that_runs_shows_with_its_arguments_and_kill_ends_it(kernel: LiveKernel) -> None:
    kernel.run("@ray.remote\nclass Slow:\n    def __init__(self, path): until(path)\n    def run(self): pass")
    _, data = shown(kernel, "slow = Slow.remote('/nowhere'); ref = slow.run.remote(); slow")
    panel = model_of(data)
    kernel.tell(panel, {"kind": "look", "visible": True})

    def told() -> list[dict[str, Any]]:
        return [news["fields"] for news in kernel.told(panel, "changes")]

    def has_both(calls: list[dict[str, Any]]) -> bool:
        found = [(call["name"], call["creation"], call["args"]) for call in calls]
        return found == [("Slow.__init__", True, [["path", "'/nowhere'"]]), ("Slow.run", False, None)]

    kernel.until(lambda: any(has_both(fields.get("calls", [])) for fields in told()))
    kernel.until(lambda: any(fields.get("word") == "runs its constructor" for fields in told()))
    state = kernel.widgets()[panel]["state"]
    assert state["mark"] == "starting"
    assert not kernel.ask(panel, what="cancel", call=state["calls"][0]["id"])["ok"]
    assert kernel.ask(panel, what="kill", actor=state["id"])["ok"]
    kernel.run("import pytest\nwith pytest.raises(ray.exceptions.RayActorError): ray.get(ref)")
    kernel.until(lambda: any(fields.get("mark") == "ended" for fields in told()))


def test_errors_with_text_that_is_no_utf_8_show_in_panels_and_cards(kernel: LiveKernel) -> None:
    kernel.run("@ray.remote\nclass Odd:\n    def fail(self): raise ValueError('\\ud800 <b>' + 'y' * 1_000_000)")
    _, data = shown(kernel, "odd = Odd.remote(); odd")
    panel = model_of(data)
    kernel.tell(panel, {"kind": "look", "visible": True})
    cell = kernel.run("ref = odd.fail.remote(); ray.wait([ref]); ref")
    assert "\\ud800 &lt;b&gt;" in kernel.of(cell, "execute_result")[0]["data"]["text/html"]
    kernel.until(lambda: any("failed" in news["fields"] for news in kernel.told(panel, "changes")))
    errors = [news["fields"]["error"] for news in kernel.told(panel, "changes") if news["fields"].get("error")]
    assert errors[0]["what"].startswith("ValueError: \\ud800 <b>yyy")
    assert len(errors[0]["text"]) <= 2000


def test_the_first_line_that_an_actor_prints_shows_soon(kernel: LiveKernel) -> None:
    kernel.run("@ray.remote\nclass Talker:\n    def say(self, text): print(text)\ntalker = Talker.remote()")
    _, data = shown(kernel, "ray.get(talker.__ray_ready__.remote()); talker")
    panel = model_of(data)
    kernel.tell(panel, {"kind": "look", "visible": True})
    kernel.until(lambda: any("cpu" in news["fields"] for news in kernel.told(panel, "changes")))
    kernel.run("ray.get(talker.say.remote('<b>hello</b>'))")
    began = monotonic()
    kernel.until(lambda: any(news["fields"].get("log") for news in kernel.told(panel, "changes")))
    logs = [news["fields"]["log"] for news in kernel.told(panel, "changes") if "log" in news["fields"]]
    assert logs[-1] == ["<b>hello</b>"]
    assert monotonic() - began < 5, "the actors are listed every ten seconds only"
