"""Debugging what runs in other processes, in a real kernel whose prompts are answered."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from debugged_kernel import DebuggedKernel

pytestmark = pytest.mark.slow

SETUP = """
%load_ext nbactors
import nbactors as ray
from nbactors.jupyter.failures import waiting_breakpoints
from nbactors.testing.polling import eventually
ray.init(num_cpus=4)

def divide(numerator, denominator):
    kept = [numerator, denominator]
    return numerator / denominator

@ray.remote
class Divider:
    def __repr__(self):
        return "the divider"
    def run(self, number):
        word = "spam" * 3
        return divide(number, 0)
    def stream(self):
        yield 1
        last = "eggs"
        raise ValueError("no more")

@ray.remote
def outer(actor):
    outside = "here"
    return ray.get(actor.run.remote(7))

divider = Divider.remote()
"""


AWAIT_SHOWN = """
import sys
eventually(lambda: isinstance(sys.last_value, ZeroDivisionError))
"""


@pytest.fixture(scope="module")
def process() -> Iterator[DebuggedKernel]:
    kernel = DebuggedKernel()
    yield kernel
    kernel.stop()


@pytest.fixture
def kernel(process: DebuggedKernel) -> Iterator[DebuggedKernel]:
    process.run(SETUP)
    yield process
    process.run("del divider\nray.shutdown()")


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_debug_enters_the_remote_frames(kernel: DebuggedKernel) -> None:
    failed = kernel.run("ref = divider.run.remote(3)\nray.get(ref)")
    assert "ZeroDivisionError" in failed
    said = plain(
        kernel.run(
            "%debug", ["p kept", "list", "where", "up", "p self", "p word", "up", "p ref", "q"], allow_stdin=True
        )
    )
    assert "[3, 0]" in said
    assert "return numerator / denominator" in said
    assert "the divider" in said
    assert "'spamspamspam'" in said
    assert "ObjectRef(" in said
    assert "nbactors/" not in said
    kernel.run("%tb")
    assert "divide(" in plain(kernel.tracebacks[-1])
    assert "p kept" not in kernel.tracebacks[-1]
    assert kernel.run("print(ray.get(outer.__ray_ready__.remote()) if 0 else 'goes on')") == "goes on\n"


@pytest.mark.parametrize("failing", ["await divider.run.remote(4)", "ray.get(outer.remote(divider))"])
def test_debug_enters_the_remote_frames_after_every_way_to_wait(kernel: DebuggedKernel, failing: str) -> None:
    kernel.run(failing)
    said = plain(kernel.run("%debug", ["p kept", "up", "p word", "q"]))
    assert ", 0]" in said
    assert "'spamspamspam'" in said


def test_debug_goes_up_through_both_processes_of_a_nested_call(kernel: DebuggedKernel) -> None:
    kernel.run("ray.get(outer.remote(divider))")
    assert "'here'" in plain(kernel.run("%debug", ["up", "up", "p outside", "q"]))


def test_debug_enters_the_frames_of_a_generator_and_of_a_remote_cell(kernel: DebuggedKernel) -> None:
    kernel.run("for ref in divider.stream.options(num_returns='streaming').remote():\n    ray.get(ref)")
    assert "'eggs'" in plain(kernel.run("%debug", ["p last", "q"]))
    kernel.run("%%remote\nnumber = 12\nnumber / 0")
    kernel.run(AWAIT_SHOWN)
    assert "12" in plain(kernel.run("%debug", ["p number", "q"]))


PAUSING = """
@ray.remote
class Stopper:
    def __init__(self):
        self.count = 5
    def run(self, number):
        doubled = number * 2
        breakpoint()
        tripled = number * 3
        return doubled, tripled, self.count
