"""A real kernel: detached actors across its restart, interrupts, its death, output and history."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager

from nbactors.testing.polling import eventually

REPLY_S = 30


class Kernel:
    """A kernel as a notebook has it, with a session name of its own."""

    def __init__(self, name: str) -> None:
        self._manager = KernelManager()
        self._manager.start_kernel(env={**os.environ, "JPY_SESSION_NAME": name})
        self._connect()

    def _connect(self) -> None:
        self._client = self._manager.client()
        self._client.session.metadata = {"cellId": "a live front end"}
        self._client.start_channels()
        self._client.wait_for_ready(timeout=REPLY_S)

    def start(self, code: str) -> str:
        """Run a cell; returns at once."""
        # After an error ipykernel drops what comes before it has looked for more, as if it had been waiting already.
        return self._client.execute(code, stop_on_error=False)

    def run(self, code: str) -> str:
        """Run a cell to its end and return what it printed; fails if it raises."""
        text, error = self.finish(self.start(code))
        assert not error, error
        return text

    def finish(self, cell: str) -> tuple[str, str]:
        """Return what a cell printed, and its error."""
        text = error = ""
        while True:
            message = self._next()
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif message["msg_type"] in ("display_data", "execute_result"):
                text += content["data"]["text/plain"]
            elif message["msg_type"] == "error":
                error = f"{content['ename']}: {content['evalue']}"
            if content.get("execution_state") == "idle":
                return text, error

    def read_until(self, wanted: str) -> str:
        """Return what was printed up to `wanted`, under whichever cell."""
        text = ""
        while wanted not in text:
            message = self._next()
            if message["msg_type"] == "stream":
                text += message["content"]["text"]
        return text

    def _next(self) -> dict[str, Any]:
        try:
            return self._client.get_iopub_msg(timeout=REPLY_S)
        except queue.Empty:
            raise AssertionError(f"the kernel said nothing for {REPLY_S} s") from None

    def interrupt(self) -> None:
        """Press the stop button."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """Restart it, as the button does."""
        self._client.stop_channels()
        self._manager.restart_kernel(now=True)
        self._connect()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._manager.signal_kernel(9)

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path: Any) -> Iterator[Kernel]:
    kernel = Kernel(f"{tmp_path}/notebook.ipynb")
    try:
        yield kernel
    finally:
        kernel.stop()


SETUP = """
import os, time
import nbactors as ray

@ray.remote
class Counter:
    def __init__(self):
        self.value = 0
    def increment(self):
        self.value += 1
        return self.value
    def pid(self):
        return os.getpid()
    def sleep(self, seconds):
        print("sleeping")
        time.sleep(seconds)
        return "slept"
    def say(self, text):
        print(text)
"""


def is_running(pid: int) -> bool:
    # One look, and not first whether there is such a process: it may go in between.
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_detached_actor_is_found_after_a_restart(kernel: Kernel) -> None:
    kernel.run(SETUP)
    kernel.run("keeper = Counter.options(name='keeper', lifetime='detached').remote()")
    kernel.run("other = Counter.remote()")
    assert kernel.run("ray.get(keeper.increment.remote())") == "1"
    other = int(kernel.run("ray.get(other.pid.remote())"))
    kernel.restart()
    assert (
        kernel.run("import nbactors as ray; keeper = ray.get_actor('keeper'); ray.get(keeper.increment.remote())")
        == "2"
    )
    eventually(lambda: not is_running(other), timeout_s=5)
    kernel.run("ray.kill(keeper)")


def test_an_interrupt_ends_a_get_and_no_actor(kernel: Kernel) -> None:
    kernel.run(SETUP + "counter = Counter.remote(); ray.get(counter.increment.remote())")
    cell = kernel.start("ray.get(counter.sleep.remote(60))")
    kernel.read_until("sleeping")
    kernel.interrupt()
    _, error = kernel.finish(cell)
    assert error.startswith("KeyboardInterrupt")
    assert kernel.run("ray.get(Counter.remote().increment.remote())") == "1"
    assert kernel.run("ray.kill(counter); ray.is_initialized()") == "True"


def test_a_killed_kernel_leaves_no_worker(kernel: Kernel) -> None:
    kernel.run(SETUP + "counter = Counter.remote()")
    pid = int(kernel.run("ray.get(counter.pid.remote())"))
    kernel.kill()
    eventually(lambda: not is_running(pid), timeout_s=5)


def test_printed_lines_show_with_the_actor_s_prefix(kernel: Kernel) -> None:
    kernel.run(SETUP + "counter = Counter.remote(); pid = ray.get(counter.pid.remote())")
    kernel.start("ref = counter.say.remote('hello from an actor')")
    text = kernel.read_until("hello from an actor")
    assert "(Counter pid=" in text.splitlines()[-1]


def test_a_shown_handle_keeps_no_actor_alive(kernel: Kernel) -> None:
    kernel.run(SETUP + "counter = Counter.remote(); pid = ray.get(counter.pid.remote())")
    pid = int(kernel.run("pid"))
    assert kernel.run("counter").startswith("Actor(Counter, ")
    kernel.run("del counter")
    kernel.run("1 + 1")
    eventually(lambda: not is_running(pid), timeout_s=5)


def test_an_error_shows_the_frames_of_the_cell(kernel: Kernel) -> None:
    kernel.run("import nbactors as ray\n@ray.remote\ndef divide(x):\n    return 1 / x")
    cell = kernel.start("ray.get(divide.remote(0))")
    _, error = kernel.finish(cell)
    assert error.startswith("RayTaskError(ZeroDivisionError): ray::divide()")
    assert "return 1 / x" in error, "the cell's source is found in the worker too"
    assert "nbactors/local" not in error


def test_writing_to_a_shared_array_is_explained(kernel: Kernel) -> None:
    kernel.run("import nbactors as ray, numpy\narray = ray.get(ray.put(numpy.zeros(1_000_000)))")
    cell = kernel.start("array[0] = 1")
    text, error = kernel.finish(cell)
    assert error.startswith("ValueError: assignment destination is read-only")
    assert "array.copy()" in text


@pytest.mark.slow
def test_a_cell_awaits_references_and_generators(kernel):
    kernel.run("""
        import asyncio
        import nbactors as ray
        @ray.remote
        class Teller:
            def double(self, x):
                return 2 * x
            async def later(self, x):
                await asyncio.sleep(0)
                return x
        class Counter:
            def count(self, n):
                yield from range(n)
        teller = Teller.remote()
        counter = ray.remote(Counter).remote()
    """)
    assert kernel.run("await teller.double.remote(21)") == "42"
    assert kernel.run("await asyncio.gather(*[teller.later.remote(i) for i in range(5)])") == "[0, 1, 2, 3, 4]"
    assert kernel.run("[await ref async for ref in counter.count.remote(3)]") == "[0, 1, 2]"
    assert kernel.run("len((await asyncio.wait([teller.later.remote(1), teller.double.remote(1)]))[0])") == "2"
