"""The output of a call goes through pipes of the notebook cell that has made the call.

A worker begins with two pipes, on descriptors 1 and 2. For the first call of a notebook cell it makes two more, sends
their read ends to the node, and makes them its descriptors 1 and 2. So the output of C code and of subprocesses reaches
the right cell, too, and a subprocess keeps the pipes of its cell while calls of other cells run.

Descriptors belong to the process, and calls of several cells may run at once. So Python code writes to the pipes of its
own call, whichever pipes are on 1 and 2; `ThreadCalls` tells the call of a thread. Code that belongs to no call writes
to the pipes of the latest call. Scripts have no cells, and pay nothing for this.

Two cases are not told apart: C code that writes on several threads of one actor at once, and the jobs of a
`multiprocessing.pool.ThreadPool`, whose threads belong to the call that has made the pool.
"""

from __future__ import annotations

import ctypes
import io
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from nbactors.frontend.user_code import lets_through
from nbactors.in_worker import ipython_display
from nbactors.in_worker.thread_calls import ThreadCalls
from nbactors.local.worker.jobs.job import Job
from nbactors.local.worker.printing.thread_owners import ThreadOwners

KEPT = 8
"""Cells whose pipes are kept open. A cell with output after so many others gets new pipes."""

_Pair = tuple[int, int]


class OutputPipes:
    """The pipes of one worker.

    Args:
        hand_over: Sends the read ends of two new pipes to the node: (origin, descriptors).
        on_main: Returns the job whose code the main thread runs, None if it runs none.

    Attributes:
        descriptors_origin: The origin that descriptors 1 and 2 belong to.
    """

    def __init__(
        self,
        hand_over: Callable[[int, Sequence[int]], None],
        on_main: Callable[[], Job | None],
    ) -> None:
        self._hand_over = hand_over
        self._on_main = on_main
        self._lock = threading.RLock()
        self._pairs: OrderedDict[int, _Pair] = OrderedDict()
        self._readers: dict[int, _Pair] = {}
        self._first: _Pair | None = None
        self._threads = ThreadOwners(on_main, self.end)
        self._streams: list[OutputStream] = []
        self.descriptors_origin = 0

    def keep(self, readers: tuple[int, int]) -> None:
        """Take the read ends of the first two pipes. Before the first call.

        This object keeps all read ends: while there is no node, they keep the output, and the next node gets them.
        """
        self._readers[0] = readers

    def begin(self, origin: int) -> None:
        """Put the pipes of an origin on descriptors 1 and 2: a call of it begins. On the thread that runs the call."""
        with self._lock:
            if self._first is None:
                self._activate()
            _flush_c()
            for descriptor, target in zip(self.pair(origin), (1, 2), strict=True):
                os.dup2(descriptor, target)
            self.descriptors_origin = origin

    def end(self) -> None:
        """Send the unfinished lines of a call, a thread, or a thread's job that ends. On the thread that ran it."""
        for stream in self._streams:
            stream.finish()

    def origin(self) -> int:
        """Return the origin of the calling thread's output."""
        origin = self._threads.origin()
        if origin is not None:
            return origin
        job = self._on_main()
        # Between calls and at the end of the process, destructors write under the last cell.
        return job.message.origin if job is not None else self.descriptors_origin

    def pair(self, origin: int) -> _Pair:
        """Return the write ends of an origin's pipes. Under the lock; without it they may be closed at any time."""
        assert self._first is not None
        if not origin:
            return self._first
        found = self._pairs.get(origin)
        if found is not None:
            self._pairs.move_to_end(origin)
            return found
        made = self._make(origin)
        if made is None:
            return self._first
        self._pairs[origin] = made
        if len(self._pairs) > KEPT:
            former, oldest = self._pairs.popitem(last=False)
            _close(oldest)
            self.lose(former)
        return made

    def readers(self) -> list[tuple[int, _Pair]]:
        """Return the origins and the read ends of all pipes. Any thread; takes no lock, which a writer may hold."""
        return list(self._readers.copy().items())

    def lose(self, origin: int) -> None:
        """Close the read ends of an origin's pipes: nobody needs them, or the node could not take them. Any thread."""
        _close(self._readers.pop(origin, ()))

    def forget(self) -> None:
        """In a forked child: close the copies of the read ends.

        Otherwise a child that prints after the worker's end would wait for ever for a reader, which it is itself.
        """
        while self._readers:
            _close(self._readers.popitem()[1])

    def write(self, number: int, origin: int, data: bytes) -> None:
        """Write to the pipe of an origin, 1 for stdout, 2 for stderr. Any thread; waits for the node to read."""
        with self._lock:
            descriptor = self.pair(origin)[number - 1]
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(descriptor, view) :]
                except BrokenPipeError:
                    assert self._first is not None
                    if descriptor in self._first:
                        raise
                    # The node had no descriptor for the read end.
                    descriptor = self._first[number - 1]

    def _make(self, origin: int) -> _Pair | None:
        ends: list[int] = []
        try:
            for _ in range(2):
                ends += os.pipe()
            self._hand_over(origin, ends[::2])
        except OSError:  # no descriptors are left: the output is not lost, but shows under another cell
            _close(ends)
            return None
        self._readers[origin] = (ends[0], ends[2])
        return ends[1], ends[3]

    # ----------------------------------------------------------------------------------------------------- Python

    def _activate(self) -> None:
        """Begin to tell calls apart, with the first one that a cell makes."""
        ipython_display.add_builtins()
        sys.stdout.flush()
        sys.stderr.flush()
        self._first = (os.dup(1), os.dup(2))
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream = OutputStream(number, self)
            text = io.TextIOWrapper(
                stream,  # type: ignore[type-var] # a raw stream is enough: with write_through nothing is buffered above it
                encoding="utf-8",
                errors="backslashreplace",
                line_buffering=True,
                write_through=True,
            )
            self._streams.append(stream)
            if getattr(sys, name) is getattr(sys, f"__{name}__"):
                setattr(sys, name, text)
            setattr(sys, f"__{name}__", text)
        ThreadCalls(self._threads).follow()
        self._follow_processes()

    def _follow_processes(self) -> None:
        """Give each subprocess the pipes of the call that starts it, if 1 and 2 belong to another call."""
        import subprocess  # noqa: PLC0415 - only notebooks' workers need it

        init = subprocess.Popen.__init__

        def init_with_origin(process: Any, *args: Any, **kwargs: Any) -> None:
            origin = self.origin()
            if origin == self.descriptors_origin or len(args) > _STDOUT:
                init(process, *args, **kwargs)
                return
            with self._lock:
                pair = [os.dup(descriptor) for descriptor in self.pair(origin)]
            try:
                for name, descriptor in zip(("stdout", "stderr"), pair, strict=True):
                    if kwargs.get(name) is None:
                        kwargs[name] = descriptor
                init(process, *args, **kwargs)
            finally:
                _close(pair)

        subprocess.Popen.__init__ = init_with_origin  # type: ignore[method-assign,assignment]


