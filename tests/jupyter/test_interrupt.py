"""The stop button of a real kernel: what is waited for ends at once, and nothing but that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_kernel import Kernel

pytestmark = pytest.mark.slow

LONG_S = 60
NOISE_S = 2.0
"""What a busy machine may add to an interrupt; what is waited for would take much longer."""

CLASSES = """
import asyncio, os, threading, time
import nbactors as ray
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.testing import eventually

def tell():
    "Print once this cell waits: an interrupt a moment before would meet nothing to wait for."
    def watch():
        eventually(lambda: INTERRUPTS.sleeper is not None)
        print("waits", flush=True)
    threading.Thread(target=watch).start()

@ray.remote
class Worker:
    def sleep(self, seconds):
        print("busy")
        time.sleep(seconds)
    def relay(self, other, seconds):
        return ray.get(other.sleep.remote(seconds))
    async def nap(self, seconds):
        await asyncio.sleep(seconds)
    def count(self):
        for i in range(1000):
            yield i
            time.sleep(60)
    def pid(self):
        return os.getpid()

@ray.remote
class Plain:
    def sleep(self, seconds):
        print("busy")
        time.sleep(seconds)
    def relay(self, other, seconds):
        return ray.get(other.sleep.remote(seconds))
    def count(self):
        print("busy")
        yield 0
        time.sleep(60)
        yield 1
    def pid(self):
        return os.getpid()

@ray.remote
def slow():
    print("busy")
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, _loop: None) -> Iterator[Kernel]:
    kernel = Kernel(f"{tmp_path_factory.mktemp('notebook')}/interrupts.ipynb")
    try:
        kernel.run(
            CLASSES + "ray.init(num_cpus=2); plain, other, napper = Plain.remote(), Plain.remote(), Worker.remote()"
        )
        kernel.run("pids = ray.get([actor.pid.remote() for actor in (plain, other, napper)])")
        kernel.run("_ = ray.get(ray.remote(lambda: 0).remote())")  # the process that the tasks will run in
        yield kernel
    finally:
        kernel.stop()


@pytest.fixture
def kernel(shared: Kernel) -> Iterator[Kernel]:
    """The kernel, whose actors must answer afterwards, and be the same processes."""
    yield shared
    answer = shared.run("ray.get([actor.pid.remote() for actor in (plain, other, napper)], timeout=20) == pids")
    assert answer.endswith("True"), "beside what the actors may have printed late"


def stop(kernel: Kernel, code: str, until: str = "waits") -> tuple[str, str]:
    """Run a cell, interrupt it once it has printed `until`, and return its output and error."""
    cell = kernel.start(code)
    kernel.read_until(until)
    began = time.monotonic()
    kernel.interrupt()
    output = kernel.finish(cell)
    assert time.monotonic() - began < NOISE_S
    return output


ONE = (
    "KeyboardInterrupt: waited for 1 call; it still ran and was cancelled; "
    'init(on_interrupt="detach") lets such calls go on'
)


@pytest.mark.parametrize(
    "code",
    [
        "ref = plain.sleep.remote(60); tell(); ray.get(ref)",
        "ref = napper.nap.remote(60); tell(); ray.get(ref)",
        "ref = slow.remote(); tell(); ray.get([ref])",
        "ref = slow.remote(); tell(); ray.wait([ref])",
        "ref = plain.relay.remote(other, 60); tell(); ray.get(ref)",
    ],
)
def test_a_wait_ends_and_its_call_with_it(kernel: Kernel, code: str) -> None:
    _, error = stop(kernel, code)
    assert error == ONE
    left = kernel.start("ray.get(ref, timeout=20)")
    assert "TaskCancelledError" in kernel.finish(left)[1]


def test_a_detached_actor_s_call_is_cancelled_a_second_later(kernel: Kernel) -> None:
    kernel.run("keeper = Plain.options(name='keeper', lifetime='detached').remote(); _ = ray.get(keeper.pid.remote())")
    _, error = stop(kernel, "ref = keeper.sleep.remote(60); tell(); ray.get(ref)")
    assert error == (
        "KeyboardInterrupt: waited for 1 call; it still runs in the detached actor 'keeper' and is cancelled in 1 s; "
        "if the kernel restarts, it goes on there, and %attach keeper gets a handle; "
        'init(on_interrupt="detach") lets such calls go on'
    )
    left = kernel.start("ray.get(ref, timeout=20)")
    assert "TaskCancelledError" in kernel.finish(left)[1]
    kernel.run("ray.kill(keeper)")


