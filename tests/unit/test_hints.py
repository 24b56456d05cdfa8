"""Hints: that for a write into a read-only array names the copy of what the user holds."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest

from nbactors.exceptions.hints import hint
from nbactors.pickling import pickling


def error_in(package: str, error: Exception, owner: Any = None) -> Exception:
    """Return an error that the code of a package has raised, in a method of `owner`."""
    space: dict[str, Any] = {"__name__": package, "error": error}
    exec("def write(self):\n    raise error\n", space)
    try:
        space["write"](owner)
    except Exception as caught:
        return caught
    raise AssertionError("did not raise")


def received(value: Any) -> Any:
    """Return a value as it is at the receiver: its arrays are read-only."""
    data, buffers, _ = pickling.dumps(value)
    return pickling.loads(data, [memoryview(bytes(buffer)) for buffer in buffers])


def hint_of(write: Callable[[], Any]) -> str:
    """Return the hint for the error that `write` raises."""
    try:
        write()
    except Exception as error:
        return hint(error)
    raise AssertionError("did not raise")


READ_ONLY = "assignment destination is read-only"


class Series:
    """Stands for that of pandas, which the tests do not install."""


class Categories(Series):
    pass


class Locations:
    """What `series.loc` returns."""

    def __init__(self, obj: Any) -> None:
        self.obj = obj


@pytest.mark.parametrize(
    ("package", "copied"),
    [
        ("__main__", "array = array.copy()."),
        ("pandas.core.frame", "df = df.copy()."),
        ("geopandas.geodataframe", "df = df.copy()."),
        ("matplotlib.transforms", "fig = copy.deepcopy(fig)."),
        ("scipy.sparse._csr", "matrix = matrix.copy()."),
        ("sklearn.cluster._kmeans", "model = copy.deepcopy(model), or X = X.copy() for data."),
        ("xarray.core.variable", "data = data.copy(deep=True)."),
    ],
)
def test_the_hint_names_the_copy_of_what_the_user_holds(package: str, copied: str) -> None:
    assert hint(error_in(package, ValueError(READ_ONLY))).endswith(f": {copied}")


@pytest.mark.parametrize("owner", [Series(), Categories(), Locations(Series())], ids=["own", "subclass", "loc"])
def test_the_hint_names_a_series_where_one_was_written_to(owner: Any) -> None:
    assert hint(error_in("pandas.core.series", ValueError(READ_ONLY), owner)).endswith("series = series.copy().")
    assert hint(error_in("pandas.core.series", ValueError(READ_ONLY), Locations(1))).endswith(": df = df.copy().")


class CvError(Exception):
    __module__ = "cv2"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Supplied output array must be contiguous, writable, aligned, and in machine byte-order."),
        ValueError("cannot set WRITEABLE flag to True of this array"),
        ValueError("Assignment destination is a view.  Do you want to .copy() array first?"),
        TypeError("underlying buffer is not writable"),
        CvError("img marked as output argument, but provided NumPy array marked as readonly"),
    ],
    ids=lambda error: str(error)[:12],
)
def test_refusals_in_other_words_have_the_hint(error: Exception) -> None:
    assert hint(error_in("__main__", error)).endswith(": array = array.copy().")


def test_other_errors_have_no_hint() -> None:
    assert hint(error_in("pandas", ValueError("no axis"))) == ""
    assert hint(error_in("pandas", KeyError(READ_ONLY))) == ""
    assert hint(OSError(30, "read-only file system")) == ""


def test_writing_to_a_received_array_and_its_memory_has_the_hint() -> None:
    numpy = pytest.importorskip("numpy", reason="it is about its arrays")
    array = received(numpy.arange(10.0))
    generator = numpy.random.default_rng(0)

    def add() -> None:
        nonlocal array
        array += 1

    for write in (
        add,
        array.sort,
        lambda: array.fill(0),
        lambda: array.setflags(write=True),
        lambda: numpy.put(array, [0], [1]),
        lambda: numpy.place(array, array > 1, 0),
        lambda: generator.shuffle(array),
        lambda: generator.random(out=array),
    ):
        assert hint_of(write).endswith(": array = array.copy().")
    of_memory = "array = array.copy(), or view = bytearray(view) for a memoryview."
    assert hint_of(lambda: memoryview(array).__setitem__(0, 1.0)).endswith(of_memory)
    assert hint_of(lambda: io.BytesIO(bytes(80)).readinto(array)).endswith(of_memory)
    array = array.copy()
    add()
    assert array[0] == 1


def test_a_received_figure_can_be_changed_after_the_copy_that_the_hint_names() -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="it is about its figures")
    figure = figures.Figure()
    figure.add_subplot().plot([1, 2])
    figure = received(figure)
    for write in (lambda: figure.set_size_inches(3, 2), lambda: figure.axes[0].set_xlim(0, 3)):
        assert hint_of(write).endswith(": fig = copy.deepcopy(fig).")
    figure = copy.deepcopy(figure)
    figure.set_size_inches(3, 2)
    figure.axes[0].set_xlim(0, 3)
    assert figure.axes[0].get_xlim() == (0, 3)


def test_a_received_frame_can_be_written_to_after_the_copy_that_the_hint_names() -> None:
    pandas = pytest.importorskip("pandas", reason="it is about its frames")
    frame = received(pandas.DataFrame({"a": [1.0, 2.0]}))
    series = received(pandas.Series([1.0, 2.0]))
    assert hint_of(lambda: frame.iloc.__setitem__((0, 0), 5)).endswith(": df = df.copy().")
    assert hint_of(lambda: series.iloc.__setitem__(0, 5)).endswith(": series = series.copy().")
    frame, series = frame.copy(), series.copy()
    frame.iloc[0, 0] = series.iloc[0] = 5
    assert frame.iloc[0, 0] == series.iloc[0] == 5


def test_an_error_that_has_no_text_has_no_hint() -> None:
    class Unprintable(ValueError):
        def __str__(self) -> str:
            raise KeyError("the user's own")

    assert hint(Unprintable()) == ""


class ActorClass:
    """Stands for the public one."""


@pytest.mark.parametrize("name", ["Node", "Other"])
def test_a_pattern_that_is_an_actor_class(name: str) -> None:
    space: dict[str, Any] = {name: ActorClass(), "int": 5}
    exec(f"def look(value):\n    match value:\n        case {name}():\n            pass", space)
    assert hint_of(lambda: space["look"](1)).startswith(f"{name}: The name of an actor class means the actor class")
    exec("def look(value):\n    match value:\n        case int():\n            pass", space)
    assert hint_of(lambda: space["look"](1)) == ""
    assert hint(TypeError("called match pattern must be a type")) == "", "it was not raised"


def test_super_of_an_actor_class() -> None:
    node: Any = ActorClass()
    assert "Call super() without arguments" in hint_of(lambda: super(node, node))
    node = 5
    assert hint_of(lambda: super(node, node)) == ""
