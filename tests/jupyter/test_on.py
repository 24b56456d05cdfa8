"""`%%on` and `%actors --stacks` in a real kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from live_kernel import LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
import pathlib

@ray.remote
class Plain:
    def __init__(self):
        self.value = 1
    def block(self, path):
        pathlib.Path(path).touch()
        time.sleep(60)
    def hold_gil(self, path):
        import ctypes
        pathlib.Path(path).touch()
        ctypes.PyDLL(None).sleep(60)

@ray.remote
class Async:
    def __init__(self):
        self.value = 1
    async def get(self):
        return self.value

plain = Plain.options(name="by name").remote()
threaded = Plain.options(max_concurrency=2).remote()
asynchronous = Async.remote()
def begun(path):
    while not pathlib.Path(path).exists():
        time.sleep(0.01)
"""


def fails(kernel: LiveKernel, code: str) -> str:
    """Run a cell to its end, and return what it says of its failure."""
    cell = kernel.start(code)
    kernel.until(lambda: kernel.of(cell, "idle"))
    errors = kernel.of(cell, "error")
    if not errors:
        return "".join(part["text"] for part in kernel.of(cell, "stream"))
    assert len(errors) == 1
    return "\n".join(errors[0]["traceback"])


def shown(kernel: LiveKernel, code: str) -> str:
    cell = kernel.run(code)
    return str(kernel.of(cell, "execute_result")[0]["data"]["text/plain"])


@pytest.mark.parametrize("actor", ["plain", "threaded", "asynchronous", "[plain][0]", "by name", '"by name"'])
def test_a_cell_runs_in_the_actor(kernel: LiveKernel, actor: str) -> None:
    kernel.run("step = 5")
    assert shown(kernel, f"%%on {actor} -i step -o before\nbefore = self.value\nself.value += step\nbefore") == "1"
    assert shown(kernel, "before") == "1"
    assert shown(kernel, f"%%on {actor}\nself.value, before, step") == "(6, 1, 5)"


def test_a_cell_awaits_on_the_loop_of_the_actor(kernel: LiveKernel) -> None:
    code = "import asyncio, threading\nawait asyncio.sleep(0)\n"
    code += "(await self.get(), threading.current_thread() is threading.main_thread())"
    assert shown(kernel, f"%%on asynchronous\n{code}") == "(1, True)"


def test_the_value_looks_as_in_the_actor(kernel: LiveKernel) -> None:
    code = "%%on plain\nclass Bold:\n    def _repr_html_(self):\n        return f'<b>{value}</b>'\nvalue = 7\nBold()"
    (result,) = kernel.of(kernel.run(code), "execute_result")
    assert result["data"]["text/html"] == "<b>7</b>"
    assert not kernel.of(kernel.run("%%on plain\n1;"), "execute_result")


def test_a_failure_is_shown_as_if_local(kernel: LiveKernel) -> None:
    text = fails(kernel, "%%on plain\n\ndef f():\n    1 / 0\n\nf()")
    assert "line 6\n    f()" in text
    assert "line 4, in f\n    1 / 0" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "nbactors/" not in text


def test_a_failure_fails_the_cell(kernel: LiveKernel) -> None:
    reply = kernel.reply("%%on plain\n1 / 0")
    assert (reply["status"], reply["ename"]) == ("error", "ZeroDivisionError")


def test_a_name_of_the_notebook_is_hinted_at(kernel: LiveKernel) -> None:
    kernel.run("only_here = 1")
    assert "-i only_here copies it" in fails(kernel, "%%on plain\nonly_here")


def test_a_cell_without_a_value_for_the_variable_does_not_run(kernel: LiveKernel) -> None:
    found = fails(kernel, "%%on plain -o sample\nself.touched = sample = 1")
    assert "-o sample needs a value: end the cell with it" in found
    assert "False" in shown(kernel, "%%on plain\nhasattr(self, 'touched')")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("nobody", "neither a variable nor an actor 'nobody'"),
        ("time", "time is module, no handle"),
        ("plain -i nothing", "-i names nothing, which the notebook does not have"),
        ("plain -o 1x", "-o '1x' is no variable name"),
        ("plain -o class", "-o 'class' is no variable name"),
        ("plain -i lock", "the variable 'lock' cannot be sent to the actor: cannot pickle an object of type 'lock'"),
    ],
)
def test_a_mistake_in_the_line_is_explained_in_one_line(kernel: LiveKernel, line: str, text: str) -> None:
    kernel.run("import threading; lock = threading.Lock()")
    found = fails(kernel, f"%%on {line}\n1")
    assert text in found
    assert found.count("\n") == 1


def test_a_value_that_cannot_be_sent_is_explained(kernel: LiveKernel) -> None:
    text = fails(kernel, "%%on plain -o lock\nimport threading\nthreading.Lock()")
    assert "the value, a lock, cannot be sent to the notebook" in text


@pytest.mark.parametrize("actor", ["plain", "threaded"])
def test_the_option_now_runs_in_an_actor_that_is_stuck(kernel: LiveKernel, actor: str, tmp_path: object) -> None:
    kernel.run(f"calls = [{actor}.block.remote('{tmp_path}/a') for _ in range(2)]; begun('{tmp_path}/a')")
    assert shown(kernel, f"%%on {actor} --now\nself.value") == "1"
    stacks = kernel.of(kernel.run("%actors --stacks"), "stream")[0]["text"]
    assert "Plain.block, running for " in stacks
    assert "in block\n      time.sleep(60)" in stacks


def test_the_option_now_says_that_nothing_can_run(kernel: LiveKernel, tmp_path: object) -> None:
    kernel.run(f"call = plain.hold_gil.remote('{tmp_path}/b'); begun('{tmp_path}/b')")
    assert "keeps the GIL" in fails(kernel, "%%on plain --now\n1")
    kernel.run("ray.kill(plain)")


