"""The machine's limit for calls: two plain Python processes that exchange pickled messages over a socket pair.

Run as a script with a socket's descriptor, this file is the other process. Every message is pickled and unpickled
separately, as calls are. Only the input and output is shared: the messages of a burst are sent together.
"""

from __future__ import annotations

import io
import pickle
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

REQUEST: tuple[str, tuple[()], dict[str, object]] = ("method", (), {})
REPLY = b"ok"


def packed(messages: list[object]) -> bytes:
    """Return the bytes of messages that are sent together."""
    return b"".join([pickle.dumps(message, 5) for message in messages])


def unpacked(data: bytes) -> Iterator[tuple[int, object]]:
    """Yield the messages of received bytes one by one."""
    file = io.BytesIO(data)
    while file.tell() < len(data):
        yield pickle.load(file)


def answer(connection: Connection) -> None:
    """Answer every request until the other side closes the connection. The second process runs this function."""
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(packed([(number, REPLY) for number, _ in unpacked(data)]))


class Exchange:
    """The side that measures. The other process lives until `close`. Used by the benchmark's main thread."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._other = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )
        self._connection = Connection(ours.detach())

    def close(self) -> None:
        """End the other process."""
        self._connection.close()
        self._other.wait()

    def rate(self, seconds: float, size: int) -> float:
        """Return messages per second, sent in bursts of `size` messages. The next burst follows all answers."""
        rates: list[float] = []
        steps = max(1, 50 // size)
        self._burst(size)
        stop = time.perf_counter() + seconds
        while not rates or time.perf_counter() < stop:
            start = time.perf_counter()
            for _ in range(steps):
                self._burst(size)
            rates.append(steps * size / (time.perf_counter() - start))
        return statistics.median(rates)

    def _burst(self, size: int) -> None:
        self._connection.send_bytes(packed([(number, REQUEST) for number in range(size)]))
        assert sum(1 for _ in unpacked(self._connection.recv_bytes())) == size


if __name__ == "__main__":
    answer(Connection(int(sys.argv[1])))
