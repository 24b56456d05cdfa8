from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbactors.local.wire import framing, messages

WATCH = messages.Watch(b"p" * 16)

control_messages = st.one_of(
    st.builds(messages.Hello, st.integers(0, 99), st.binary(max_size=16), st.integers(0, 9999), st.text(), st.text()),
    st.builds(messages.AddHold, st.binary(min_size=16, max_size=16), st.binary(max_size=16), st.integers(0, 99)),
    st.builds(messages.Output, st.integers(0, 9999), st.text(), st.integers(1, 2), st.text(), st.binary(max_size=16)),
)


@given(st.lists(st.lists(control_messages, max_size=4), max_size=5), st.data())
def test_frames_are_decoded_however_the_stream_is_cut(
    batches: list[list[messages.Control]], data: st.DataObject
) -> None:
    codec = framing.control_codec()
    stream = b"".join(codec.encode(batch) for batch in batches)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    frames = framing.FrameBuffer(codec.limit)
    received = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += [codec.decode(body) for body in frames.feed(stream[start:stop])]
    assert received == batches


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_raise_nothing_but_a_frame_error(rubbish: bytes, is_framed: bool) -> None:
    codec = framing.control_codec()
    stream = len(rubbish).to_bytes(framing.HEADER, "big") + rubbish if is_framed else rubbish
    try:
        batches = [codec.decode(body) for body in framing.FrameBuffer(codec.limit).feed(stream)]
    except framing.FrameError:
        return
    assert all(isinstance(message, messages.Message) for batch in batches for message in batch)
    assert batches or not is_framed


@pytest.mark.parametrize("prefix", [b"", b"\0\0"])
def test_a_frame_that_is_too_long_is_refused_by_its_length(prefix: bytes) -> None:
    frames = framing.FrameBuffer(limit=100)
    header = (101).to_bytes(4, "big")
    assert list(frames.feed(header[: len(prefix)])) == []
    with pytest.raises(framing.FrameError, match="frame of 101 bytes exceeds the limit of 100 bytes"):
        list(frames.feed(header[len(prefix) :] + b"x"))


def test_a_batch_that_is_too_long_becomes_several_frames() -> None:
    codec: framing.Codec[messages.Control] = framing.Codec(messages.Control, 100)
    batch: list[messages.Control] = [messages.Watch(bytes([number] * 16)) for number in range(20)]
    frames = framing.FrameBuffer(codec.limit)
    received = [codec.decode(body) for body in frames.feed(codec.encode(batch))]
    assert len(received) > 1
    assert [message for part in received for message in part] == batch


def test_a_message_that_is_too_long_is_not_sent() -> None:
    codec = framing.Codec(messages.Control, limit=100)
    with pytest.raises(framing.FrameError, match="exceeds the limit of 100 bytes"):
        codec.encode([messages.Warn("x" * 200)])


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91\xc0", b"\x91" * 5000, b"\x91\x92\x1d\x01"])
def test_malformed_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(framing.FrameError, match="malformed frame"):
        framing.control_codec().decode(body)


def test_a_codec_refuses_messages_of_another_conversation() -> None:
    frame = framing.control_codec().encode([WATCH])
    with pytest.raises(framing.FrameError, match="malformed frame"):
        framing.peer_codec().decode(frame[framing.HEADER :])


def test_a_text_with_surrogates_is_sent_with_escapes() -> None:
    codec = framing.control_codec()
    (body,) = framing.FrameBuffer(codec.limit).feed(codec.encode([messages.Output(1, "\ud800", 1, "→", b"p")]))
    assert codec.decode(body) == [messages.Output(1, "\\ud800", 1, "→", b"p")]
    assert framing._without_surrogates([{"\udcff": ["ä", "\udc80", b"\xff", 1]}]) == [
        {"\\udcff": ["ä", "\\udc80", b"\xff", 1]}
    ]


@pytest.mark.parametrize("make", [framing.control_codec, framing.peer_codec, framing.fork_codec])
def test_a_decoder_is_made_once(make: Callable[[], framing.Codec[Any]]) -> None:
    """Each actor has a connection to its caller, and a decoder takes longer to make than a call."""
    assert make().decode_body is make().decode_body
