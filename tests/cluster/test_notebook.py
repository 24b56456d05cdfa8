"""A real kernel whose session is on a Ray cluster: what shows under which cell, and what the stop button ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from jupyter_core.utils import ensure_event_loop
from live_kernel import LiveKernel

from cluster.conftest import ENVIRONMENT

CLASSES = """
@ray.remote
class Worker:
    def __init__(self):
        self.count = 0
    def say(self, word, path=""):
        if path:
            until(path)
        print(word)
        self.count += 1
        return self.count
    def html(self):
        from IPython.display import HTML, display
        display(HTML("<b>bold</b>"))
        print("after")
    def shell(self):
        return get_ipython().history_manager.enabled
    def sleep(self, path):
        open(path, "w").close()
        time.sleep(60)
    def fail(self):
        raise ValueError("no such thing")
    def steps(self, count):
        from tqdm.auto import tqdm
        for _ in tqdm(range(count), desc="steps"):
            pass

@ray.remote
def show(word):
    display(word)

worker = Worker.remote()
ray.get(worker.say.remote("up"))
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveKernel]:
    loop = ensure_event_loop()
    with pytest.MonkeyPatch.context() as environ:
        for name, value in ENVIRONMENT.items():
            environ.setenv(name, value)
        kernel = LiveKernel(reply_s=90)
    try:
        kernel.run('ray.init(engine="ray", num_cpus=4)')
        kernel.run(CLASSES)
        yield kernel
        kernel.run("ray.shutdown()")
    finally:
        kernel.stop()
        loop.close()


@pytest.fixture
def kernel(shared: LiveKernel) -> LiveKernel:
    shared.messages.clear()
    return shared


def test_lines_show_under_the_cell_that_has_made_the_call(kernel: LiveKernel, tmp_path: Path) -> None:
    path = tmp_path / "go"
    first = kernel.run(f"call = worker.say.remote('first', {str(path)!r});")
    second = kernel.run(f"print('second'); open({str(path)!r}, 'w').close(); _ = ray.get(call)")
    kernel.until(lambda: "first" in kernel.text(first))
    assert "first" not in kernel.text(second)
    assert "second" in kernel.text(second)


@pytest.mark.parametrize("call", ["show.remote('word')", "worker.html.remote()"], ids=["task", "actor"])
def test_displays_show_under_the_cell(kernel: LiveKernel, call: str) -> None:
    cell = kernel.run(f"ray.get({call})")
    kernel.until(lambda: kernel.of(cell, "display_data"))
    data = kernel.of(cell, "display_data")[0]["data"]
    assert data.get("text/html", data["text/plain"]) in ("<b>bold</b>", "'word'")


def test_code_that_names_the_shell_finds_one_in_the_worker(kernel: LiveKernel) -> None:
    assert kernel.value("ray.get(worker.shell.remote())") == "False"


def test_cells_run_inside_an_actor_and_beside_its_method(kernel: LiveKernel, tmp_path: Path) -> None:
    before = int(kernel.value("%%on worker\nself.count"))
    path = tmp_path / "asleep"
    kernel.run(f"asleep = worker.sleep.remote({str(path)!r});")
    beside = kernel.start("%%on --now worker\nself.count")
    kernel.until(lambda: kernel.of(beside, "idle"))
    assert kernel.of(beside, "execute_result")[0]["data"]["text/plain"] == str(before)
    kernel.run("ray.cancel(asleep, interrupt=True)")
    assert int(kernel.value("ray.get(worker.say.remote('on'))")) == before + 1


def test_the_stop_button_ends_the_wait_and_the_call_and_the_state_stays(kernel: LiveKernel, tmp_path: Path) -> None:
    before = int(kernel.value("ray.get(worker.say.remote('a'))"))
    path = tmp_path / "asleep"
    cell = kernel.start(f"ray.get(worker.sleep.remote({str(path)!r}))")
    kernel.interrupt_when(str(path))
    began = monotonic()
    kernel.until(lambda: kernel.of(cell, "idle"))
    assert monotonic() - began < 10
    (error,) = kernel.of(cell, "error")
    assert error["ename"] == "KeyboardInterrupt"
    assert int(kernel.value("ray.get(worker.say.remote('b'))")) == before + 1


def test_an_error_shows_the_user_s_line(kernel: LiveKernel) -> None:
    cell = kernel.start("ray.get(worker.fail.remote())")
    kernel.until(lambda: kernel.of(cell, "idle"))
    (error,) = kernel.of(cell, "error")
    assert "ValueError" in error["ename"]
    assert 'raise ValueError("no such thing")' in "\n".join(error["traceback"])


