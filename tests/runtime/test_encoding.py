"""Streams of the user's whose encoding lacks a character: it is shown as an escape, and no line is lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from conformance.drivers import worker_lines

from nbactors.frontend.text_stream import write

SESSION = """
import nbactors as ray
ray.init(num_cpus=1)

@ray.remote
class Tälker:
    def talk(self):
        print("café → 5 €")
        print("plain")

talker = Tälker.options(name="→").remote()
ray.get(talker.talk.remote())
ray.shutdown()
"""


@pytest.mark.slow
def test_a_session_in_latin_1_loses_no_line() -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", SESSION], env=environ, capture_output=True, timeout=40, check=True)
    assert worker_lines(done.stdout.decode("latin-1"), "Tälker") == ["café \\u2192 5 \\u20ac", "plain"], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "logs"])
def test_the_command_line_in_latin_1_shows_everything(command: str) -> None:
    import nbactors as ray

    ray.init(num_cpus=1)
    try:

        @ray.remote
        class Talker:
            def talk(self) -> None:
                print("5 €")

        talker = Talker.options(name="→").remote()
        ray.get(talker.talk.remote())
        arguments = ["status"] if command == "status" else ["logs", "→"]
        environ = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
        done = subprocess.run(
            [sys.executable, "-m", "nbactors.cli", *arguments],
            env=environ,
            capture_output=True,
            timeout=40,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert (b"\\u2192" if command == "status" else b"5 \\u20ac") in done.stdout
    finally:
        ray.shutdown()


def test_a_stream_without_a_file_gets_the_lines_too() -> None:
    stream = io.StringIO()
    write(stream, "→")
    assert stream.getvalue() == "→"
