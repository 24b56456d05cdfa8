"""What a worker writes: Python code by `sys.stdout`, C code and subprocesses by descriptors 1 and 2.

Python code writes under the cell of its own call, also where calls run at the same time. What comes by the descriptors
counts for the latest call. Everything goes to Ray's log files, too.
"""

from __future__ import annotations

import codecs
import fcntl
import io
import logging
import os
import select
import struct
import sys
import termios
import threading
from collections.abc import Callable
from typing import Any

from nbactors.cluster.host.call import CURRENT, Call
from nbactors.cluster.host.output.lines import Lines
from nbactors.cluster.host.output.tail import Tail

DRAIN_S = 0.5
"""Seconds that the end of a call, and text of Python code, wait for what is left in the pipes."""

_MARKS = (":task_name:", ":actor_name:", ":job_id:")
"""How lines begin that Ray's worker writes for Ray's own log monitor."""

_OF_RAY = "Exception raised in creation task: "
"""How the text begins that Ray's worker writes when a constructor has failed. The session shows the failure itself."""


class Capture:
    """The output of this process, from now on. One in a process; calls from any thread.

    Args:
        lines: Gets the output.

    Attributes:
        tail: The end of all output.
        is_copy: Whether this is a forked child. Its Python code writes to the pipes: the threads that send output are
            in the parent, and locks may be held. Set by the process.
    """

    def __init__(self, lines: Lines) -> None:
        self.latest: Call | None = None
        self.tail = Tail()
        self._lines = lines
        self._drained = threading.Condition()
        self._pipes = [_Pipe(number, self._on_bytes, self._drained) for number in (1, 2)]
        self._filled = select.poll()
        for pipe in self._pipes:
            self._filled.register(pipe.read, select.POLLIN)
        _keep_log_of_ray(self.log_of(2))
        self.is_copy = False
        self._main_thread = threading.main_thread().ident
        for number, name in ((1, "stdout"), (2, "stderr")):
            setattr(sys, name, _HostStream(number, self))

    def begin(self, call: Call) -> None:
        """Note that a call begins. On the thread that runs it."""
        self.latest = call

    def end(self, call: Call) -> bool:
        """Take what a call has written that ends; return whether any of it has not been sent yet."""
        if self.is_copy:
            return False
        self.drain()
        return self._lines.finish(call.hub, call.cell, {self._thread(), 0})

    def end_thread(self, call: Call) -> None:
        """Take the unfinished lines of the calling thread, which works for a call."""
        if not self.is_copy:
            self._lines.finish(call.hub, call.cell, (self._thread(),))

    def drain(self) -> None:
        """Take what was written by the descriptors."""
        with self._drained:  # one thread at a time, which `poll` demands, and not while text is on its way
            has_text = self._filled.poll(0)  # both pipes in one system call: most calls write nothing
        if has_text:
            for pipe in self._pipes:
                pipe.drain(DRAIN_S)

    def write(self, number: int, text: str) -> None:
        """Take text that Python code has written. Any thread."""
        if text.startswith(_OF_RAY):
            return
        self._pipes[number - 1].drain(DRAIN_S)  # what was written there before stands before this text
        call = CURRENT.get() or self.latest
        lines = text.splitlines(keepends=True)
        if text.startswith(_MARKS):
            text = "".join(line for line in lines if not line.startswith(_MARKS))
        if call is not None and text:
            self.tail.add(text)
            self._lines.write(call.hub, call.cell, number, text, self._thread())

    def _thread(self) -> int:
        ident = threading.get_ident()
        return 0 if ident == self._main_thread else ident

    def log_of(self, number: int) -> int:
        """Return the descriptor of Ray's log file of stdout, 1, or stderr, 2."""
        return self._pipes[number - 1].log

    def _on_bytes(self, number: int, text: str) -> None:
        call = self.latest
        if call is not None:
            self.tail.add(text)
            self._lines.write(call.hub, call.cell, number, text)


def _keep_log_of_ray(log: int) -> None:
    """Have Ray's own log records go to Ray's log file only: they are not the user's output."""
    stream = _text_to(log)
    logger = logging.getLogger("ray")
    for handler in logger.handlers[:]:
        if type(handler) is logging.StreamHandler:
            logger.removeHandler(handler)
    logger.addHandler(logging.StreamHandler(stream))
    logger.propagate = False


def _text_to(descriptor: int) -> Any:
    """Return a text file that writes to a descriptor line by line, and leaves it open."""
    return open(descriptor, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)


class _Pipe:
    """A pipe in place of a descriptor. A thread reads it, and copies all to where the descriptor led before.

    Attributes:
        log: The descriptor of where the descriptor led before.
        read: The descriptor of the pipe's end.
    """

    def __init__(self, number: int, take: Callable[[int, str], None], drained: threading.Condition) -> None:
        self._number = number
        self._take = take
        self._drained = drained
        self.log = os.dup(number)
        self.read, write = os.pipe()
        os.set_inheritable(write, True)
        os.dup2(write, number)
        os.close(write)
        self._taken = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        threading.Thread(target=self._run, name="nbactors-output", daemon=True).start()

    def _run(self) -> None:
        readable = select.poll()
        readable.register(self.read, select.POLLIN)
        while True:
            readable.poll()
            with self._drained:  # so that `drain` never finds the pipe empty while its last text is on its way
                data = os.read(self.read, 1 << 16)
                if not data:
                    return
                self._taken += len(data)
                os.write(self.log, data)
                text = self._decoder.decode(data)
                if text:
                    self._take(self._number, text)
                self._drained.notify_all()

    def drain(self, seconds: float) -> None:
        """Wait until what is in the pipe now has been taken. Others may go on writing."""
        with self._drained:
            unread = _unread(self.read)
            if unread:
                wanted = self._taken + unread
                self._drained.wait_for(lambda: self._taken >= wanted, seconds)


def _unread(descriptor: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"))[0]
    return count


class _HostStream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a worker. Bytes by `buffer` and `fileno` take the way of the descriptors."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, number: int, capture: Capture) -> None:
        self._number = number
        self._capture = capture
        self._log = _text_to(capture.log_of(number))
        self.buffer: Any = open(number, "wb", buffering=0, closefd=False)  # noqa: SIM115

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._capture.is_copy:
            self._write_bytes(text.encode("utf-8", "backslashreplace"))
            return len(text)
        self._log.write(text)
        self._capture.write(self._number, text)
        return len(text)

    def _write_bytes(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._number, data) :]

    def flush(self) -> None:
        self._log.flush()

    def fileno(self) -> int:
        return self._number

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False
