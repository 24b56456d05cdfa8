"""Calls of a notebook whose session is on a Ray cluster: `breakpoint()`, `input()`, and `%debug` after a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from debugged_kernel import DebuggedKernel
from jupyter_core.utils import ensure_event_loop

from cluster.conftest import ENVIRONMENT

SETUP = """
%load_ext nbactors
import nbactors as ray
from nbactors.jupyter.failures import waiting_breakpoints
from nbactors.testing.polling import eventually
from nbactors.util import state
ray.init(engine="ray", num_cpus=4)

@ray.remote
class Stopper:
    def __init__(self):
        self.count = 5
    def run(self, number):
        doubled = number * 2
        breakpoint()
        tripled = number * 3
        return doubled, tripled, self.count
    async def arun(self, number):
        breakpoint()
        return number
    def ask(self):
        return "got " + input("name? ")

@ray.remote
class Plain:
    def run(self, number):
        doubled = number * 2
        breakpoint()
        tripled = number * 3
        return doubled, tripled
    def ask(self):
        return "got " + input("name? ")
    def steps(self, number):
        for place in range(number):
            if place == 1:
                breakpoint()
            yield place * 10

@ray.remote
def halve(number):
    half = number / 2
    ray.util.pdb.set_trace()
    return half

def divide(numerator, denominator):
    kept = [numerator, denominator]
    return numerator / denominator

@ray.remote
class Divider:
    def run(self, number):
        word = "spam" * 3
        return divide(number, 0)
    async def arun(self, number):
        word = "spam" * 3
        return divide(number, 0)
    def stream(self):
        word = "spam" * 3
        yield 1
        divide(3, 0)

@ray.remote
def outer(actor):
    outside = "here"
    return ray.get(actor.run.remote(3))

divider = Divider.remote()
plain, stopper = Plain.remote(), Stopper.remote()
ray.get([plain.__ray_ready__.remote(), stopper.__ray_ready__.remote()])
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[DebuggedKernel]:
    loop = ensure_event_loop()
    with pytest.MonkeyPatch.context() as environ:
        for name, value in ENVIRONMENT.items():
            environ.setenv(name, value)
        kernel = DebuggedKernel()
    try:
        said = kernel.run(SETUP)
        assert "Error" not in said, said
        yield kernel
        kernel.run("ray.shutdown()")
    finally:
        kernel.stop()
        loop.close()


@pytest.mark.parametrize("call", ["plain.run", "stopper.run"], ids=["plain", "in an asyncio actor"])
def test_a_breakpoint_opens_the_prompt_in_the_cell_that_waits(kernel: DebuggedKernel, call: str) -> None:
    said = kernel.run(f"print(ray.get({call}.remote(7), timeout=60))", ["p doubled", "doubled = 1", "c"])
    assert "stopped at breakpoint(): Cell In[" in said
    assert "14\n" in said
    assert "(1, 21" in said


def test_a_breakpoint_in_a_coroutine(kernel: DebuggedKernel) -> None:
    assert kernel.run("print(ray.get(stopper.arun.remote(7), timeout=60))", ["number = 8", "c"]).endswith("8\n")


@pytest.mark.parametrize(
    "reading",
    [
        "print([ray.get(ref) for ref in plain.steps.remote(3)])",
        "print(ray.get(list(plain.steps.remote(3))))",
        "steps = plain.steps.remote(3); ray.wait([steps.completed()], timeout=60); print(ray.get(list(steps)))",
    ],
    ids=["for", "list", "wait"],
)
def test_a_breakpoint_in_a_generator(kernel: DebuggedKernel, reading: str) -> None:
    assert kernel.run(reading, ["place = 7", "c"]).endswith("[0, 70, 20]\n")


def test_set_trace_in_a_task(kernel: DebuggedKernel) -> None:
    said = kernel.run("print(ray.get(halve.remote(7), timeout=60))", ["p half", "half = 4", "c"])
    assert "3.5" in said
    assert said.endswith("4\n")


def test_input_asks_once(kernel: DebuggedKernel) -> None:
    assert kernel.run("print(ray.get(plain.ask.remote(), timeout=60))", ["Ada"]).endswith("got Ada\n")


def test_a_stopped_call_is_listed_as_paused_and_the_magic_attaches(kernel: DebuggedKernel) -> None:
    said = kernel.run(
        "ref = plain.run.remote(7)\n"
        "eventually(lambda: waiting_breakpoints._told)\n"
        "print([call['paused'] for call in state.inspect_actor(plain._actor_id.hex())['running']])"
    )
    assert "`%debugger Plain` opens" in said
    assert said.endswith("[True]\n")
    assert "14\n" in kernel.run("%debugger", ["p doubled"])
    assert kernel.run("print(ray.get(ref, timeout=60))").endswith("(14, 21)\n")


def test_the_stop_button_at_the_prompt_lets_the_call_go_on(kernel: DebuggedKernel) -> None:
    said = kernel.run("print(ray.get(plain.run.remote(7), timeout=60))", [None])
    assert "left the debugger" in said
    assert said.endswith("(14, 21)\n")


def test_a_front_end_that_cannot_ask_lets_the_call_go_on(kernel: DebuggedKernel) -> None:
    said = kernel.run("print(ray.get(plain.run.remote(7), timeout=60))", allow_stdin=False)
    assert "nobody can be asked here" in said
    assert said.endswith("(14, 21)\n")


def test_a_waiting_call_can_be_cancelled(kernel: DebuggedKernel) -> None:
    said = kernel.run(
        "ref = plain.run.remote(7)\n"
        "eventually(lambda: waiting_breakpoints._told)\n"
        "ray.cancel(ref, interrupt=True)\n"
        "try:\n    ray.get(ref, timeout=60)\nexcept ray.exceptions.TaskCancelledError:\n    print('cancelled')"
    )
    assert said.endswith("cancelled\n")


@pytest.mark.parametrize(
    "failing",
    [
        "ray.get(divider.run.remote(3))",
        "await divider.arun.remote(3)",
        "for ref in divider.stream.remote():\n    ray.get(ref)",
        "ray.get(outer.remote(divider))",
    ],
    ids=["get", "await", "a generator", "a nested call"],
)
def test_debug_enters_the_frames_of_a_failed_call(kernel: DebuggedKernel, failing: str) -> None:
    assert "ZeroDivisionError" in kernel.run(failing)
    said = kernel.run("%debug", ["p kept", "up", "p word", "q"])
    assert "[3, 0]" in said
    assert "'spamspamspam'" in said


def test_debug_goes_up_through_both_processes_of_a_nested_call(kernel: DebuggedKernel) -> None:
    kernel.run("ray.get(outer.remote(divider))")
    assert "'here'" in kernel.run("%debug", ["up", "up", "p outside", "q"])


def test_breakpoint_in_the_session_s_own_process_is_left_to_python(ray: Any) -> None:
    """Ray's function for it would wait for a debugger from outside."""
    assert ray.is_initialized()
    assert "PYTHONBREAKPOINT" not in os.environ