def test_a_cell_inside_a_detached_actor_is_stopped(kernel: Kernel) -> None:
    kernel.run("%load_ext nbactors\nkeeper = Plain.options(name='keeper', lifetime='detached').remote()")
    cell = kernel.start("%%on keeper\nprint('busy')\ntime.sleep(60)")
    kernel.read_until("busy")
    kernel.interrupt()
    assert kernel.finish(cell)[1].startswith("KeyboardInterrupt")
    assert kernel.run("ray.get(keeper.pid.remote(), timeout=20) > 0").endswith("True")
    kernel.run("ray.kill(keeper)")


def test_of_several_calls_only_the_running_ones_are_cancelled(kernel: Kernel) -> None:
    _, error = stop(
        kernel,
        "calls = [other.pid.remote(), plain.sleep.remote(60), other.sleep.remote(60)]\n"
        "tell(); ray.get([ray.put(1), *calls])",
    )
    assert error.startswith("KeyboardInterrupt: waited for 4 calls; 2 still ran and were cancelled;")


def test_ten_thousand_calls_are_no_slower_to_stop(kernel: Kernel) -> None:
    _, error = stop(
        kernel,
        "refs = [plain.sleep.remote(1) for _ in range(10_000)]; tell(); ray.get(refs)",
    )
    assert error.startswith("KeyboardInterrupt: waited for 10000 calls; ")
    assert kernel.run("len(ray.wait(refs, num_returns=len(refs), timeout=30)[0])").endswith("10000")


def test_a_cell_that_reads_a_generator_is_stopped(kernel: Kernel) -> None:
    _, error = stop(kernel, "stream = plain.count.remote()\nfor ref in stream: ray.get(ref); tell()")
    assert error == ONE


def test_a_named_actor_whose_creation_was_interrupted_is_not_left_behind(kernel: Kernel) -> None:
    # An interrupt comes before the node has answered, or after it.
    kernel.run("""
        import signal
        class Nobody:
            pass
        for attempt in range(30):
            try:
                os.kill(os.getpid(), signal.SIGINT) if attempt % 2 else None
                nobody = ray.remote(Nobody).options(name=f"nobody{attempt}").remote()
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                pass
        nobody = None
    """)
    assert kernel.run("eventually(lambda: not ray.util.list_named_actors())") == "True"


def test_a_cell_that_awaits_is_stopped_at_once(kernel: Kernel) -> None:
    _, error = stop(kernel, "ref = plain.sleep.remote(60)\nawait ref", "busy")
    assert error.startswith("CancelledError")
    left = kernel.start("ray.get(ref, timeout=20)")
    assert "TaskCancelledError" in kernel.finish(left)[1], "what the cell awaited was cancelled"


def test_a_cell_that_gathers_is_stopped_at_once(kernel: Kernel) -> None:
    _, error = stop(
        kernel, "refs = [plain.sleep.remote(60), other.sleep.remote(60)]\nawait asyncio.gather(*refs)", "busy"
    )
    assert error.startswith("CancelledError")
    assert kernel.run("len(ray.wait(refs, num_returns=2, timeout=20)[0])").endswith("2")


def test_a_call_that_a_background_task_awaits_goes_on(kernel: Kernel) -> None:
    kernel.run("""
        async def watch():
            return await kept
        kept = other.sleep.remote(3)
        task = asyncio.get_running_loop().create_task(watch())
        await asyncio.sleep(0)
    """)
    _, error = stop(kernel, "print('begun', flush=True)\nawait asyncio.sleep(60)", "begun")
    assert error.startswith("CancelledError")
    assert kernel.run("(await task) is None").endswith("True")


def test_a_cell_without_calls_is_stopped_as_ever(kernel: Kernel) -> None:
    _, error = stop(kernel, "print('begun', flush=True)\ntime.sleep(60)", "begun")
    assert error == "KeyboardInterrupt: "
    _, error = stop(kernel, "print('begun', flush=True)\nwhile True: plain.pid.remote()", "begun")
    assert error == "KeyboardInterrupt: "


def test_with_on_interrupt_detach_calls_go_on(tmp_path: Path) -> None:
    kernel = Kernel(f"{tmp_path}/detached.ipynb")
    try:
        kernel.run(CLASSES + "ray.init(num_cpus=2, on_interrupt='detach'); plain = Plain.remote()")
        _, error = stop(kernel, "ref = plain.sleep.remote(2); tell(); ray.get(ref)")
        assert error.startswith("KeyboardInterrupt: waited for 1 call; it still runs; cancel(ref) ends a call")
        assert kernel.run("ray.get(ref, timeout=20) is None").endswith("True")
    finally:
        kernel.stop()
