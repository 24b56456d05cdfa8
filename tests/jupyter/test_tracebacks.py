"""Tracebacks of failed cells in a real kernel: what a user sees of them, and what not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from live_kernel import LiveKernel

pytestmark = pytest.mark.slow

COLOURS = re.compile(r"\x1b\[[0-9;]*m")

SETUP = """
import asyncio, json
from concurrent.futures import as_completed
from nbactors.util import progress

@ray.remote
class Plain:
    def bad(self):
        raise ValueError("oops")
    def chained(self):
        try:
            {}["key"]
        except KeyError as error:
            raise RuntimeError("outer") from error
    def items(self):
        yield 1
        raise ValueError("oops")
    def passes_on(self, other):
        return ray.get(other.bad.remote())
    def misspells(self):
        compile("1 +", "made_up.py", "exec")
    def group(self):
        raise ExceptionGroup("many", [ValueError("oops")])
    def parses(self):
        json.loads("{")
    def sleep(self, path):
        open(path, "w").close()
        time.sleep(60)

@ray.remote
class Async:
    async def bad(self):
        raise ValueError("oops")

@ray.remote
def task():
    raise ValueError("oops")

class Unpicklable:
    def __reduce__(self):
        raise ValueError("oops")

async def waits(ref):
    await ref

plain, other, asynchronous = Plain.remote(), Plain.remote(), Async.remote()
"""


def failure(kernel: LiveKernel, code: str) -> tuple[int, str]:
    """Run a cell to its end; return its number, and the error that it shows."""
    cell = kernel.start(code)
    kernel.until(lambda: kernel.of(cell, "idle") and kernel.of(cell, "error"))
    [error] = kernel.of(cell, "error")
    return kernel.of(cell, "execute_input")[0]["execution_count"], COLOURS.sub("", "\n".join(error["traceback"]))


@pytest.mark.parametrize(
    "code",
    ["%%actor\nclass A:\n    1 / 0", "%%on plain\n1 / 0", "%%remote\n1 / 0"],
    ids=lambda code: code.partition("\n")[0],
)
def test_a_cell_below_a_magic_has_the_number_that_the_notebook_shows(kernel: LiveKernel, code: str) -> None:
    number, shown = failure(kernel, code)
    assert set(re.findall(r"In\[(\d+)\]", shown)) == {str(number)}


ENDS_IN_A_CELL = {
    "get": "ray.get(plain.bad.remote())",
    "get of a list": "ray.get([plain.bad.remote()])",
    "get with a timeout": "ray.get(plain.__ray_call__.remote(lambda self: time.sleep(1)), timeout=0.01)",
    "get of a wrong value": "ray.get(5)",
    "wait": "ray.wait([5])",
    "await": "await plain.bad.remote()",
    "gather": "await asyncio.gather(asynchronous.bad.remote())",
    "wait_for": "await asyncio.wait_for(plain.bad.remote(), 10)",
    "future": "plain.bad.remote().future().result()",
    "as_completed": "for done in as_completed([plain.bad.remote().future()]): done.result()",
    "progress": "for ref in progress([plain.bad.remote()]): ray.get(ref)",
    "generator": "for ref in plain.items.remote(): ray.get(ref)",
    "async generator": "async for ref in plain.items.remote(): await ref",
    "actor that calls another": "ray.get(plain.passes_on.remote(other))",
    "asyncio actor": "ray.get(asynchronous.bad.remote())",
    "task": "ray.get(task.remote())",
    "chained cause": "ray.get(plain.chained.remote())",
    "cause of the user's error": "try: ray.get(plain.bad.remote())\nexcept ValueError as e: raise LookupError from e",
    "context of the user's error": "try: ray.get(plain.bad.remote())\nexcept ValueError: {}['key']",
    "syntax error": "ray.get(plain.misspells.remote())",
    "attribute of a handle": "plain.nope",
    "call of a method": "plain.bad()",
    "call of a class": "Plain()",
    "wrong arguments": "plain.bad.remote(1)",
    "wrong option": "Plain.options(num_cpus='many')",
    "unknown actor": "ray.get_actor('nope')",
    "dead actor": "dead = Plain.remote(); ray.kill(dead); ray.get(dead.bad.remote())",
    "pickling": "ray.put(Unpicklable())",
    "%%actor": "%%actor\nclass A:\n    x = ray.get(plain.bad.remote())",
    "%%on": "%%on plain\nimport nbactors\nnbactors.get_actor('nope')",
    "%%remote": "%%remote\nray.get(plain.bad.remote())",
}


def test_failed_cells_show_the_users_frames_only(kernel: LiveKernel) -> None:
    for way, code in ENDS_IN_A_CELL.items():
        number, shown = failure(kernel, code)
        assert f"Cell In[{number}]" in shown, way
        for hidden in ("nbactors/", "ipykernel", "asyncio/", "futures/", "skipping hidden"):
            assert hidden not in shown, f"{way}: {shown}"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception groups")
@pytest.mark.parametrize(
    "code",
    [
        "async with asyncio.TaskGroup() as group: group.create_task(waits(plain.bad.remote()))",
        "ray.get(plain.group.remote())",
    ],
)
def test_an_exception_group_shows_the_users_frames_only(kernel: LiveKernel, code: str) -> None:
    number, shown = failure(kernel, code)
    assert "nbactors/" not in shown
    assert "IPython" not in shown
    assert f"Cell In[{number}], line 1" in shown
    assert shown.count("ValueError: oops") == 1


def test_frames_of_an_actor_have_the_number_of_their_cell_and_their_source(kernel: LiveKernel) -> None:
    cell = kernel.run("@ray.remote\nclass A:\n    def bad(self):\n        1 / 0\na = A.remote()")
    number = kernel.of(cell, "execute_input")[0]["execution_count"]
    _, shown = failure(kernel, "ray.get(a.bad.remote())")
    assert f"  Cell In[{number}], line 4, in bad\n    1 / 0\n" in shown


def test_frames_of_libraries_that_the_user_calls_are_shown(kernel: LiveKernel) -> None:
    _, shown = failure(kernel, "ray.get(plain.parses.remote())")
    assert 'json/decoder.py", line' in shown
    _, shown = failure(kernel, "class A:\n    def __reduce__(self): json.loads('{')\nray.put(A())")
    assert "json/decoder.py:" in shown
    assert "cloudpickle" not in shown


def test_a_remote_chain_is_shown_once(kernel: LiveKernel) -> None:
    _, shown = failure(kernel, "ray.get(plain.chained.remote())")
    assert shown.count("KeyError") == 1
    assert shown.count("direct cause") == 1


def test_a_remote_syntax_error_shows_the_call_that_found_it(kernel: LiveKernel) -> None:
    _, shown = failure(kernel, "ray.get(plain.misspells.remote())")
    assert "in misspells" in shown
    assert 'File "made_up.py", line 1' in shown


@pytest.mark.parametrize("mode", ["Plain", "Minimal", "Context"])
def test_each_mode_of_tracebacks_leaves_the_runtime_out(kernel: LiveKernel, mode: str) -> None:
    kernel.run(f"%xmode {mode}")
    try:
        _, shown = failure(kernel, "ray.get(plain.bad.remote())")
    finally:
        kernel.run("%xmode Context")
    assert "nbactors/" not in shown
    assert "in bad\n" in shown


def test_verbose_tracebacks_show_all_frames_also_afterwards(kernel: LiveKernel) -> None:
    _, shown = failure(kernel, "ray.get(plain.bad.remote())")
    kernel.run("%xmode Verbose")
    try:
        _, again = failure(kernel, "%tb")
        _, verbose = failure(kernel, "ray.get(plain.bad.remote())")
    finally:
        kernel.run("%xmode Context")
    assert "nbactors/api.py" not in shown
    assert "nbactors/api.py" in again
    assert "nbactors/api.py" in verbose
    assert "hidden" not in verbose


def test_logging_keeps_all_frames(kernel: LiveKernel) -> None:
    cell = kernel.run(
        "import traceback\ntry:\n    ray.get(plain.bad.remote())\nexcept ValueError:\n    print(traceback.format_exc())"
    )
    text = "".join(part["text"] for part in kernel.of(cell, "stream"))
    assert "nbactors/api.py" in text
    assert "in bad" in text


def test_an_interrupted_wait_shows_the_users_frames_only(kernel: LiveKernel, tmp_path: Path) -> None:
    begun = str(tmp_path / "begun")
    cell = kernel.start(f"ray.get(plain.sleep.remote({begun!r}))")
    kernel.interrupt_when(begun)
    kernel.until(lambda: kernel.of(cell, "error"))
    shown = "\n".join(kernel.of(cell, "error")[0]["traceback"])
    assert "KeyboardInterrupt" in shown
    assert "nbactors/" not in shown
    assert "selectors.py" not in shown


def test_errors_before_the_first_session_show_the_users_frames_only() -> None:
    kernel = LiveKernel()
    try:
        _, shown = failure(kernel, "ray.init(num_cpus=-1)")
    finally:
        kernel.stop()
    assert "nbactors/" not in shown


def test_an_error_without_the_runtime_is_shown_by_ipython_alone(kernel: LiveKernel) -> None:
    _, shown = failure(kernel, "json.loads('{')")
    assert "json/decoder.py:" in shown
