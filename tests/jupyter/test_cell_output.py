"""Output goes under the cell that made the call: checked by the parent of each message of a real kernel."""

from __future__ import annotations

import os
import queue
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from nbactors.testing.polling import eventually

REPLY_S = 30

SETUP = """
import os, subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import nbactors as ray
ray.init(num_cpus=4)
hello = ray.remote(lambda word: print(word))
ray.get(hello.remote("first"))

@ray.remote
class Printer:
    def __init__(self, word="made"):
        print(word)
        self.go = threading.Event()
    def say(self, *words):
        for word in words:
            print(word)
    def err(self, word):
        print(word, file=sys.stderr)
    def system(self, word):
        os.system(f"echo {word}")
    def process(self, word):
        subprocess.run(["echo", word], check=True)
    def low(self, word):
        os.write(1, f"{word}\\n".encode())
    def later(self, word):
        def wait():
            self.go.wait(30)
            print(word)
        threading.Thread(target=wait).start()
    def later_process(self, word, path):
        subprocess.Popen(["sh", "-c", f"while [ ! -e {path} ]; do sleep 0.05; done; echo {word}"])
    def release(self):
        self.go.set()
    def thread_part(self, word):
        thread = threading.Thread(target=print, args=(word,), kwargs={"end": ""})
        thread.start()
        thread.join()
    def part(self, word):
        print(word, end="")
    def ask(self, other, word):
        ray.get(other[0].say.remote(word))
    def many(self, count):
        for number in range(count):
            print("line", number)

@ray.remote
class Keeper:
    def __init__(self):
        self.pool, self.go, self.step = ThreadPoolExecutor(1), threading.Event(), threading.Semaphore(0)
        self.word = ""
        threading.Thread(target=self.serve, daemon=True).start()
    def serve(self):
        while self.step.acquire():
            print("served", self.word)
    def next(self, word):
        self.word = word
        self.step.release()
    def job(self, word):
        self.pool.submit(print, word).result()
    def part(self, word):
        self.pool.submit(print, word, end="").result()
    def later(self, word):
        self.future = self.pool.submit(lambda: (self.go.wait(30), print(word)))
    def back(self, word):
        self.future.add_done_callback(lambda _: print(word))
    def ask(self, other, word):
        self.pool.submit(lambda: (self.go.wait(30), ray.get(other[0].say.remote(word))))
    def release(self):
        self.go.set()

@ray.remote
class Async:
    def __init__(self):
        self.started, self.go = 0, None
    async def say(self, word):
        import asyncio
        if self.go is None:
            self.go = asyncio.Event()
        self.started += 1
        await self.go.wait()
        print(word)
        subprocess.run(["echo", f"process {word}"], check=True)
    async def count(self):
        return self.started
    async def release(self):
        self.go.set()
"""


class Kernel:
    """A kernel whose messages are sorted by the cell that they belong to."""

    def __init__(self) -> None:
        self._manager = KernelManager()
        self._manager.start_kernel(env={**os.environ, "NO_COLOR": "1"})
        self._client = self._manager.client()
        self._client.session.metadata = {"cellId": "a live front end"}
        self._client.start_channels()
        self._client.wait_for_ready(timeout=REPLY_S)
        self.text: dict[str, str] = defaultdict(str)
        self.shown: dict[str, dict[str, str]] = defaultdict(dict)
        self.idle: set[str] = set()
        self._errors: dict[str, str] = {}

    def start(self, code: str) -> str:
        return self._client.execute(code)

    def run(self, code: str) -> str:
        cell = self.start(code)
        self.until(lambda: cell in self.idle)
        assert cell not in self._errors, self._errors[cell]
        return cell

    def until(self, condition: Callable[[], Any]) -> None:
        """Take messages in until something holds."""
        eventually(lambda: self._take() or condition(), REPLY_S, "what the cells show")

    def _take(self) -> None:
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=0)
            except queue.Empty:
                return
            cell, content = message["parent_header"].get("msg_id", ""), message["content"]
            kind = message["msg_type"]
            if kind == "stream":
                self.text[cell] += content["text"]
            elif kind in ("display_data", "update_display_data"):
                self.shown[cell][content["transient"].get("display_id", "")] = content["data"]["text/plain"]
            elif kind == "error":
                self._errors[cell] = f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                self.idle.add(cell)

    def words(self, cell: str) -> list[str]:
        """Return what a cell shows, without the marks."""
        return [line.split(") ", 1)[-1] for line in self.text[cell].splitlines()]

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def shared_kernel(_loop: None) -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP)
    yield kernel
    kernel.run("ray.shutdown()")
    kernel.close()


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Iterator[Kernel]:
    yield shared_kernel
    handles = "[name for name, value in globals().items() if type(value) is ray.actor.ActorHandle]"
    shared_kernel.run(f"for name in {handles}: del globals()[name]")


