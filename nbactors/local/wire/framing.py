"""Frames on a byte stream: four bytes of length, then a msgpack array of messages. No I/O here."""

import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from nbactors.local.wire import messages

HEADER = 4
MAX_CONTROL_FRAME = 16 << 20
MAX_PEER_FRAME = 1 << 30
MAX_CONTROL_BATCH = 2000
"""Messages in one frame to or from the node, which handles a frame without looking at other connections."""

M = TypeVar("M")


class FrameError(Exception):
    """The other side sent bytes that are no frame of this protocol; the connection has to be closed."""


class TooLongError(FrameError, ValueError):
    """A message of this side is longer than the other side accepts. A ValueError: it holds what the user gave."""


class Codec(Generic[M]):
    """Encodes and decodes frames of one conversation.

    Args:
        longest: Messages in one frame at most; None for any number.

    Stateless but for msgspec's reusable encoder, and therefore to be used by one thread at a time for encoding.
    """

    def __init__(self, union: Any, limit: int, longest: int | None = None) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        batch: Any = list[union] if longest is None else Annotated[list[union], msgspec.Meta(max_length=longest)]
        self._decode: Callable[[Any], list[M]] = msgspec.msgpack.Decoder(batch).decode
        self._longest = longest or sys.maxsize
        self.limit = limit

    def encode(self, batch: list[M]) -> bytes:
        """Return one frame with all of `batch`, or more frames if it would be longer than the receiver accepts.

        Raises:
            TooLongError: One message alone is too long.
        """
        if len(batch) > self._longest or len(body := self._encode(batch)) > self.limit:
            if len(batch) > 1:
                half = len(batch) // 2
                return self.encode(batch[:half]) + self.encode(batch[half:])
            raise TooLongError(f"message of {len(body)} bytes exceeds the limit of {self.limit} bytes")
        return len(body).to_bytes(HEADER, "big") + body

    def decode(self, body: bytes | memoryview) -> list[M]:
        """Return the messages of one frame's body.

        Raises:
            FrameError: It is not a valid array of messages.
        """
        try:
            return self._decode(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise FrameError(f"malformed frame: {error}") from error


class FrameBuffer:
    """Collects bytes and hands out whole frame bodies."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes | memoryview]:
        """Add received bytes and yield each body that is now complete.

        A body that lies wholly in `data` is yielded as a view of it, without a copy.

        Raises:
            FrameError: A length exceeds the limit.
        """
        if not self._data:
            position = 0
            view = memoryview(data)
            end = len(data)
            while end - position >= HEADER:
                length = int.from_bytes(data[position : position + HEADER], "big")
                self._check(length)
                stop = position + HEADER + length
                if stop > end:
                    break
                yield view[position + HEADER : stop]
                position = stop
            if position < end:
                self._data += view[position:]
            return
        self._data += data
        position = 0
        while len(self._data) - position >= HEADER:
            length = int.from_bytes(self._data[position : position + HEADER], "big")
            self._check(length)
            stop = position + HEADER + length
            if stop > len(self._data):
                break
            yield bytes(memoryview(self._data)[position + HEADER : stop])
            position = stop
        if position:
            del self._data[:position]

    def _check(self, length: int) -> None:
        if length > self._limit:
            raise FrameError(f"frame of {length} bytes exceeds the limit of {self._limit} bytes")


def control_codec() -> Codec[messages.Control]:
    """Return a codec for the conversation with the node."""
    return Codec(messages.Control, MAX_CONTROL_FRAME, MAX_CONTROL_BATCH)


def fork_codec() -> Codec[messages.ForkMessage]:
    """Return a codec for the conversation of node and forkserver."""
    return Codec(messages.ForkMessage, MAX_CONTROL_FRAME)


def peer_codec() -> Codec[messages.Peer]:
    """Return a codec for the conversation of sessions and workers."""
    return Codec(messages.Peer, MAX_PEER_FRAME)