def test_bars_of_a_worker_and_of_progress_show_under_the_cell(kernel: LiveKernel) -> None:
    bar = kernel.run("ray.get(worker.steps.remote(20))")
    kernel.until(lambda: "steps: 100%" in kernel.text(bar))
    counted = kernel.run("for _ in ray.util.progress([show.remote(n) for n in range(3)], desc='shown'): pass")
    kernel.until(lambda: "shown: 100%" in kernel.text(counted))
    assert "3/3" in kernel.text(counted)


def test_a_bar_ends_with_its_worker(kernel: LiveKernel) -> None:
    kernel.run(
        "@ray.remote(max_retries=0)\ndef dies():\n    import os\n    from tqdm.auto import tqdm\n"
        "    for i in tqdm(range(10), desc='dies'):\n        time.sleep(0.15)\n        i == 4 and os._exit(1)"
    )
    cell = kernel.run("ref = dies.remote()")
    kernel.until(lambda: "its process has ended" in kernel.text(cell))
    assert "(dies pid=" in kernel.text(cell)


def test_a_bar_in_a_worker_that_waits_for_calls_ends(kernel: LiveKernel) -> None:
    cell = kernel.run(
        "@ray.remote\ndef manager():\n"
        "    return ray.util.progress([show.remote(n) for n in range(3)], 'inner').get()\nray.get(manager.remote())"
    )
    kernel.until(lambda: "inner: 100%" in kernel.text(cell))
    assert "3/3" in kernel.text(cell)


@pytest.mark.parametrize(
    "starting",
    ["Thread(target=write, args=(path, 'kept')).start()", "ThreadPoolExecutor(1).submit(write, path, 'kept')"],
    ids=["a thread", "a pool's job"],
)
def test_what_a_thread_writes_shows_under_the_cell_of_its_call(
    kernel: LiveKernel, starting: str, tmp_path: Path
) -> None:
    kernel.run(
        "from concurrent.futures import ThreadPoolExecutor\nfrom threading import Thread\n"
        "def write(path, word):\n    until(path)\n    print(word)\n"
        f"@ray.remote\nclass Starter:\n    def start(self, path):\n        {starting}\n"
        "    def say(self, word):\n        print(word)\nstarter = Starter.remote()"
    )
    path = tmp_path / "go"
    first = kernel.run(f"ray.get(starter.start.remote({str(path)!r}))")
    second = kernel.run(f"ray.get(starter.say.remote('other')); open({str(path)!r}, 'w').close()")
    kernel.until(lambda: "kept" in kernel.text(first))
    assert "kept" not in kernel.text(second)
    assert "other" in kernel.text(second)


def test_a_block_that_redirects_the_output_takes_the_lines_of_the_calls_that_it_waits_for(kernel: LiveKernel) -> None:
    for number in range(5):
        cell = kernel.run(f"%%capture taken\nray.get(worker.say.remote('word {number}'))")
        assert f"word {number}" in kernel.value("taken.stdout")
        assert not kernel.text(cell)


def test_a_background_cell_shows_its_result(kernel: LiveKernel) -> None:
    cell = kernel.run("%%remote -o answer --wait 60\nprint('working')\n6 * 7")
    kernel.until(lambda: "42" in kernel.text(cell))
    assert kernel.value("ray.get(answer)") == "42"


def test_a_class_of_a_cell_becomes_an_actor_and_changes(kernel: LiveKernel) -> None:
    kernel.run(
        "%%actor counter\nclass Counter:\n    n = 0\n    def add(self):\n        self.n += 1\n        return self.n"
    )
    assert kernel.value("ray.get(counter.add.remote())") == "1"
    kernel.run(
        "%%actor --update\nclass Counter:\n    n = 0\n    def add(self):\n        self.n += 10\n        return self.n"
    )
    assert kernel.value("ray.get(counter.add.remote())") == "11"


def test_a_constructor_that_fails_is_told_under_its_cell(kernel: LiveKernel) -> None:
    cell = kernel.run(
        "class Bad:\n    def __init__(self):\n        raise OSError('no disk')\nbad = ray.remote(Bad).remote()"
    )
    kernel.until(lambda: kernel.of(cell, "error"))
    (error,) = kernel.of(cell, "error")
    assert (error["ename"], error["evalue"]) == ("OSError", "no disk")