@pytest.mark.slow
class TestKernelOutput:
    def test_lines_of_a_call_show_under_the_cell_that_waits_for_the_call(self, kernel: Kernel) -> None:
        made = kernel.run("printer = Printer.remote('constructed'); ray.get(printer.say.remote('one', 'two'))")
        kernel.until(lambda: kernel.words(made) == ["constructed", "one", "two"])
        assert kernel.text[made].startswith("(Printer pid=")

    @pytest.mark.parametrize("how", ["say", "err", "system", "process", "low", "part"])
    def test_output_after_the_end_of_its_cell_shows_under_that_cell(
        self, kernel: Kernel, how: str, tmp_path: Any
    ) -> None:
        kernel.run("blocker = Printer.remote('-')")
        first = kernel.run(f"busy = blocker.later.remote('-'); ref = blocker.{how}.remote('{how} first')")
        second = kernel.run(f"blocker.{how}.remote('{how} second')")
        kernel.until(lambda: kernel.words(first) == [f"{how} first"] and kernel.words(second) == [f"{how} second"])
        kernel.run("blocker.release.remote(); ray.get(blocker.say.remote()); del blocker")
        assert kernel.words(second) == [f"{how} second"]

    def test_lines_of_a_thread_that_outlives_its_call_show_under_the_call_s_cell(self, kernel: Kernel) -> None:
        kernel.run("threads = Printer.remote('-')")
        first = kernel.run("ray.get(threads.later.remote('from the thread'))")
        second = kernel.run("ray.get(threads.say.remote('meanwhile'))")
        third = kernel.run("ray.get(threads.release.remote())")
        kernel.until(lambda: kernel.words(first) == ["from the thread"])
        assert kernel.words(second) == ["meanwhile"]
        assert not kernel.text[third]

    @pytest.mark.parametrize("how", ["job", "part"])
    def test_lines_of_a_pool_that_the_actor_keeps_show_each_under_the_cell_of_its_job(
        self, kernel: Kernel, how: str
    ) -> None:
        kernel.run("keeper = Keeper.remote()")
        cells = {word: kernel.run(f"ray.get(keeper.{how}.remote('{word}'))") for word in ("one", "two", "three")}
        kernel.until(lambda: all(kernel.words(cell) for cell in cells.values()))
        assert {word: kernel.words(cell) for word, cell in cells.items()} == {word: [word] for word in cells}

    def test_lines_of_a_thread_of_the_constructor_show_under_the_latest_cell_with_a_call(self, kernel: Kernel) -> None:
        kernel.run("keeper = Keeper.remote()")
        for word in ("one", "two"):
            cell = kernel.run(f"ray.get(keeper.next.remote('{word}'))")
            kernel.until(lambda cell=cell: kernel.words(cell))
            assert kernel.words(cell) == [f"served {word}"]

    def test_lines_of_a_pool_s_job_that_outlives_its_call_show_under_the_call_s_cell(self, kernel: Kernel) -> None:
        kernel.run("keeper = Keeper.remote()")
        first = kernel.run("ray.get(keeper.later.remote('the job'))")
        second = kernel.run("ray.get(keeper.back.remote('the callback'))")
        third = kernel.run("ray.get(keeper.release.remote())")
        kernel.until(lambda: kernel.words(first) and kernel.words(second))
        assert kernel.words(first) == ["the job"]
        assert kernel.words(second) == ["the callback"]
        assert not kernel.text[third]

    def test_calls_that_a_pool_s_job_makes_show_their_lines_under_the_cell_of_the_job(self, kernel: Kernel) -> None:
        kernel.run("keeper, other = Keeper.remote(), Printer.remote('-')")
        first = kernel.run("ray.get(keeper.ask.remote([other], 'asked by the job'))")
        second = kernel.run("ray.get(keeper.release.remote())")
        kernel.until(lambda: kernel.words(first) == ["asked by the job"])
        assert not kernel.text[second]

    def test_an_unfinished_line_of_a_thread_that_ends_is_shown(self, kernel: Kernel) -> None:
        kernel.run("threads = Printer.remote('-')")
        cell = kernel.run("ray.get(threads.thread_part.remote('unfinished'))")
        kernel.until(lambda: kernel.words(cell))
        assert kernel.words(cell) == ["unfinished"]

    def test_lines_of_a_subprocess_that_outlives_its_call_show_under_the_call_s_cell(
        self, kernel: Kernel, tmp_path: Any
    ) -> None:
        path = tmp_path / "go"
        kernel.run("processes = Printer.remote('-')")
        first = kernel.run(f"ray.get(processes.later_process.remote('from the process', {str(path)!r}))")
        second = kernel.run("ray.get(processes.say.remote('meanwhile'))")
        path.touch()
        kernel.until(lambda: kernel.words(first) == ["from the process"])
        assert kernel.words(second) == ["meanwhile"]

    def test_lines_of_calls_that_run_at_once_show_each_under_its_own_cell(self, kernel: Kernel) -> None:
        kernel.run("many = Async.remote()")
        cells = {word: kernel.run(f"many.say.remote('{word}')") for word in ("a", "b", "c")}
        kernel.run("while ray.get(many.count.remote()) < 3: pass")
        kernel.run("ray.get(many.release.remote())")
        kernel.until(lambda: all(len(kernel.words(cell)) == 2 for cell in cells.values()))
        assert {word: kernel.words(cell) for word, cell in cells.items()} == {
            word: [word, f"process {word}"] for word in cells
        }

    def test_lines_of_a_nested_call_show_under_the_cell_of_the_outer_call(self, kernel: Kernel) -> None:
        kernel.run("one, two = Printer.remote('-'), Printer.remote('-')")
        asking = kernel.run("ref = one.ask.remote([two], 'asked')")
        other = kernel.run("ray.get(two.say.remote('directly'))")
        kernel.until(lambda: kernel.words(asking) and kernel.words(other))
        assert kernel.words(asking) == ["asked"]
        assert kernel.words(other) == ["directly"]

    def test_lines_of_tasks_show_under_their_cells(self, kernel: Kernel) -> None:
        cells = [kernel.run(f"ray.get(hello.remote('task {number}'))") for number in range(3)]
        kernel.until(lambda: all(kernel.words(cell) for cell in cells))
        assert [kernel.words(cell) for cell in cells] == [[f"task {number}"] for number in range(3)]

    def test_lines_show_while_the_kernel_is_busy(self, kernel: Kernel) -> None:
        kernel.run("slow = Printer.remote('-')")
        first = kernel.run("ref = slow.later.remote('while busy')")
        busy = kernel.start("slow.release.remote(); end = time.monotonic() + 2\nwhile time.monotonic() < end: pass")
        kernel.until(lambda: kernel.words(first) == ["while busy"])
        assert busy not in kernel.idle
        kernel.run("pass")
        assert not kernel.text[busy]

    def test_a_flood_is_cut_and_its_end_is_shown(self, kernel: Kernel) -> None:
        kernel.run("flooding = Printer.options(name='flooding').remote('-')")
        cell = kernel.run("ray.get(flooding.many.remote(100_000))")
        kernel.until(lambda: any("line 99999" in text for text in kernel.shown[cell].values()))
        (text,) = kernel.shown[cell].values()
        left_out = int(text.split()[1].replace(",", ""))
        assert kernel.words(cell)[:3] == ["line 0", "line 1", "line 2"]
        assert len(kernel.words(cell)) + left_out + len(text.splitlines()) - 1 == 100_000
        kernel.run(
            "from nbactors.util.state import actor_logs\n"
            "(found,) = actor_logs('flooding')\n"
            "assert sum(line.startswith('line') for line in open(found['log_path'])) == 100_000"
        )

    def test_the_log_has_the_lines_of_all_cells(self, kernel: Kernel) -> None:
        kernel.run("%load_ext nbactors")
        kernel.run("logged = Printer.options(name='logged').remote('made')")
        kernel.run("ray.get(logged.say.remote('one', 'two'))")
        kernel.run("ray.get(logged.err.remote('three'))")
        log = kernel.run("%actor_logs logged")
        kernel.until(lambda: sorted(kernel.text[log].splitlines()) == ["made", "one", "three", "two"])
        end = kernel.run("%actor_logs logged -n 1")
        kernel.until(lambda: kernel.text[end].splitlines() == ["three"])
        kernel.run("ray.kill(logged)")
        dead = kernel.run("%actor_logs logged")
        kernel.until(lambda: len(kernel.text[dead].splitlines()) == 4)
        assert sorted(kernel.text[dead].splitlines()) == ["made", "one", "three", "two"]

    def test_a_log_is_followed_until_the_actor_ends(self, kernel: Kernel) -> None:
        kernel.run("%load_ext nbactors")
        kernel.run("followed = Printer.options(name='followed').remote('made')")
        cell = kernel.start(
            "timer = threading.Timer(0.5, lambda: (ray.get(followed.say.remote('more')), ray.kill(followed)));"
            " timer.start()\n%actor_logs followed -f"
        )
        kernel.until(lambda: cell in kernel.idle)
        # The cell has made the call as well, so its line shows twice there: marked, and as the log has it.
        lines = kernel.text[cell].splitlines()
        assert [line for line in lines if not line.startswith("(Printer")] == ["made", "more"]

    def test_an_unknown_name_is_told_in_one_line(self, kernel: Kernel) -> None:
        kernel.run("%load_ext nbactors")
        cell = kernel.start("%actor_logs nobody")
        kernel.until(lambda: "nobody" in kernel.text[cell])
        assert len(kernel.text[cell].splitlines()) == 1