stopper = Stopper.remote()
"""


@pytest.fixture
def stopping(kernel: DebuggedKernel) -> Iterator[DebuggedKernel]:
    kernel.run(PAUSING)
    yield kernel
    kernel.run("del stopper")


def test_set_trace_of_ray_s_module_is_a_breakpoint(kernel: DebuggedKernel) -> None:
    kernel.run("@ray.remote\ndef halve(number):\n    half = number / 2\n    ray.util.pdb.set_trace()\n    return half")
    said = plain(kernel.run("print(ray.get(halve.remote(7), timeout=60))", ["p half", "up", "half = 4", "c"]))
    assert re.search(r"> Cell In\[\d+\]\(\d+\)halve\(\)\n-> (ray.util.pdb|return half)", said)
    assert "3.5" in said
    assert "pdb.py" not in said
    assert said.endswith("4\n")


def test_breakpoint_opens_the_prompt_in_the_cell_that_waits(stopping: DebuggedKernel) -> None:
    said = stopping.run(
        "print(ray.get(stopper.run.remote(7), timeout=60))",
        ["p doubled", "where", "up", "n", "p self.count", "self.count = 6", "c"],
    )
    assert "stopped at breakpoint()" in said
    assert "c goes on" in said
    assert re.search(r"> Cell In\[\d+\]\(\d+\)run\(\)\n-> (breakpoint|tripled)", said)
    assert "ipykernel" not in said
    assert "nbactors/" not in said
    assert "14\n" in said
    assert "5\n" in said
    assert said.endswith("(14, 21, 6)\n")


def test_a_call_that_stops_before_its_cell_waits_is_debugged_in_that_cell(stopping: DebuggedKernel) -> None:
    said = stopping.run(
        "ray.get(stopper.__ray_ready__.remote())\n"
        "ref = stopper.run.remote(7)\n"
        "eventually(lambda: waiting_breakpoints.stopped())\n"
        "print(ray.get(ref))",
        ["p doubled"],
    )
    assert "14\n" in said
    assert "%debugger" not in said
    assert said.endswith("(14, 21, 5)\n")


def test_a_cell_that_does_not_wait_is_told_of_a_stopped_call_before_its_end(stopping: DebuggedKernel) -> None:
    said = stopping.run(
        "ray.get(stopper.__ray_ready__.remote())\n"
        "ref = stopper.run.remote(7)\n"
        "eventually(lambda: waiting_breakpoints._told)\n"
        "print('told')",
    )
    assert said.index("`%debugger Stopper` opens") < said.index("told\n")
    assert "14\n" in stopping.run("%debugger", ["p doubled"])
    assert stopping.run("print(ray.get(ref))") == "(14, 21, 5)\n"


def test_quitting_fails_the_call_and_the_actor_goes_on(stopping: DebuggedKernel) -> None:
    said = stopping.run("ray.get(stopper.run.remote(7))", ["q"])
    assert "RuntimeError" in said
    assert "this call was ended with `q`" in said
    assert "(2, 3, 5)" in stopping.run("ray.get(stopper.run.remote(1))", ["n", "n", "n"])


def test_an_interrupt_at_the_prompt_lets_the_call_go_on(stopping: DebuggedKernel) -> None:
    said = stopping.run("print(ray.get(stopper.run.remote(7)))", [None])
    assert "left the debugger" in said
    assert said.endswith("(14, 21, 5)\n")


def test_a_front_end_that_cannot_ask_lets_the_call_go_on(stopping: DebuggedKernel) -> None:
    said = stopping.run("print(ray.get(stopper.run.remote(7)))", allow_stdin=False)
    assert "nobody can be asked here" in said
    assert said.endswith("(14, 21, 5)\n")


def test_the_debugger_magic_attaches_later(stopping: DebuggedKernel) -> None:
    stopping.run("ray.get(stopper.__ray_ready__.remote())\nref = stopper.run.remote(7)")
    stopping.run("from nbactors.testing.polling import eventually\neventually(lambda: waiting_breakpoints.stopped())")
    assert "these do: Stopper" in stopping.run("%debugger nobody")
    # The prompt and the output come on two channels, in no order.
    said = stopping.run("%debugger Stopper", ["p doubled", "c"])
    assert "14\n" in said
    assert "(Pdb)" in said
    assert "(14, 21, 5)" in stopping.run("ray.get(ref)")
    assert "no call waits" in stopping.run("%debugger")


def test_an_inspection_tells_that_a_call_is_paused(stopping: DebuggedKernel) -> None:
    stopping.run("ray.get(stopper.__ray_ready__.remote())\nref = stopper.run.remote(7)")
    stopping.run("eventually(lambda: waiting_breakpoints.stopped())\nfrom nbactors.util import state")
    said = stopping.run("print(*((c['arguments'], c['paused']) for c in state.inspect_actor(stopper)['running']))")
    assert said == "([('number', '7')], True)\n"
    assert "14\n" in stopping.run("%debugger Stopper", ["p doubled", "c"])
    assert "(14, 21, 5)" in stopping.run("ray.get(ref)")


def test_a_detached_actor_goes_on_when_its_session_ends(kernel: DebuggedKernel) -> None:
    kernel.run(PAUSING + "\nkept = Stopper.options(name='kept', namespace='debug', lifetime='detached').remote()")
    kernel.run("ray.get(kept.__ray_ready__.remote())\nref = kept.run.remote(7)")
    kernel.run("from nbactors.testing.polling import eventually\neventually(lambda: waiting_breakpoints.stopped())")
    kernel.run("del stopper, divider, kept, ref\nray.shutdown()")
    kernel.run("ray.init(num_cpus=4)\ndivider = None\nkept = ray.get_actor('kept', namespace='debug')")
    assert kernel.run("print(ray.get(kept.__ray_ready__.remote(), timeout=30))") == "True\n"
    kernel.run("ray.kill(kept)\ndel kept")


ASKING = """
@ray.remote
class Asker:
    def ask(self, prompt):
        return input(prompt).upper()

asker = Asker.remote()
"""


@pytest.fixture
def asking(kernel: DebuggedKernel) -> Iterator[DebuggedKernel]:
    kernel.run(ASKING)
    yield kernel
    kernel.run("del asker")


def test_input_in_a_call_asks_in_the_cell_that_waits(asking: DebuggedKernel) -> None:
    said = asking.run("print(ray.get(asker.ask.remote('name? ')))", ["ada"])
    # Prompts and output come by two channels, in any order.
    assert "asks:" in said
    assert "name? " in said
    assert "ADA\n" in said
    assert "A B\n" in asking.run("print(*ray.get([asker.ask.remote('1? '), asker.ask.remote('2? ')]))", ["a", "b"])


def test_input_in_a_call_waits_for_the_next_cell_that_waits(asking: DebuggedKernel) -> None:
    asking.run("ray.get(asker.__ray_ready__.remote())\nref = asker.ask.remote('name? ')")
    asking.run("from nbactors.testing.polling import eventually\neventually(lambda: waiting_breakpoints.stopped())")
    told = "from nbactors.util import state\nprint(*(c['paused'] for c in state.inspect_actor(asker)['running']))"
    assert asking.run(told) == "True\n"
    assert "ADA\n" in asking.run("print(ray.get(ref))", ["ada"])


def test_input_without_an_answer_says_why(asking: DebuggedKernel) -> None:
    assert "no notebook has answered" in asking.run("ray.get(asker.ask.remote('name? '))", allow_stdin=False)
    assert "not answered" in asking.run("ray.get(asker.ask.remote('name? '))", [None])
