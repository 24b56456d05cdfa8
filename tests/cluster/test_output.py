"""The output of workers of a Ray cluster: complete, in order, before the result."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster.subjects import leaver
from nbactors.testing import eventually


class Recorder:
    """A front end that keeps what it gets."""

    def __init__(self) -> None:
        self.outputs: list[Any] = []

    def output(self, output: Any) -> None:
        self.outputs.append(output)

    def text(self, stream: int = 1) -> str:
        return "".join(each.text for each in self.outputs if each.stream == stream)

    def unread(self, error: Any, state: str) -> None:
        self.outputs.append(error)


@pytest.fixture
def recorder(ray: Any) -> Any:
    from nbactors import engine

    recorder = Recorder()
    session = engine.current()
    session.set_sink(recorder)  # type: ignore[arg-type]
    yield recorder
    session.set_sink(None)


def test_all_of_a_call_is_there_with_its_result_and_in_order(ray: Any, recorder: Recorder) -> None:
    @ray.remote
    class Printer:
        def lines(self, n: int) -> None:
            for index in range(n):
                print("line", index)

    printer = Printer.remote()
    ray.get(printer.lines.remote(20_000))
    from nbactors import engine

    engine.current().catch_up(30)
    assert recorder.text().splitlines() == [f"line {index}" for index in range(20_000)]
    assert {each.label for each in recorder.outputs} == {"Printer"}


def test_subprocesses_and_stderr_are_caught_too(ray: Any, recorder: Recorder) -> None:
    @ray.remote
    def run() -> None:
        print("to stderr", file=sys.stderr)
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
        print("unfinished", end="")

    ray.get(run.remote())
    from nbactors import engine

    engine.current().catch_up(30)
    assert "to stderr\n" in recorder.text(2)
    assert sorted(recorder.text().splitlines()) == ["from a child", "unfinished"]


def test_forked_children_are_caught_too(ray: Any, recorder: Recorder) -> None:
    def print_in_threads(word: str) -> None:
        print("child", word)
        thread = threading.Thread(target=print, args=("thread of", word))
        thread.start()
        thread.join(30)

    @ray.remote
    class Forking:
        def child(self, word: str) -> None:
            process = multiprocessing.get_context("fork").Process(target=print_in_threads, args=(word,))
            process.start()
            process.join(30)
            print("parent of", word)

    forking = Forking.remote()
    for word in ("one", "two"):
        ray.get(forking.child.remote(word))
    from nbactors import engine

    engine.current().catch_up(30)
    expected = [f"{part} {word}" for word in ("one", "two") for part in ("child", "thread of", "parent of")]
    assert recorder.text().splitlines() == expected


def test_a_forked_child_that_logs_leaves_its_parent_alone(ray: Any, recorder: Recorder) -> None:
    """A handler keeps the stream of before the fork."""

    @ray.remote(max_retries=0)
    def log(rounds: int) -> None:
        import logging

        log = logging.getLogger("forked")
        log.addHandler(logging.StreamHandler(sys.stdout))

        def tell(number: int) -> None:
            log.error("child %d", number)

        for number in range(rounds):
            process = multiprocessing.get_context("fork").Process(target=tell, args=(number,))
            process.start()
            process.join(30)
            assert process.exitcode == 0

    ray.get(log.remote(20), timeout=60)
    from nbactors import engine

    engine.current().catch_up(30)
    assert recorder.text().splitlines() == [f"child {number}" for number in range(20)]


def test_jobs_of_a_pool_leave_the_line_of_their_call_whole(ray: Any, recorder: Recorder) -> None:
    @ray.remote
    def count() -> None:
        with ThreadPoolExecutor(1) as pool:
            for number in range(4):
                print("x", number, end=" ")
                pool.submit(int).result()
        print("end")

    ray.get(count.remote())
    from nbactors import engine

    engine.current().catch_up(30)
    assert recorder.text() == "x 0 x 1 x 2 x 3 end\n"


def test_calls_that_run_at_the_same_time_write_under_their_own_cells(ray: Any, recorder: Recorder) -> None:
    from nbactors import engine
    from nbactors.frontend import calling_cell

    @ray.remote
    class Talker:
        async def talk(self, word: str) -> None:
            import asyncio

            for _ in range(3):
                print(word)
                await asyncio.sleep(0.01)

    talker = Talker.remote()
    refs = []
    try:
        for cell, word in ((7, "seven"), (8, "eight")):
            calling_cell.enter(cell)
            refs.append(talker.talk.remote(word))
    finally:
        calling_cell.enter(0)
    ray.get(refs)
    engine.current().catch_up(30)
    by_cell = {
        cell: {line for each in recorder.outputs if each.cell == cell for line in each.text.split()} for cell in (7, 8)
    }
    assert by_cell == {7: {"seven"}, 8: {"eight"}}


@pytest.mark.parametrize("shows", [True, False])
def test_workers_send_no_output_that_nobody_shows(
    fresh: Any, shows: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbactors import engine
    from nbactors.util import state

    fresh.init(engine="ray", num_cpus=2, log_to_driver=shows)
    kinds: list[str] = []
    news = engine.current()._news  # type: ignore[attr-defined]
    show = news.show
    monkeypatch.setattr(news, "show", lambda kind, *content: (kinds.append(kind), show(kind, *content)))

    @fresh.remote
    class Printer:
        def write(self) -> None:
            print("spoken")
            subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)

    printer = Printer.options(name="printer").remote()
    fresh.get(printer.write.remote(), timeout=60)
    engine.current().catch_up(30)
    assert ("output" in kinds) is shows
    assert ("spoken" in capsys.readouterr().out) is shows
    assert "spoken" in Path(state.actor_logs("printer")[-1]["log_path"]).read_text()


def test_calls_on_threads_end_at_the_same_time(ray: Any) -> None:
    @ray.remote(max_concurrency=16)
    class Threaded:
        def number(self, number: int) -> int:
            return number

    threaded = Threaded.remote()
    assert ray.get([threaded.number.remote(number) for number in range(1000)], timeout=60) == list(range(1000))


def test_output_does_not_wait_for_room_in_the_object_store(
    fresh: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was sent by the store. If that was full or small, the output of ending processes was lost."""
    fresh.init(engine="ray", num_cpus=4, object_store_memory=80_000_000)
    os.mkfifo(tmp_path / "gate")
    with (tmp_path / "gate").open("r+b", buffering=0) as gate:
        gate.write(b"....")
        actors = [fresh.remote(leaver()).options(num_cpus=0).remote(tmp_path, 5) for _ in range(4)]
        leavers = fresh.get([actor.pid.remote() for actor in actors], timeout=60)
        del actors
        eventually(lambda: not any(map(psutil.pid_exists, leavers)), timeout_s=60)
    assert len(list(tmp_path.glob("*.ends"))) == 4
    shown: list[str] = []

    def has_shown_all() -> bool:
        shown.append(capfd.readouterr().out)
        return "".join(shown).count("the last line") == 4

    eventually(has_shown_all, timeout_s=30)
