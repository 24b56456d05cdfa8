"""Serializers that the user has registered: which pickler uses them, and for which values."""

from __future__ import annotations

import io
import re
import threading

import pytest

from nbactors.pickling import pickling, reducers


@pytest.fixture(autouse=True)
def _all_deregistered():
    yield
    for kind in list(reducers.registered()):
        reducers.deregister(kind)


def round_trip(value):
    data, buffers, _ = pickling.dumps(value)
    return pickling.loads(data, buffers)


class Locked:
    def __init__(self, value):
        self.value = value
        self.lock = threading.Lock()


def make_pattern(text):
    return ("made", text)


@pytest.mark.parametrize("beside", [1, lambda: 1, pickling], ids=["plain pickle", "cloudpickle", "a module"])
def test_both_picklers_use_it(beside):
    reducers.register(Locked, lambda locked: locked.value, Locked)
    assert round_trip([Locked(5), beside])[0].value == 5


@pytest.mark.parametrize("beside", [1, lambda: 1], ids=["plain pickle", "cloudpickle"])
@pytest.mark.parametrize("value", [re.compile("x"), memoryview(b"x"), io.StringIO("x")], ids=lambda v: type(v).__name__)
def test_it_comes_before_the_reducers_of_pickle_and_cloudpickle(value, beside):
    reducers.register(type(value), lambda value: "text", make_pattern)
    assert round_trip([value, beside])[0] == ("made", "text")


def test_what_the_serializer_returns_is_pickled_as_any_value():
    reducers.register(Locked, lambda locked: [locked.value, lambda: 7], lambda pair: (pair[0], pair[1]()))
    assert round_trip(Locked(Locked("inner"))) == (("inner", 7), 7)


def test_the_error_of_a_serializer_is_reported():
    def fail(locked):
        raise RuntimeError("no weights yet")

    reducers.register(Locked, fail, Locked)
    with pytest.raises(TypeError, match=r"cannot pickle an object of type 'Locked'.*RuntimeError: no weights yet"):
        pickling.dumps(Locked(1))


def test_values_with_buffers_are_searched_as_well():
    numpy = pytest.importorskip("numpy", reason="arrays are the usual out-of-band values")
    assert pickling.error_of([numpy.ones(3), numpy.ones((4, 4))[::2, ::2]]) is None
    assert "lock" in str(pickling.error_of([numpy.ones(3), threading.Lock()]))


def test_the_last_registration_counts():
    reducers.register(Locked, lambda locked: "first", str)
    reducers.register(Locked, lambda locked: "second", str)
    assert round_trip(Locked(1)) == "second"
    reducers.deregister(Locked)
    reducers.deregister(Locked)
    assert reducers.dispatch_table() is None or Locked not in reducers.dispatch_table()
    with pytest.raises(TypeError, match="attribute 'lock' of 'Locked'"):
        pickling.dumps(Locked(1))
