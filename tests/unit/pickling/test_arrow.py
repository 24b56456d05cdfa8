"""Polars values, and others with Arrow's C data interface, are pickled by their buffers and arrive as they were."""

from __future__ import annotations

import datetime as dt
import decimal
import subprocess
import sys
from typing import Any

import pytest

from nbactors.pickling import arrow, pickling

pl = pytest.importorskip("polars", reason="it is about its frames")
pa = pytest.importorskip("pyarrow", reason="polars values travel through it")

COUNT = 30_000
pl.LazyFrame({"a": [1]}).collect()
"""From its first query on polars has threads with descriptors, which no test is to be blamed for."""


def round_trip(value: Any, shift: int = 0) -> Any:
    """Return the received value, whose buffers are read-only and begin at a multiple of 64 bytes, or beside one."""
    data, buffers, _ = pickling.dumps(value)
    received = []
    for buffer in buffers:
        place = bytearray(buffer.nbytes + 128)
        address = -memoryview_address(place) % 64 + shift
        place[address : address + buffer.nbytes] = buffer
        received.append(memoryview(place)[address : address + buffer.nbytes].toreadonly())
    return pickling.loads(data, received)


def memoryview_address(place: bytearray) -> int:
    return int(pa.py_buffer(place).address)


def outside(value: Any) -> int:
    """Return how many bytes of a value go beside the stream."""
    data, buffers, _ = pickling.dumps(value)
    assert len(data) < 10_000 or not buffers
    return sum(buffer.nbytes for buffer in buffers)


def plain(value: Any) -> bool:
    """Return whether a value is pickled by its own package."""
    data = pickling.dumps(value).data
    return b"nbactors.pickling.arrow" not in data and b"pyarrow" not in data


COLUMNS = {
    "i8": ([1, None, 3], pl.Int8),
    "u64": ([1, 2, 3], pl.UInt64),
    "f32": ([1.5, None, float("inf")], pl.Float32),
    "bool": ([True, None, False], pl.Boolean),
    "str": (["a", "b" * 50, None], pl.String),
    "binary": ([b"a", None, b"c" * 30], pl.Binary),
    "date": ([dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)], pl.Date),
    "datetime": ([dt.datetime(2020, 1, 1), None, None], pl.Datetime("ms", "Europe/Berlin")),
    "time": ([dt.time(1), None, None], pl.Time),
    "duration": ([dt.timedelta(1), None, None], pl.Duration("ns")),
    "decimal": ([decimal.Decimal("1.23"), None, None], pl.Decimal(20, 2)),
    "categorical": (["x", "y", None], pl.Categorical),
    "enum": (["x", "y", None], pl.Enum(["y", "x", "z"])),
    "list": ([[1, 2], None, []], pl.List(pl.Int64)),
    "array": ([[1, 2], None, [3, 4]], pl.Array(pl.Int16, 2)),
    "struct": ([{"a": 1, "b": "x"}, None, {"a": 2, "b": None}], pl.Struct({"a": pl.Int64, "b": pl.String})),
    "categories": ([["x"], None, ["y", "z"]], pl.List(pl.Categorical)),
    "enum in struct": ([{"e": "x"}, None, {"e": None}], pl.Struct({"e": pl.Enum(["x"])})),
    "int128": ([1, None, 1 << 100], pl.Int128),
}


