"""How values are pickled, and what the error says about a value that cannot be pickled."""

from __future__ import annotations

import enum
import pickle
import subprocess
import sys
import threading
import traceback
from typing import Any

import pytest

from nbactors.exceptions import ForeignCodeError
from nbactors.pickling import long_parts, pickling


def round_trip(value):
    data, buffers, _ = pickling.dumps(value)
    return pickling.loads(data, buffers)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "ä", b"b", (1, [2, {"k": {3}}]), ValueError("x")], ids=repr)
def test_plain_values_are_equal_after_a_round_trip(value):
    back = round_trip(value)
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_functions_without_a_module_of_their_own_are_pickled_by_value():
    offset = 2
    assert round_trip(lambda x: x + offset)(1) == 3


def test_values_of_main_are_pickled_by_value():
    program = (
        "from nbactors.pickling import pickling\n"
        "class Point:\n    def __init__(self): self.x = 1\n"
        "data = pickling.dumps([Point()]).data\n"
        "print(b'cloudpickle' in data)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "True"


def test_buffers_are_pickled_out_of_band():
    numpy = pytest.importorskip("numpy", reason="arrays are the usual out-of-band values")
    small, large = numpy.zeros(10), numpy.ones(100_000)
    data, buffers, _ = pickling.dumps({"small": small, "large": large})
    assert [buffer.nbytes for buffer in buffers] == [80, 800_000], "small ones too: all arrays are read-only there"
    assert len(data) < 1000
    back = pickling.loads(data, [bytes(buffer) for buffer in buffers])
    assert (back["large"] == large).all()
    assert not back["small"].flags.writeable


def test_non_contiguous_arrays_are_pickled_into_the_stream():
    numpy = pytest.importorskip("numpy", reason="arrays are the usual out-of-band values")
    array = numpy.arange(200_000).reshape(400, 500)[::2, ::3]
    assert (round_trip(array) == array).all()


class Holder:
    def __init__(self):
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (Holder(), "attribute 'lock' of 'Holder'"),
        ({"a": [1, threading.Lock()]}, "key 'a', item 1"),
        ((1, {"model": Holder()}), "item 1, key 'model', attribute 'lock'"),
        (((0, [threading.Lock()]), {}), "the arguments for another process; at fault: argument 2, item 0"),
        (((), {"model": Holder()}), "argument model, attribute 'lock'"),
    ],
    ids=["attribute", "item", "nested", "positional", "keyword"],
)
def test_the_error_names_the_part_at_fault(value, where):
    with pytest.raises(TypeError, match="cannot pickle") as caught:
        pickling.dumps(value)
    assert where in str(caught.value)


def test_the_error_names_a_captured_variable():
    guard = threading.Lock()

    def work():
        return guard

    with pytest.raises(TypeError, match="variable 'guard' captured by function"):
        pickling.dumps_code(work)


def test_the_error_of_code_is_shown_alone():
    guard = threading.Lock()

    class Guarded:
        def work(self):
            return guard

    with pytest.raises(TypeError, match=r"cannot pickle class .*Guarded.* for another process") as caught:
        pickling.dumps_code(Guarded)
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback") == 1
    assert "method 'work' of class" in shown


def test_the_error_of_code_of_the_user_keeps_its_frames():
    class Reluctant:
        def __reduce__(self):
            raise RuntimeError("not now")

    with pytest.raises(TypeError, match="RuntimeError: not now") as caught:
        pickling.dumps([Reluctant()])
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback") == 2
    assert "in __reduce__" in shown


def test_a_value_that_contains_itself_does_not_hang_the_search():
    loop: list[object] = [threading.Lock()]
    loop.append(loop)
    with pytest.raises(TypeError, match="item 0"):
        pickling.dumps(loop)


def test_nested_pickling_collects_for_the_outer_value_only():
    class Inner:
        def __reduce__(self):
            pickling.dumps([1, 2])
            pickling.note_contained(self)
            return (int, ())

    assert len(pickling.dumps([Inner()]).found) == 1
    assert not pickling.note_contained(object())


def test_functions_keep_the_names_of_their_files():
    # So tracebacks of workers show the lines of notebook cells.
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compile("def outer():\n    def inner():\n        return 1 / 0\n    return inner()", "a cell", "exec"), space)
    outer = pickling.loads(pickling.dumps_code(space["outer"]).data)
    with pytest.raises(ZeroDivisionError, match="division by zero") as caught:
        outer()
    assert [entry.frame.code.path for entry in caught.traceback[1:]] == ["a cell", "a cell"]


@pytest.mark.parametrize("args", [(), (1,), (None, True, 2.5, "text", b"bytes"), (1 << 80, "", b""), (0,) * 16])
def test_few_arguments_of_plain_types_take_the_fast_path(args):
    data = pickling.dumps_atoms(args)
    assert data is not None
    assert pickle.loads(data) == (args, {})


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize("args", [(object(),), (1, [2]), (Level.LOW,), ("x" * 5000,), (0,) * 17, ((1,),)])
def test_other_arguments_do_not_take_the_fast_path(args):
    assert pickling.dumps_atoms(args) is None


class Interrupted:
    """A value during whose pickling a signal handler raises, once."""

    def __init__(self) -> None:
        self.times = 0

    def __reduce__(self) -> tuple[Any, ...]:
        self.times += 1
        if self.times == 1:
            raise TimeoutError("of a handler")
        return Interrupted, ()


def test_an_exception_of_a_signal_handler_during_pickling_is_raised() -> None:
    with pytest.raises(TimeoutError, match="of a handler"):
        pickling.dumps([Interrupted()])


def test_code_of_another_python_is_refused():
    """The stream contains the version of the Python that pickled it."""

    def double(x):
        return 2 * x

    data = pickling.dumps_code(double).data
    own = pickle.dumps(sys.version_info[:2], 5)[-7:-2]
    assert data.count(own) == 1
    with pytest.raises(ForeignCodeError, match=r"'double' \(.*test_pickling.py\) is of Python 3.99, .* runs Python 3."):
        pickling.loads(data.replace(own, pickle.dumps((3, 99), 5)[-7:-2]))


@pytest.mark.parametrize("make", [lambda n: b"x" * n, lambda n: "x" * n, lambda n: "\N{EURO SIGN}\ud800" * (n // 2)])
def test_long_bytes_and_strings_go_beside_the_stream(make: Any) -> None:
    value = make(long_parts.LONG + 2)
    data, buffers, _ = pickling.dumps(value)
    assert len(data) < 200
    assert sum(buffer.nbytes for buffer in buffers) >= len(value)
    loaded = pickling.loads(data, [memoryview(buffer).toreadonly() for buffer in buffers])
    assert type(loaded) is type(value)
    assert loaded == value
    short = make(1000)
    assert not pickling.dumps(short).buffers
    assert pickling.loads(pickling.dumps(short).data) == short
