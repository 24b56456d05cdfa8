"""Takes long `bytes` and `str` out of a pickle stream, wherever they lie in the value. No input or output here.

pickle asks no hook for these types, but it writes a long one straight to the file, with its opcode at the end of the
chunk before. So the value itself comes here, without a copy. In the stream, the call of `bytes` or `str` with the next
out-of-band buffer takes the place of the opcode. Everything else is left to pickle, such as a value that occurs twice.

A stream is rewritten only where each chunk is exactly what is expected. Else the chunks, joined, are the stream.
"""

from __future__ import annotations

import pickle

LONG = 1 << 16
"""Bytes. pickle writes longer `bytes` and `str` straight to the file."""

_PROTO, _FRAME = 0x80, 0x95
_BYTES = b"cbuiltins\nbytes\n\x97\x85R"
_STR = b"cbuiltins\nstr\n\x97\x8c\x05utf-8\x8c\x0dsurrogatepass\x87R"
_CALLS = {ord("B"): (5, _BYTES), 0x8E: (9, _BYTES), ord("X"): (5, _STR), 0x8D: (9, _STR), 0x96: (9, b"")}
"""By opcode: the bytes of the opcode with the length that follows it, and the opcodes for its place.

The last one is of a `bytearray`. It stays in the stream, as it can change, and the receiver can change it."""

_FRAME_HEADER = 9
_LEAST_FRAME = 4
"""Bytes. Less than that gets no frame."""


class Sink:
    """The file of a pickler, and its callback for buffers."""

    __slots__ = ("_buffers", "_chunks", "_places")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._buffers: list[memoryview] = []
        self._places: list[tuple[int, int]] = []
        """The index of each chunk that may be a long part, and the number of buffers before it."""

    def write(self, chunk: bytes | bytearray | memoryview | pickle.PickleBuffer) -> None:
        """Take a chunk of the stream. What may change is copied."""
        if type(chunk) is not bytes:
            chunk = bytes(chunk)
        elif len(chunk) >= LONG:
            self._places.append((len(self._chunks), len(self._buffers)))
        self._chunks.append(chunk)

    def keep(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer out of band. Return True if pickle shall copy it into the stream."""
        try:
            raw = buffer.raw()
        except BufferError:  # not contiguous
            return True
        self._buffers.append(raw)
        return False

    def take(self) -> tuple[bytes, list[memoryview]]:
        """Return the stream and the buffers, and make the sink empty."""
        chunks, buffers = self._chunks, self._buffers
        if buffers:
            self._buffers = []
        if len(chunks) == 1:
            return chunks.pop(), buffers
        self._chunks = []
        if self._places:
            places, self._places = self._places, []
            chunks, buffers = _taken_out(chunks, buffers, dict(places)) or (chunks, buffers)
        return b"".join(chunks), buffers


def _taken_out(
    chunks: list[bytes], buffers: list[memoryview], places: dict[int, int]
) -> tuple[list[bytes], list[memoryview]] | None:
    """Return the chunks of the stream, and all buffers. Return None if one chunk is not as expected."""
    stream: list[bytes] = []
    ordered: list[memoryview] = []
    done = 0
    head = b""
    for index, chunk in enumerate(chunks):
        if not head:
            end = _end_of_frame(chunk, index == 0)
            if end is None:
                return None
            stream.append(chunk[:end])
            head = chunk[end:]
            continue
        size, call = _CALLS.get(head[0], (0, b""))
        if len(head) != size or int.from_bytes(head[1:], "little") != len(chunk):
            return None
        if call and index in places:
            ordered += buffers[done : places[index]]
            done = places[index]
            ordered.append(memoryview(chunk))
            stream.append(call)
        else:
            stream += (head, chunk)
        head = b""
    return None if head else (stream, ordered + buffers[done:])


def _end_of_frame(chunk: bytes, is_first: bool) -> int | None:
    """Return the number of bytes before the opcode of a long part, all of them if there is none.

    Return None for a chunk that is no frame, or that has anything but such an opcode behind its frame.
    """
    start = 2 if is_first and chunk[0] == _PROTO else 0
    size = len(chunk)
    if size > start and chunk[start] == _FRAME:
        end = start + _FRAME_HEADER + int.from_bytes(chunk[start + 1 : start + _FRAME_HEADER], "little")
        return end if size - end in (0, 5, 9) else None
    if size - start < _LEAST_FRAME:  # the end of the stream
        return size
    for head in (9, 5):
        if start <= size - head < start + _LEAST_FRAME and chunk[size - head] in _CALLS:
            return size - head
    return None
