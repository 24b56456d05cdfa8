"""Frames on a byte stream: four bytes of length, then a msgpack array of messages. No I/O here."""

import struct
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from nbactors.local.wire import messages

HEADER = 4
RECEIVED = 8
MAX_CONTROL_FRAME = 16 << 20
MAX_PEER_FRAME = 1 << 30

M = TypeVar("M")

_pack_head = struct.Struct(">IQ").pack
unpack_received = struct.Struct(">Q").unpack_from
"""Returns, in a tuple, how many frames the sender of a peer's frame had received; its argument is the frame's body."""


class FrameError(Exception):
    """The other side sent bytes that are no frame of this protocol; the connection has to be closed."""


class Codec(Generic[M]):
    """Encodes and decodes frames of one conversation.

    Stateless but for msgspec's reusable encoder, and therefore to be used by one thread at a time for encoding.
    """

    def __init__(self, union: Any, limit: int) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[union]).decode
        self.limit = limit

    def encode(self, batch: list[M]) -> bytes:
        """Return one frame with all of `batch`, or more frames if it would be longer than the receiver accepts.

        Raises:
            FrameError: One message alone is too long.
        """
        body = self._encode(batch)
        if len(body) > self.limit:
            if len(batch) > 1:
                half = len(batch) // 2
                return self.encode(batch[:half]) + self.encode(batch[half:])
            raise FrameError(f"message of {len(body)} bytes exceeds the limit of {self.limit} bytes")
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


class PeerCodec(Codec[messages.Peer]):
    """Codec of sessions and workers, whose frames begin with eight bytes more: how many frames the sender has received.

    So each frame acknowledges those of the other direction, without a message of its own.
    """

    def __init__(self) -> None:
        super().__init__(messages.Peer, MAX_PEER_FRAME)

    def encode(self, batch: list[messages.Peer], received: int = 0) -> bytes:
        """Return one frame with all of `batch`.

        Raises:
            FrameError: It would be too long.
        """
        body = self._encode(batch)
        if len(body) > self.limit - RECEIVED:
            raise FrameError(f"message of {len(body)} bytes exceeds the limit of {self.limit} bytes")
        return _pack_head(len(body) + RECEIVED, received) + body

    def decode(self, body: bytes | memoryview) -> list[messages.Peer]:
        """See the base class."""
        try:
            return self._decode(body[RECEIVED:])
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
    return Codec(messages.Control, MAX_CONTROL_FRAME)


def fork_codec() -> Codec[messages.ForkMessage]:
    """Return a codec for the conversation of node and forkserver."""
    return Codec(messages.ForkMessage, MAX_CONTROL_FRAME)


def peer_codec() -> PeerCodec:
    """Return a codec for the conversation of sessions and workers."""
    return PeerCodec()