@pytest.mark.parametrize("line", ["plain", "plain --now", "asynchronous"])
def test_an_interrupt_cancels_the_cell_in_the_actor(kernel: LiveKernel, line: str, tmp_path: object) -> None:
    wait = "await asyncio.sleep(0.01)" if line == "asynchronous" else "time.sleep(0.01)"
    code = f"import asyncio, pathlib, time\npathlib.Path('{tmp_path}/c').touch()\nwhile True:\n    {wait}"
    cell = kernel.start(f"%%on {line}\n{code}")
    kernel.interrupt_when(f"{tmp_path}/c")
    kernel.until(lambda: kernel.of(cell, "idle"))
    (error,) = kernel.of(cell, "error")
    assert error["ename"] == "KeyboardInterrupt"
    assert "line 5\n" in "\n".join(error["traceback"])
    assert shown(kernel, f"%%on {line}\nself.value") == "1"


def test_tab_completes_handles_and_options(kernel: LiveKernel) -> None:
    assert {"plain", "threaded", "asynchronous"} <= set(kernel.complete("%%on "))
    assert "--now" in kernel.complete("%%on plain --")


def test_tab_completes_the_attributes_of_the_instance(kernel: LiveKernel) -> None:
    kernel.run("%%on plain\nself.model = type('Model', (), {'weights': 1})()")
    assert "self.value" in kernel.complete("%%on plain\nself.")
    assert kernel.complete("%%on plain\nx = 1\nprint(self.va") == ["self.value"]
    assert "self.model.weights" in kernel.complete("%%on plain\nself.model.")
    assert "self.value" in kernel.complete("%%on 'by name'\nself.")
    assert "self.value" not in kernel.complete("self.")


def test_tab_completes_while_the_actor_is_busy(kernel: LiveKernel, tmp_path: Path) -> None:
    path = str(tmp_path / "begun")
    kernel.run(f"call = plain.block.remote({path!r}); begun({path!r})")
    assert "self.value" in kernel.complete("%%on plain\nself.")


def test_the_cell_sees_the_globals_of_the_class(kernel: LiveKernel) -> None:
    kernel.run(
        "import math\nLIMIT = 7\n@ray.remote\nclass User:\n    def area(self): return math.pi * LIMIT\n"
        "user = User.remote()"
    )
    assert shown(kernel, "%%on user\nLIMIT, round(math.pi)") == "(7, 3)"
    assert shown(kernel, "%%on user\nLIMIT = 8\nLIMIT") == "8"
    assert shown(kernel, "%%on user\nLIMIT, round(self.area())") == "(8, 22)"


def test_a_cell_that_waits_says_what_runs_and_how_to_look(kernel: LiveKernel, tmp_path: Path) -> None:
    path = str(tmp_path / "begun")
    kernel.run(f"call = plain.block.remote({path!r}); begun({path!r})")
    cell = kernel.start("%%on plain\nself.value")
    kernel.until(lambda: kernel.of(cell, "stream"))
    text = kernel.of(cell, "stream")[0]["text"]
    assert re.search(r"plain has run Plain.block for [\d.]+ s, and this cell waits its turn", text)
    assert "`%%on --now plain` looks inside at once" in text
    kernel.interrupt()
    kernel.until(lambda: kernel.of(cell, "idle"))


def test_a_cell_that_runs_long_itself_is_not_told_to_wait(kernel: LiveKernel) -> None:
    cell = kernel.run("%%on plain\nimport time\ntime.sleep(0.6)")
    assert not kernel.of(cell, "stream")


MANY = """
@ray.remote
class Worker:
    def __init__(self, number):
        self.number = number
workers = [Worker.remote(number) for number in range(3)]
ray.get([worker.__ray_ready__.remote() for worker in workers])
first, second, third = workers
"""


def test_a_cell_runs_in_a_list_of_actors_and_shows_one_after_the_other(kernel: LiveKernel) -> None:
    kernel.run(MANY)
    cell = kernel.run("%%on workers -o values\nprint('one')\nprint('two', self.number)\nself.number * 2")
    shown_parts = [
        content["text"] if kind == "stream" else content["data"]["text/plain"]
        for owner, kind, content in kernel.messages
        if owner == cell and kind in ("stream", "display_data")
    ]
    expected = [f"── workers[{number}]\none\ntwo {number}\n{number * 2}" for number in range(3)]
    assert "".join(shown_parts) == "".join(expected)
    assert shown(kernel, "values") == "[0, 2, 4]"


def test_a_list_may_name_its_actors(kernel: LiveKernel) -> None:
    kernel.run(MANY)
    cell = kernel.run("%%on [third, first]\nprint(self.number)")
    assert kernel.text(cell) == "── third\n2\n── first\n0\n"


def test_failures_in_a_list_of_actors_are_counted(kernel: LiveKernel) -> None:
    kernel.run(MANY)
    cell = kernel.start("%%on workers -o values\n1 / self.number if self.number != 1 else self.nope")
    kernel.until(lambda: kernel.of(cell, "idle"))
    told = "".join(part["text"] for part in kernel.of(cell, "stream") if part["name"] == "stderr")
    assert told.splitlines() == [
        "%%on: failed in 2 of 3 actors",
        "  ZeroDivisionError: division by zero (1: workers[0])",
        "  AttributeError: 'Worker' object has no attribute 'nope' (1: workers[1])",
    ]
    [error] = kernel.of(cell, "error")
    assert error["ename"] == "ZeroDivisionError"
    assert shown(kernel, "values") == "[None, None, 0.5]"