_STDOUT = 4
"""The position of `stdout` among the arguments of `Popen`."""


class OutputStream(io.RawIOBase):
    """The raw stream of sys.stdout or sys.stderr: gathers whole lines of each thread, and writes them to their pipe."""

    def __init__(self, number: int, pipes: OutputPipes) -> None:
        super().__init__()
        self._number = number
        self._pipes = pipes
        self._partial: dict[tuple[int, int], bytes] = {}
        self._flushed: set[tuple[int, int]] = set()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the descriptor that subprocesses get for this stream."""
        return self._number

    def isatty(self) -> bool:
        return False

    @lets_through
    def write(self, data: Any) -> int:
        """See the base class. Any thread."""
        data = bytes(data)
        pipes = self._pipes
        origin = pipes.origin()
        key = (threading.get_ident(), origin)
        text = self._partial.pop(key, b"") + data
        whole, newline, rest = text.rpartition(b"\n")
        if newline:
            self._flushed.discard(key)
        if len(rest) >= _LONGEST:
            whole, newline, rest = text, b"", b""
        if rest:
            self._partial[key] = rest
        if whole or newline:
            pipes.write(self._number, origin, whole + newline)
        return len(data)

    def flush(self) -> None:
        """Write the calling thread's unfinished lines."""
        ident = threading.get_ident()
        for key in [key for key in list(self._partial) if key[0] == ident]:
            text = self._partial.pop(key, b"")
            if text:
                self._flushed.add(key)
                self._pipes.write(self._number, key[1], text)

    def finish(self) -> None:
        """End the calling thread's unfinished lines with a line feed: the node passes on whole lines only."""
        if self._partial or self._flushed:
            self.flush()
            ident = threading.get_ident()
            for key in [key for key in list(self._flushed) if key[0] == ident]:
                self._flushed.discard(key)
                self._pipes.write(self._number, key[1], b"\n")


_LONGEST = 1 << 16
"""Bytes of an unfinished line at which it is written."""


def _flush_c() -> None:
    """Flush the buffers of the C library."""
    try:
        ctypes.pythonapi.fflush(None)
    except (AttributeError, OSError):  # some systems have no such name
        pass


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
