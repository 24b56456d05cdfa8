"""The machine's limit for calls: two plain Python processes that exchange pickled messages over a socket pair.

Run as a script with a socket's descriptor, this file is the other process. It has no protocol but four bytes of length
before each pickle; every message is pickled and unpickled on its own, as calls are. What is gathered is only the I/O.
"""

from __future__ import annotations

import pickle
import socket
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

HEADER = 4
CHUNK = 1 << 18
IN_FLIGHT = 1000
SEQUENTIAL_STEP = 50
BUFFER = 1 << 20

REQUEST: tuple[str, tuple[()], dict[str, object]] = ("method", (), {})
REPLY = b"ok"


def packed(message: object) -> bytes:
    """Return one message as it travels."""
    body = pickle.dumps(message, 5)
    return len(body).to_bytes(HEADER, "big") + body


class Inbox:
    """Splits what a socket receives into messages."""

    def __init__(self, sock: socket.socket) -> None:
        self._receive = sock.recv
        self._rest = b""

    def messages(self) -> list[Any]:
        """Wait for bytes and return the messages that are complete, unpickled; empty at the end of the stream."""
        while True:
            data = self._receive(CHUNK)
            if not data:
                return []
            if self._rest:
                data = self._rest + data
            found: list[Any] = []
            position, end = 0, len(data)
            while end - position >= HEADER:
                stop = position + HEADER + int.from_bytes(data[position : position + HEADER], "big")
                if stop > end:
                    break
                found.append(pickle.loads(data[position + HEADER : stop]))
                position = stop
            self._rest = data[position:]
            if found:
                return found


def answer(sock: socket.socket) -> None:
    """Answer every request until the other side closes: what the second process does."""
    inbox = Inbox(sock)
    while requests := inbox.messages():
        sock.sendall(b"".join([packed((number, REPLY)) for number, _ in requests]))


class Exchange:
    """The measuring side. A context manager: the other process lives as long as it is open.

    Not thread-safe; used by the benchmark's main thread.
    """

    def __init__(self) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            for end in (self._sock, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self._other = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )
        self._inbox = Inbox(self._sock)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sock.close()
        self._other.wait()

    def one_at_a_time(self, seconds: float) -> float:
        """Return messages per second, each sent after the answer to the one before."""
        return self._rate(seconds, SEQUENTIAL_STEP, 1)

    def in_flight(self, seconds: float) -> float:
        """Return messages per second, sent in bursts of 1,000, all of which are answered before the next burst."""
        return self._rate(seconds, 1, IN_FLIGHT)

    def _rate(self, seconds: float, bursts: int, size: int) -> float:
        self._burst(size)
        rates: list[float] = []
        stop = time.perf_counter() + seconds
        while not rates or time.perf_counter() < stop:
            start = time.perf_counter()
            for _ in range(bursts):
                self._burst(size)
            rates.append(bursts * size / (time.perf_counter() - start))
        return statistics.median(rates)

    def _burst(self, size: int) -> None:
        first = self._number
        self._number += size
        self._sock.sendall(b"".join([packed((number, REQUEST)) for number in range(first, first + size)]))
        answered = 0
        while answered < size:
            answers = self._inbox.messages()
            if not answers:
                raise ConnectionError(
                    f"the benchmark's second process ended early (exit status {self._other.wait()}); "
                    "its own error stands above"
                )
            answered += len(answers)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as end:
        answer(end)
