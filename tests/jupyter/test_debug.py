"""Debugging what runs in other processes, in a real kernel whose prompts are answered."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from debugged_kernel import DebuggedKernel
from jupyter_core.utils import ensure_event_loop

pytestmark = pytest.mark.slow

SETUP = """
%load_ext nbactors
import nbactors as ray
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
from nbactors.testing.polling import eventually
eventually(lambda: isinstance(sys.last_value, ZeroDivisionError))
"""


@pytest.fixture(scope="module")
def process() -> Iterator[DebuggedKernel]:
    loop = ensure_event_loop()
    kernel = DebuggedKernel()
    yield kernel
    kernel.stop()
    loop.close()


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
def test_debug_after_other_ways_to_wait(kernel: DebuggedKernel, failing: str) -> None:
    kernel.run(failing)
    said = plain(kernel.run("%debug", ["p kept", "up", "p word", "q"]))
    assert ", 0]" in said
    assert "'spamspamspam'" in said


def test_debug_after_a_nested_call_leads_up_through_both_processes(kernel: DebuggedKernel) -> None:
    kernel.run("ray.get(outer.remote(divider))")
    assert "'here'" in plain(kernel.run("%debug", ["up", "up", "p outside", "q"]))


def test_debug_after_a_generator_and_a_remote_cell(kernel: DebuggedKernel) -> None:
    kernel.run("for ref in divider.stream.options(num_returns='streaming').remote():\n    ray.get(ref)")
    assert "'eggs'" in plain(kernel.run("%debug", ["p last", "q"]))
    kernel.run("%%remote\nnumber = 12\nnumber / 0")
    kernel.run(AWAIT_SHOWN)
    assert "12" in plain(kernel.run("%debug", ["p number", "q"]))
