"""The output of workers: read from their pipes, written to a log, passed on line by line.

A worker has two pipes from its start, and makes two more for each notebook cell whose calls it runs, so that a
subprocess that writes later still writes to the pipes of its own cell. All pipes of a worker share one log, which gets
whole lines.

No output is dropped, reordered or taken for a duplicate. While a session does not take its output, the node leaves the
pipes unread. The workers then wait in `print` at some point, and the node's memory does not grow. Only a node that
crashes takes something along: the unfinished lines that it has read.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nbactors.local.node.rules.events import Event, OutputEnded, OutputRead
from nbactors.local.node.shell.journal import is_removed
from nbactors.local.node.shell.loop import READ, Loop

_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 20
"""Bytes. A longer line is passed on in parts."""

_TAIL_LINES = 20
_TAIL_WIDTH = 2000


class _Stream(NamedTuple):
    """One pipe. `number` is 1 for stdout, 2 for stderr; `made` tells the pipes of one origin apart."""

    origin: int
    number: int
    made: int


class WorkerOutput:
    """The output of one worker.

    Args:
        loop: Watches the pipes.
        post: Called with each event.
        process_id: The worker's.
        descriptors: Read ends of its first stdout and stderr, owned by this object; None if the worker sends them.
        log_path: The file that gets all output.
    """

    def __init__(
        self,
        loop: Loop,
        post: Callable[[Event], None],
        process_id: bytes,
        descriptors: tuple[int, int] | None,
        log_path: str,
    ) -> None:
        self._loop = loop
        self._post = post
        self._process_id = process_id
        self._log_path = log_path
        self._log = -1
        self._streams: dict[_Stream, int] = {}
        self._partial: dict[_Stream, bytes] = {}
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._paused = False
        self._finishing = False
        self._ended = False
        self._made = 0
        if descriptors is not None:
            self.add(0, descriptors)

    def add(self, origin: int, descriptors: tuple[int, int]) -> None:
        """Read two more pipes: the output of calls of this origin."""
        if self._ended:
            close_all(descriptors)
            return
        self._made += 1
        for number, descriptor in enumerate(descriptors, 1):
            stream = _Stream(origin, number, self._made)
            os.set_blocking(descriptor, False)
            self._streams[stream] = descriptor
            self._partial[stream] = b""
            if not self._paused:
                self._watch(stream, descriptor)

    def pause(self) -> None:
        """Stop reading the pipes."""
        if not self._paused:
            self._paused = True
            for descriptor in self._streams.values():
                self._loop.unwatch(descriptor)

    def resume(self) -> None:
        """Read the pipes again."""
        if self._paused:
            self._paused = False
            for stream, descriptor in self._streams.items():
                self._watch(stream, descriptor)
            if self._finishing:
                self.finish()

    def read_on(self) -> None:
        """Read the output that is there now: one chunk of each pipe, which is as much as a pipe holds."""
        if not self._paused:
            for stream in list(self._streams):
                self._read(stream)

    def finish(self) -> None:
        """Read the rest and close the pipes: the worker has ended, but its children may hold the other ends."""
        self._finishing = True
        if self._paused:
            return
        for stream in list(self._streams):
            while self._read(stream):
                if self._paused:
                    return
            self._close_stream(stream)
        self._end_if_read()

    def close(self) -> None:
        """Close all pipes, read or not."""
        for stream in list(self._streams):
            self._close_stream(stream)

    def _watch(self, stream: _Stream, descriptor: int) -> None:
        self._loop.watch(descriptor, READ, lambda _: self._on_ready(stream))

    def _on_ready(self, stream: _Stream) -> None:
        self._read(stream)

    def _read(self, stream: _Stream) -> bool:
        """Read a chunk. Returns whether there may be more."""
        descriptor = self._streams.get(stream)
        if descriptor is None:
            return False
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close_stream(stream)
            return False
        whole, newline, rest = (self._partial[stream] + data).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:
            whole, newline, rest = whole + newline + rest, b"", b""
        self._partial[stream] = rest
        if whole or newline:
            self._pass_on(stream, whole + newline)
        return True

    def _pass_on(self, stream: _Stream, data: bytes) -> None:
        self._write_log(data)
        text = data.decode(errors="replace")
        if stream.number == 2:
            self._tail.extend(line[:_TAIL_WIDTH] for line in text.splitlines()[-_TAIL_LINES:])
        self._post(OutputRead(self._process_id, stream.number, text, stream.origin))

    def _write_log(self, data: bytes) -> None:
        """Append to the log, or to a new one if the log was removed.

        A full disk must not stop the workers: their output still reaches the session.
        """
        try:
            if self._log >= 0 and is_removed(self._log):
                os.close(self._log)
                self._log = -1
            if self._log < 0:
                os.makedirs(os.path.dirname(self._log_path), mode=0o700, exist_ok=True)
                self._log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.write(self._log, data)
        except OSError:
            pass

    def _close_stream(self, stream: _Stream) -> None:
        descriptor = self._streams.pop(stream, None)
        if descriptor is None:
            return
        self._loop.unwatch(descriptor)
        os.close(descriptor)
        rest = self._partial.pop(stream)
        if rest:
            self._pass_on(stream, rest)
        self._end_if_read()

    def _end_if_read(self) -> None:
        if not self._streams and not self._ended:
            self._ended = True
            if self._log >= 0:
                os.close(self._log)
                self._log = -1
            self._post(OutputEnded(self._process_id, "\n".join(self._tail)))


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
