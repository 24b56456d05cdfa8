"""Frames on a byte stream: four bytes of length, then a msgpack array of messages. No input or output here."""

import struct
import sys
from collections.abc import Callable
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec

from nbactors.local.wire import messages

HEADER = 4
RECEIVED = 8
MAX_CONTROL_FRAME = 16 << 20
MAX_PEER_FRAME = 1 << 30
MAX_CONTROL_BATCH = 2000
"""The highest number of messages in one frame to or from the node, which serves no other connection meanwhile."""

SMALL = 4096

M = TypeVar("M")

HEAD = HEADER + RECEIVED
_pack_head = struct.Struct(">IQ").pack
unpack_head = struct.Struct(">IQ").unpack_from
"""Returns the length of a peer frame and the result of `unpack_received`; the argument is the whole frame."""

_unpack_length = struct.Struct(">I").unpack_from
unpack_received = struct.Struct(">Q").unpack_from
"""Returns a tuple with the number of frames that the sender of a peer frame had received; the argument is the body."""


class FrameError(Exception):
    """The other side sent bytes that are no frame of this protocol. The connection must be closed."""


class TooLongError(FrameError, ValueError):
    """A message is too long for the other side. It is a ValueError because the user's arguments are in the message."""


_decoders: dict[tuple[int, int | None], tuple[Any, Callable[[Any], list[Any]]]] = {}


def _decoder(union: Any, longest: int | None) -> Callable[[Any], list[Any]]:
    """Return the function that decodes batches of messages, which has no state.

    It takes milliseconds to make one for a hundred kinds of messages, so each process makes it once, and a worker has
    that of its forkserver.
    """
    # By the union's identity, since its hash is made of those of all its members.
    known = _decoders.get((id(union), longest))
    if known is None:
        batch: Any = list[union] if longest is None else Annotated[list[union], msgspec.Meta(max_length=longest)]
        known = _decoders[id(union), longest] = (union, msgspec.msgpack.Decoder(batch).decode)
    return known[1]


class Codec(Generic[M]):
    """Encodes and decodes the frames of one conversation.

    Args:
        longest: The highest number of messages in one frame; None for no limit.

    Has no state but msgspec's reusable encoder, so one thread at a time may encode.
    """

    def __init__(self, union: Any, limit: int, longest: int | None = None) -> None:
        self.encode_body = msgspec.msgpack.Encoder().encode
        self.decode_body: Callable[[Any], list[M]] = _decoder(union, longest)
        self._longest = longest or sys.maxsize
        self.limit = limit

    def _encode(self, batch: Any) -> bytes:
        """Encode messages with any text: an error here would also keep all later messages from being sent."""
        try:
            return self.encode_body(batch)
        except UnicodeEncodeError:
            return self.encode_body(_without_surrogates(batch))

    def encode(self, batch: list[M]) -> bytes:
        """Return `batch` as one frame, or as several frames if one would be longer than the receiver accepts.

        Raises:
            TooLongError: A single message is too long.
        """
        if len(batch) > self._longest or len(body := self._encode(batch)) > self.limit:
            if len(batch) > 1:
                half = len(batch) // 2
                return self.encode(batch[:half]) + self.encode(batch[half:])
            raise TooLongError(f"message of {len(body)} bytes exceeds the limit of {self.limit} bytes")
        return len(body).to_bytes(HEADER, "big") + body

    def decode(self, body: bytes | memoryview) -> list[M]:
        """Return the messages in the body of a frame.

        Raises:
            FrameError: The body is not a valid array of messages.
        """
        try:
            return self.decode_body(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise FrameError(f"malformed frame: {error}") from error


def _without_surrogates(thing: Any) -> Any:
    """Return the messages with each lone surrogate escaped as in Python source, since UTF-8 cannot encode it.

    Python makes surrogates of bytes that are not UTF-8: in file names, arguments and environment variables.
    """
    if isinstance(thing, str):
        return thing.encode("utf-8", "backslashreplace").decode()
    if isinstance(thing, messages.Message):
        return type(thing)(*[_without_surrogates(getattr(thing, name)) for name in thing.__struct_fields__])
    if isinstance(thing, dict):
        return {_without_surrogates(key): _without_surrogates(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_without_surrogates(part) for part in thing]
    return thing


class PeerCodec(Codec[messages.Peer]):
    """The codec of sessions and workers. Each body begins with 8 bytes: how many frames the sender has received.

    So each frame acknowledges the frames of the other direction without a message for that.
    """

    def __init__(self) -> None:
        super().__init__(messages.Peer, MAX_PEER_FRAME)

    def encode(self, batch: list[messages.Peer], received: int = 0) -> bytes:
        """Return `batch` as one frame.

        Raises:
            FrameError: The frame would be too long.
        """
        body = self._encode(batch)
        if len(body) > self.limit - RECEIVED:
            raise FrameError(f"message of {len(body)} bytes exceeds the limit of {self.limit} bytes")
        return _pack_head(len(body) + RECEIVED, received) + body

    def decode(self, body: bytes | memoryview) -> list[messages.Peer]:
        """See the base class."""
        try:
            return self.decode_body(body[RECEIVED:])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise FrameError(f"malformed frame: {error}") from error


class Tail(NamedTuple):
    """The beginning of an incomplete frame: its pieces, and their length in bytes."""

    pieces: tuple[bytes, ...] = ()
    size: int = 0


def cut(tail: Tail, data: bytes, limit: int) -> tuple[list[bytes | memoryview], Tail]:
    """Join received bytes to the rest of earlier ones. Return the bodies that are complete now, and the new rest.

    The arguments do not change, so that this can be called again if an asynchronous exception interrupts it.

    Raises:
        FrameError: A length exceeds the limit.
    """
    if tail.pieces:
        size = tail.size + len(data)
        if len(tail.pieces[0]) >= HEADER and size < HEADER + int.from_bytes(tail.pieces[0][:HEADER], "big"):
            return [], Tail((*tail.pieces, data), size)
        data = b"".join((*tail.pieces, data))
    bodies: list[bytes | memoryview] = []
    position, end = 0, len(data)
    # Slicing a memoryview takes half a microsecond, much longer than copying a small slice.
    view = data if end <= SMALL else memoryview(data)
    while end - position >= HEADER:
        (length,) = _unpack_length(data, position)
        if length > limit:
            raise FrameError(f"frame of {length} bytes exceeds the limit of {limit} bytes")
        stop = position + HEADER + length
        if stop > end:
            break
        bodies.append(view[position + HEADER : stop])
        position = stop
    if position == end:
        return bodies, NOTHING
    return bodies, Tail((data[position:],), end - position)


NOTHING = Tail()


class FrameBuffer:
    """Collects received bytes and returns complete bodies of frames."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail = NOTHING

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """Add received bytes and return each body that is complete now, as a view.

        Raises:
            FrameError: A length exceeds the limit.
        """
        bodies, self._tail = cut(self._tail, data, self._limit)
        return bodies


def control_codec() -> Codec[messages.Control]:
    """Return a codec for the conversation with the node."""
    return Codec(messages.Control, MAX_CONTROL_FRAME, MAX_CONTROL_BATCH)


def fork_codec() -> Codec[messages.ForkMessage]:
    """Return a codec for the conversation of node and forkserver."""
    return Codec(messages.ForkMessage, MAX_CONTROL_FRAME)


def peer_codec() -> PeerCodec:
    """Return a codec for the conversation of sessions and workers."""
    return PeerCodec()
