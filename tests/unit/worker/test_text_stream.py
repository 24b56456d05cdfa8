"""The streams of a worker are made before it has its pipes, and behave as if made over these."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbactors.local.worker.printing.text_stream import text_stream


@pytest.fixture
def number(tmp_path: Path) -> int:
    """The number of a descriptor of a file, as a forkserver may have for its log."""
    return os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)


def test_it_writes_to_what_the_number_is_later(number: int, tmp_path: Path) -> None:
    stream = text_stream(number)
    os.write(number, b"of the forkserver\n")
    reader, writer = os.pipe()
    os.dup2(writer, number)
    print("of the worker \udc80", file=stream)
    assert os.read(reader, 100) == b"of the worker \\udc80\n", "a line is not kept back"
    assert (tmp_path / "log").read_text() == "of the forkserver\n"
    for descriptor in (reader, writer, number):
        os.close(descriptor)


def test_it_is_one_of_a_pipe(number: int) -> None:
    stream = text_stream(number)
    assert not stream.seekable()
    assert not stream.isatty()
    stream.close()
    os.fstat(number)  # it is open still
    os.close(number)


def test_no_descriptor_stays_open(number: int) -> None:
    before = os.listdir("/dev/fd")
    stream = text_stream(number)
    assert os.listdir("/dev/fd") == before
    stream.close()
    os.close(number)
