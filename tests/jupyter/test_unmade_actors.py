"""Actors whose constructor fails, in a real kernel."""

from __future__ import annotations

import sys

import pytest
from live_kernel import LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
@ray.remote
class Broken:
    def __init__(self, text="no data file"):
        raise RuntimeError(text)
    def call(self):
        return 1
"""


def test_a_constructor_that_raises_is_shown_under_its_cell_though_nobody_calls_the_actor(kernel: LiveKernel) -> None:
    cell = kernel.run("broken = Broken.remote()")
    other = kernel.run("time.sleep(0.1)")
    kernel.until(lambda: kernel.of(cell, "error"))
    [error] = kernel.of(cell, "error")
    assert (error["ename"], error["evalue"]) == ("RuntimeError", "no data file")
    assert error["traceback"][0].startswith("ray::Broken.__init__() (pid=")
    assert error["traceback"][1].startswith("  Cell In[")
    assert error["traceback"][-1] == "RuntimeError: no data file"
    assert not kernel.of(other, "error")


def test_the_cell_shows_it_while_it_still_runs(kernel: LiveKernel) -> None:
    cell = kernel.start("broken = Broken.remote()\nwhile True: time.sleep(0.01)")
    kernel.until(lambda: kernel.of(cell, "error"))
    assert not kernel.of(cell, "idle")
    kernel.interrupt()
    kernel.until(lambda: kernel.of(cell, "idle"))


def test_a_cell_that_fails_for_it_shows_it_once(kernel: LiveKernel) -> None:
    cell = kernel.start("broken = Broken.remote()\nray.get(broken.call.remote())")
    kernel.until(lambda: kernel.of(cell, "idle"))
    later = kernel.run("other = Broken.remote('another')")
    kernel.until(lambda: kernel.of(later, "error"))
    [error] = kernel.of(cell, "error")
    assert error["ename"] == "ActorDiedError"
    assert error["evalue"].startswith(
        "The actor died because of an error raised in its creation task, RuntimeError: no data file\n"
    )


def test_actors_that_fail_alike_are_shown_together(kernel: LiveKernel) -> None:
    cell = kernel.run("many = [Broken.remote() for _ in range(3)] + [Broken.remote('another')]")
    kernel.until(lambda: "another" in str(kernel.of(cell, "error")) and "no data" in str(kernel.of(cell, "error")))
    errors = {error["evalue"]: error["traceback"][0] for error in kernel.of(cell, "error")}
    assert errors["no data file"].endswith(", and 2 more alike")
    assert "alike" not in errors["another"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception groups")
def test_an_exception_group_is_shown_whole(kernel: LiveKernel) -> None:
    cell = kernel.run(
        "@ray.remote\nclass Many:\n    def __init__(self):\n"
        "        raise ExceptionGroup('many', [ValueError('first')])\nmany = Many.remote()"
    )
    kernel.until(lambda: kernel.of(cell, "error"))
    [error] = kernel.of(cell, "error")
    assert error["ename"] == "ExceptionGroup"
    assert any("ValueError: first" in line for line in error["traceback"])


@pytest.mark.parametrize(
    ("body", "state"),
    [("pass", "alive, pid"), ("raise RuntimeError('no data file')", "dead: RuntimeError: no data file")],
)
def test_the_card_of_a_new_actor_shows_what_became_of_it(kernel: LiveKernel, body: str, state: str) -> None:
    cell = kernel.run(f"%%actor new\nclass New:\n    def __init__(self):\n        {body}")
    # A process that is alive runs the constructor first.
    kernel.until(lambda: state in str(kernel.of(cell, "update_display_data")))
    data = kernel.last(cell)
    assert state in data["text/plain"]
    assert "starting" not in data["text/html"]


def test_a_dead_actor_and_its_calls_name_the_exception(kernel: LiveKernel) -> None:
    cell = kernel.run("broken = Broken.remote()")
    kernel.until(lambda: kernel.of(cell, "error"))
    shown = kernel.run("broken")
    assert "dead: RuntimeError: no data file" in kernel.of(shown, "display_data")[0]["data"]["text/plain"]
    shown = kernel.run("broken.call.remote()")
    assert "RuntimeError: no data file" in kernel.of(shown, "execute_result")[0]["data"]["text/plain"]