@pytest.mark.parametrize("shift", [0, 1], ids=["aligned", "unaligned"])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_of_polars_arrives_as_it_was(name: str, shift: int) -> None:
    values, kind = COLUMNS[name]
    series = pl.Series(name, values, dtype=kind).gather([0, 1, 2] * (COUNT // 3))
    for value in (series, series.to_frame()):
        back = round_trip(value, shift)
        assert type(back) is type(value)
        assert back.equals(value)
        assert (back.schema if value is not series else back.dtype) == (value.schema if value is not series else kind)
    assert round_trip(series).name == name


def test_a_large_frame_goes_beside_the_stream_wherever_it_is() -> None:
    frame = pl.DataFrame({"a": range(COUNT), "b": [1.5] * COUNT})
    size = 16 * COUNT
    assert outside(frame) == size
    assert outside(frame["a"]) == size // 2
    assert outside({"x": [frame]}) == size
    assert outside((frame, lambda: 0)) == size, "pickled by cloudpickle"
    back = round_trip({"x": (frame, lambda: 7)})["x"]
    assert back[0].equals(frame)
    assert back[1]() == 7


def test_the_receiver_copies_nothing() -> None:
    frame = pl.DataFrame({"a": range(COUNT)})
    data, buffers, _ = pickling.dumps(frame)
    received = [memoryview(bytearray(buffer)) for buffer in buffers]
    back = pickling.loads(data, [buffer.toreadonly() for buffer in received])
    received[-1][:8] = (77).to_bytes(8, "little")
    assert back["a"][0] == 77


def test_what_polars_knows_of_the_order_arrives() -> None:
    frame = pl.DataFrame({"up": range(COUNT), "down": range(COUNT, 0, -1), "any": [1, 2, 1] * (COUNT // 3)})
    frame = frame.with_columns(pl.col("up").set_sorted(), pl.col("down").set_sorted(descending=True))
    assert round_trip(frame).flags == frame.flags
    assert round_trip(frame["down"]).flags == frame["down"].flags


def test_a_frame_in_pieces_arrives_whole() -> None:
    piece = pl.DataFrame({"a": range(COUNT)})
    frame = pl.concat([piece, piece, piece], rechunk=False)
    assert round_trip(frame).equals(frame)
    assert round_trip(frame["a"]).equals(frame["a"])


@pytest.mark.parametrize("step", [2, 10])
def test_rows_that_were_filtered_do_not_take_all_strings_along(step: int) -> None:
    frame = pl.DataFrame({"s": [f"{number:0>100}" for number in range(COUNT)]})
    few = frame.filter(pl.int_range(pl.len()) % step == 0)
    data, buffers, _ = pickling.dumps(few)
    assert len(data) + sum(buffer.nbytes for buffer in buffers) < 1.3 * 120 * COUNT / step
    assert round_trip(few).equals(few)
    part = frame.slice(100, COUNT // 2)
    assert round_trip(part).equals(part)


class Mine(pl.DataFrame):  # type: ignore[misc,name-defined]
    pass


@pytest.mark.parametrize(
    "value",
    [
        pl.DataFrame({"a": range(10)}),
        pl.DataFrame(),
        pl.DataFrame({"a": range(COUNT)}).lazy(),
        Mine({"a": range(COUNT)}),
        pl.Series([1] * COUNT, dtype=pl.Int128),
    ],
    ids=["small", "empty", "lazy", "of a subclass", "unknown to Arrow"],
)
def test_other_values_are_pickled_by_polars_itself(value: Any) -> None:
    assert plain(value)
    assert type(round_trip(value)) is type(value)


@pytest.mark.parametrize("is_frame", [False, True])
def test_python_objects_are_left_to_polars_which_refuses_them(is_frame: bool) -> None:
    """Arrow would send their addresses."""
    series = pl.Series("o", [{1}] * COUNT, dtype=pl.Object)
    with pytest.raises(TypeError, match="data of type Object is not supported"):
        pickling.dumps(series.to_frame() if is_frame else series)


def test_without_pyarrow_polars_pickles_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"a": range(COUNT)})
    monkeypatch.setattr(pl.DataFrame, "to_arrow", raise_import_error)
    assert plain(frame)
    assert round_trip(frame).equals(frame)


def raise_import_error(frame: Any, **options: Any) -> Any:
    raise ModuleNotFoundError("pyarrow is required")


def test_a_signal_handler_s_exception_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    to_arrow = pl.DataFrame.to_arrow

    def interrupted(frame: Any, **options: Any) -> Any:
        times.append(1)
        if len(times) == 1:
            raise TimeoutError("of a handler")
        return to_arrow(frame, **options)

    monkeypatch.setattr(pl.DataFrame, "to_arrow", interrupted)
    with pytest.raises(TimeoutError, match="of a handler"):
        pickling.dumps(pl.DataFrame({"a": range(COUNT)}))


@pytest.mark.parametrize("kind", ["table", "array"])
def test_pyarrow_pickles_its_own_values(kind: str) -> None:
    array = pa.array(range(COUNT))
    value = pa.table({"a": array}) if kind == "table" else array
    assert outside(value) >= 8 * COUNT
    assert round_trip(value).equals(value)


class Columns:
    """A type of another package, with Arrow's C data interface and without pickling."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.lock = sys._getframe()  # cannot be pickled

    @classmethod
    def from_arrow(cls, data: Any) -> Columns:
        return cls(pa.table(data))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class Column:
    """The same for one column."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.lock = sys._getframe()

    @classmethod
    def from_arrow(cls, data: Any) -> Column:
        return cls(pa.array(data))

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.array.__arrow_c_array__(requested_schema)


class Pieces(Columns):
    @classmethod
    def from_arrow(cls, data: Any) -> Pieces:
        return cls(pa.chunked_array(data))


class Stream(Columns):
    """Who reads it consumes it."""

    def read_next_batch(self) -> Any:
        raise AssertionError("read")


class Other(Columns):
    """Comes back as another type."""

    @classmethod
    def from_arrow(cls, data: Any) -> Any:
        return pa.table(data)


def test_types_that_offer_arrow_travel_through_it() -> None:
    table = pa.table({"a": range(COUNT)}, metadata={"made": "here"})
    back = round_trip({"x": Columns(table)})["x"]
    assert type(back) is Columns
    assert back.table.equals(table, check_metadata=True)
    assert outside(Columns(table)) >= 8 * COUNT
    assert round_trip(Column(pa.array([1, None]))).array.to_pylist() == [1, None]
    assert round_trip(Pieces(pa.chunked_array([[1], [2, 3]]))).table.to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [Stream, Other])
def test_types_that_arrow_does_not_bring_back_are_refused_as_before(kind: type) -> None:
    assert not arrow._is_foreign(Stream)
    with pytest.raises(TypeError, match="cannot pickle"):
        pickling.dumps(kind(pa.table({"a": [1]})))


def test_nothing_is_imported_for_other_values() -> None:
    program = (
        "import sys; from nbactors.pickling import pickling; pickling.dumps({1: [object()]})\n"
        "print({'polars', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
