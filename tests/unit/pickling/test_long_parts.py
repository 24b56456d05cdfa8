"""Long `bytes` and `str` go out of band from any place in a value."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import random
import threading
from typing import Any

import pytest

from nbactors.pickling import long_parts, pickling

LONG = long_parts.LONG


def round_trip(value: Any) -> Any:
    data, buffers, _ = pickling.dumps(value)
    return pickling.loads(data, [memoryview(buffer).toreadonly() for buffer in buffers])


@dataclasses.dataclass
class Page:
    title: str
    body: Any


class Slotted:
    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and other.part == self.part

    __hash__ = None  # type: ignore[assignment]


PLACES = {
    "itself": lambda part: part,
    "list": lambda part: [part],
    "list of several": lambda part: [1, part, "x", part[:-1], None, part[:-2]],
    "dict's value": lambda part: {"a": part, "b": {"c": (part[1:], 5)}},
    "dict's key": lambda part: {part: 1},
    "tuple": lambda part: ((part,), {}),
    "set": lambda part: {part, 1},
    "frozenset": lambda part: frozenset([part]),
    "dataclass": lambda part: Page("t", part),
    "slots": lambda part: Slotted(part),
    "call": lambda part: ((1, part), {"key": part[2:]}),
    "behind a long stream": lambda part: [list(range(100_000)), part, list(range(100_000)), part[1:], "end"],
    "behind short frames": lambda part: [part, [], part[1:], (), part[2:]],
    "exception": lambda part: [ValueError(part).args],
}
PARTS = {
    "bytes": b"x" * LONG * 2,
    "least bytes": b"x" * (LONG + 3),
    "str": "x" * LONG * 2,
    "wide str": "\N{EURO SIGN}" * LONG,
    "surrogates": "\ud800" * LONG,
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_long_parts_go_out_of_band_wherever_they_are(place: Any, part: Any) -> None:
    value = place(part)
    data, buffers, _ = pickling.dumps(value)
    encoded = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
    assert buffers
    assert all(buffer.nbytes > LONG - 3 for buffer in buffers)
    assert encoded[: LONG - 8] not in data
    loaded = pickling.loads(data, [memoryview(buffer).toreadonly() for buffer in buffers])
    assert type(loaded) is type(value)
    assert loaded == value


def test_the_buffer_of_long_bytes_is_the_object_itself() -> None:
    part = b"x" * LONG
    assert [buffer.obj for buffer in pickling.dumps([part]).buffers if buffer.obj is part] == [part]


def test_an_object_that_occurs_twice_arrives_once() -> None:
    part, text = b"x" * LONG, "y" * LONG
    value = [part, {"again": part}, text, (text, part)]
    data, buffers, _ = pickling.dumps(value)
    assert len(buffers) == 2
    loaded = pickling.loads(data, buffers)
    assert loaded == value
    assert loaded[0] is loaded[1]["again"] is loaded[3][1]
    assert loaded[2] is loaded[3][0]


def test_a_value_that_contains_itself_keeps_its_shape() -> None:
    loop: list[Any] = [b"x" * LONG]
    loop += [loop, {"loop": loop}]
    loaded = round_trip(loop)
    assert loaded[0] == loop[0]
    assert loaded[1] is loaded
    assert loaded[2]["loop"] is loaded


class Blob(bytes):
    pass


class Text(str):
    __slots__ = ()


def test_subclasses_stay_subclasses() -> None:
    loaded = round_trip([Blob(b"x" * LONG), Text("y" * LONG)])
    assert [type(part) for part in loaded] == [Blob, Text]
    assert loaded == [b"x" * LONG, "y" * LONG]


def test_a_bytearray_can_be_written_by_the_receiver_and_is_copied_at_once() -> None:
    part = bytearray(b"x" * LONG)
    data, buffers, _ = pickling.dumps([part, b"y" * LONG, part])
    part[:1] = b"z"
    part.append(0)
    loaded = pickling.loads(data, buffers)
    assert loaded == [b"x" * LONG, b"y" * LONG, b"x" * LONG]
    loaded[0][:1] = b"w"
    assert loaded[2][:1] == b"w"


def test_buffers_and_long_parts_keep_their_order() -> None:
    rng = random.Random(5)
    for _ in range(200):
        value: list[Any] = []
        for _ in range(rng.randrange(12)):
            size = rng.choice([0, 1, 3, 100, LONG - 1, LONG, LONG + 1, LONG * 2])
            kind = rng.randrange(6)
            part = rng.randbytes(16) * (size // 16 + 1)
            part = part[:size]
            if kind == 0:
                value.append(part)
            elif kind == 1:
                value.append(pickle.PickleBuffer(part))
            elif kind == 2:
                value.append(part.decode("latin-1"))
            elif kind == 3:
                value.append(list(range(size // 4)))
            elif kind == 4:
                value.append(bytearray(part))
            else:
                value.append({part: part, "again": value[-1:] and not isinstance(value[-1], pickle.PickleBuffer)})
        data, buffers, _ = pickling.dumps(value)
        loaded = pickling.loads(data, buffers)
        expected = [bytes(part) if isinstance(part, pickle.PickleBuffer) else part for part in value]
        assert [bytes(part) if isinstance(part, memoryview) else part for part in loaded] == expected


def test_parts_that_look_like_streams_are_left_alone() -> None:
    inner = pickle.dumps([b"x" * LONG, list(range(50_000))], 5)
    framed = b"\x95" + (LONG).to_bytes(8, "little") + b"B\0\0\1\0" * (LONG // 5)
    value = [inner, framed, {"k": inner[2:]}, "B\0\0\1\0" * LONG]
    assert round_trip(value) == value


def test_an_unexpected_stream_stays_as_it_is() -> None:
    part = b"x" * LONG
    streams = [
        [b"\x80\x05\x95\x02\0\0\0\0\0\0\0]\x94abcB\0\0\1\0", part, b"\x94a."],  # more behind the frame
        [b"\x80\x05]\x94B\1\0\1\0", part, b"\x94a."],  # another length
        [b"\x80\x05]\x94Z\0\0\1\0", part, b"\x94a."],  # an unknown opcode
        [part, part],
        [b"\x80\x05]\x94B\0\0\1\0"],
    ]
    for chunks in streams:
        sink = long_parts.Sink()
        for chunk in chunks:
            sink.write(chunk)
        assert sink.take() == (b"".join(chunks), [])


def test_names_in_long_parts_do_not_matter() -> None:
    data, _, _ = pickling.dumps([b"__main__" * LONG])
    assert b"__main__" not in data


class Nested:
    """Pickles, and is pickled, while another value is."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def __reduce__(self) -> Any:
        inner = Nested(self.depth - 1) if self.depth else b"x" * LONG
        return pickling.loads, (pickling.dumps([inner, self.depth]).data[:0] or pickle.dumps(self.depth, 5),)


def test_values_that_pickle_others_meanwhile_do_not_mix() -> None:
    assert round_trip([Nested(3), b"y" * LONG, Nested(1)]) == [3, b"y" * LONG, 1]


class Refusing:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError


def test_an_error_leaves_nothing_for_the_next_value() -> None:
    shared = [1]
    with pytest.raises(TypeError, match="ZeroDivisionError"):
        pickling.dumps([shared, b"x" * LONG, Refusing()])
    assert round_trip([shared, shared]) == [shared, shared]
    assert pickling.dumps([shared]).buffers == []


def test_nothing_is_kept_of_a_pickled_value() -> None:
    page = Page("t", b"x" * LONG)
    pickling.dumps([page])
    gc.collect()
    holders = [holder for holder in gc.get_referrers(page) if isinstance(holder, pickle.Pickler)]
    assert holders == []


def test_threads_pickle_at_the_same_time() -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(300):
            value = [number, turn, {"part": bytes([number]) * LONG} if turn % 10 == 0 else [number]]
            if round_trip(value) != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
