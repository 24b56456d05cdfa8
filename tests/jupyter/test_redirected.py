"""A block that redirects the streams of a cell (`%%capture`, `redirect_stdout`) takes the lines of the cell's calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_kernel import LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
import contextlib, io, os, sys
@ray.remote
class Speaker:
    def say(self, *words):
        for word in words:
            print(word)
        return len(words)
    def err(self, word):
        print(word, file=sys.stderr)
    def fail(self, word):
        print(word)
        raise ValueError("failed on purpose")
    def later(self, word, path):
        while not os.path.exists(path):
            time.sleep(0.01)
        print(word)
speaker = Speaker.options(max_concurrency=4).remote()
def words(text):
    return [line.split(") ", 1)[1] for line in text.splitlines()]
"""


def shown(kernel: LiveKernel, cell: str) -> str:
    """Return the streams of a cell."""
    return "".join(content["text"] for content in kernel.of(cell, "stream"))


def value(kernel: LiveKernel, expression: str) -> Any:
    """Return the value of an expression in the kernel, which its repr has."""
    (result,) = kernel.of(kernel.run(expression), "execute_result")
    return ast.literal_eval(result["data"]["text/plain"])


class TestCapture:
    def test_the_block_takes_the_lines_of_the_calls_that_get_waits_for(self, kernel: LiveKernel) -> None:
        for number in range(20):
            cell = kernel.run(f"%%capture taken\nprint('own')\nray.get(speaker.say.remote('call {number}', 'two'))")
            assert value(kernel, "words('x) ' + taken.stdout)") == ["own", f"call {number}", "two"]
            assert not shown(kernel, cell)

    def test_the_block_takes_stderr(self, kernel: LiveKernel) -> None:
        cell = kernel.run("%%capture taken\nray.get(speaker.err.remote('an error'))")
        assert value(kernel, "words(taken.stderr), taken.stdout") == (["an error"], "")
        assert not shown(kernel, cell)

    def test_the_lines_have_no_colour(self, kernel: LiveKernel) -> None:
        kernel.run("%%capture taken\nray.get(speaker.say.remote('plain'))")
        text = value(kernel, "taken.stdout")
        assert text.startswith("(Speaker pid=")
        assert "\x1b" not in text

    def test_a_cell_whose_first_call_starts_the_session_is_captured(self, kernel: LiveKernel) -> None:
        kernel.run("ray.shutdown()")
        kernel.run("%%capture taken\nhello = ray.remote(lambda: print('hello'))\nray.get(hello.remote())")
        assert value(kernel, "words(taken.stdout)") == ["hello"]


class TestRedirectStdout:
    def test_only_the_block_takes_lines(self, kernel: LiveKernel) -> None:
        cell = kernel.run(
            "buffer = io.StringIO()\n"
            "ray.get(speaker.say.remote('before'))\n"
            "with contextlib.redirect_stdout(io.StringIO()):\n"
            "    ray.get(speaker.say.remote('dropped'))\n"
            "with contextlib.redirect_stdout(buffer):\n"
            "    ray.get(speaker.say.remote('inside'))\n"
            "    ray.get(speaker.err.remote('another stream'))\n"
            "ray.get(speaker.say.remote('after'))"
        )
        assert "inside" in value(kernel, "words(buffer.getvalue())")
        kernel.until(lambda: "after" in shown(kernel, cell))
        kernel.until(lambda: "another stream" in shown(kernel, cell))
        assert "inside" not in shown(kernel, cell)
        assert "dropped" not in shown(kernel, cell)

    def test_wait_and_a_failed_get_take_lines_too(self, kernel: LiveKernel) -> None:
        kernel.run(
            "with contextlib.redirect_stdout(io.StringIO()) as buffer:\n"
            "    ray.wait([speaker.say.remote('waited for')])\n"
            "    waited = buffer.getvalue()\n"
            "    try:\n"
            "        ray.get(speaker.fail.remote('failing'))\n"
            "    except ValueError:\n"
            "        pass"
        )
        assert value(kernel, "words(waited)") == ["waited for"]
        assert value(kernel, "words(buffer.getvalue())") == ["waited for", "failing"]

    def test_a_cell_that_awaits_takes_lines_too(self, kernel: LiveKernel) -> None:
        for number in range(10):
            cell = kernel.run(
                "import asyncio\n"
                "with contextlib.redirect_stdout(io.StringIO()) as buffer:\n"
                f"    await speaker.say.remote('awaited {number}')\n"
                "    awaited = buffer.getvalue()\n"
                "    await asyncio.gather(*[speaker.say.remote('gathered') for _ in range(3)])\n"
                "    gathered = buffer.getvalue()\n"
                "    try:\n"
                "        await speaker.fail.remote('failing')\n"
                "    except ValueError:\n"
                "        pass"
            )
            assert value(kernel, "words(awaited)") == [f"awaited {number}"]
            assert value(kernel, "words(gathered)") == [f"awaited {number}", *["gathered"] * 3]
            assert value(kernel, "words(buffer.getvalue())[4:]") == ["failing"]
            assert not shown(kernel, cell)

    def test_lines_of_an_earlier_cell_stay_under_their_cell(self, kernel: LiveKernel, tmp_path: Any) -> None:
        path = str(tmp_path / "go")
        first = kernel.run(f"ref = speaker.later.remote('of the first cell', {path!r})")
        kernel.run(
            "with contextlib.redirect_stdout(io.StringIO()) as buffer:\n"
            f"    open({path!r}, 'w').close(); ray.get(ref)\n"
            "    ray.get(speaker.say.remote('of the second cell'))"
        )
        assert value(kernel, "words(buffer.getvalue())") == ["of the second cell"]
        kernel.until(lambda: "of the first cell" in shown(kernel, first))

    def test_a_long_output_is_taken_whole(self, kernel: LiveKernel) -> None:
        kernel.run(
            "with contextlib.redirect_stdout(io.StringIO()) as buffer:\n    ray.get(speaker.say.remote(*range(50_000)))"
        )
        assert value(kernel, "words(buffer.getvalue()) == [str(number) for number in range(50_000)]")

    def test_a_stream_that_was_replaced_for_good_is_no_block(self, kernel: LiveKernel) -> None:
        kernel.run("tee = io.StringIO()\nusual, sys.stdout = sys.stdout, tee")
        try:
            cell = kernel.run("ray.get(speaker.say.remote('under the cell'))")
            kernel.until(lambda: "under the cell" in shown(kernel, cell))
        finally:
            kernel.run("sys.stdout = usual")
        assert value(kernel, "tee.getvalue()") == ""


def test_a_broken_stream_of_the_block_does_not_break_get(kernel: LiveKernel) -> None:
    kernel.run(
        "buffer = io.StringIO()\n"
        "with contextlib.redirect_stdout(buffer):\n"
        "    buffer.close()\n"
        "    count = ray.get(speaker.say.remote('lost'))"
    )
    assert value(kernel, "count") == 1


@pytest.fixture
def fresh(_loop: None) -> Iterator[LiveKernel]:
    """A kernel without a session."""
    kernel = LiveKernel()
    yield kernel
    kernel.run("ray.shutdown()")
    kernel.stop()


def test_the_first_cell_with_a_session_is_captured(fresh: LiveKernel, tmp_path: Path) -> None:
    cell = fresh.run(
        "%%capture taken\nhello = ray.remote(lambda: print('hello'))\nray.init(num_cpus=1)\nray.get(hello.remote())"
    )
    assert value(fresh, "taken.stdout").endswith(") hello\n")
    assert "hello" not in shown(fresh, cell)
