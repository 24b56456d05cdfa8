"""How the node reads the pipes of a worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbactors.local.node.rules import events
from nbactors.local.node.shell.loop import Loop
from nbactors.local.node.shell.output import WorkerOutput

WORKER = b"w" * 16


class Pipes:
    """A worker's pipes, to which the test writes instead of a worker."""

    def __init__(self, directory: Path) -> None:
        self.loop = Loop()
        self.posted: list[events.Event] = []
        (out_read, self.out), (err_read, self.err) = os.pipe(), os.pipe()
        self.log = directory / "w.log"
        self.output = WorkerOutput(self.loop, self.posted.append, WORKER, (out_read, err_read), str(self.log))

    def turn(self) -> list[events.Event]:
        """Have the node read what the pipes hold."""
        self.loop.turn(0)
        posted = list(self.posted)
        self.posted.clear()
        return posted

    def close(self) -> None:
        for descriptor in (self.out, self.err):
            try:
                os.close(descriptor)
            except OSError:
                pass
        self.output.close()
        self.loop.close()


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[Pipes]:
    made = Pipes(tmp_path)
    yield made
    made.close()


def output_read(stream: int, text: str) -> events.OutputRead:
    return events.OutputRead(WORKER, stream, text)


def test_only_whole_lines_are_passed_on_and_everything_is_logged(pipes: Pipes) -> None:
    os.write(pipes.out, b"one\ntwo\nthr")
    assert pipes.turn() == [output_read(1, "one\ntwo\n")]
    os.write(pipes.out, b"ee")
    assert pipes.turn() == []
    os.write(pipes.out, b"\n")
    assert pipes.turn() == [output_read(1, "three\n")]
    assert pipes.log.read_text() == "one\ntwo\nthree\n"
    assert pipes.log.stat().st_mode & 0o777 == 0o600


def test_equal_and_empty_lines_are_passed_on(pipes: Pipes) -> None:
    os.write(pipes.out, b"a\na\n\n\n")
    assert pipes.turn() == [output_read(1, "a\na\n\n\n")]


def test_a_character_that_arrives_in_two_reads_is_joined(pipes: Pipes) -> None:
    data = "ä\n".encode()
    os.write(pipes.out, data[:1])
    assert pipes.turn() == []
    os.write(pipes.out, data[1:])
    assert pipes.turn() == [output_read(1, "ä\n")]


def test_the_unfinished_last_line_is_passed_on_at_the_end_with_the_tail_of_stderr(pipes: Pipes) -> None:
    os.write(pipes.err, b"".join(b"line %d\n" % number for number in range(30)) + b"no newline")
    os.close(pipes.err)
    os.close(pipes.out)
    posted = [*pipes.turn(), *pipes.turn()]
    assert posted[1] == output_read(2, "no newline")
    ended = posted[-1]
    assert isinstance(ended, events.OutputEnded)
    assert ended.tail.splitlines() == [f"line {number}" for number in range(11, 30)] + ["no newline"]


def test_while_paused_no_output_is_read_or_lost(pipes: Pipes) -> None:
    pipes.output.pause()
    os.write(pipes.out, b"later\n")
    assert pipes.turn() == []
    pipes.output.resume()
    assert pipes.turn() == [output_read(1, "later\n")]


def test_output_is_finished_although_another_process_has_the_pipes(pipes: Pipes) -> None:
    os.write(pipes.out, b"a\nb")
    pipes.output.finish()
    assert pipes.turn() == [output_read(1, "a\n"), output_read(1, "b"), events.OutputEnded(WORKER, "")]


def test_output_finished_while_paused_ends_after_it_was_read(pipes: Pipes) -> None:
    os.write(pipes.out, b"a\n")
    pipes.output.pause()
    pipes.output.finish()
    assert pipes.turn() == []
    pipes.output.resume()
    assert pipes.turn() == [output_read(1, "a\n"), events.OutputEnded(WORKER, "")]


def test_a_very_long_line_is_passed_on_in_parts(pipes: Pipes) -> None:
    total = 0
    for _ in range(40):
        os.write(pipes.out, b"x" * 60_000)
        total += sum(len(event.text) for event in pipes.turn() if isinstance(event, events.OutputRead))
    assert total >= 1 << 20


def test_a_log_that_cannot_be_written_does_not_stop_the_lines(tmp_path: Path) -> None:
    made = Pipes(tmp_path / "missing")
    os.write(made.out, b"a\n")
    assert made.turn() == [output_read(1, "a\n")]
    made.close()
