"""Signatures: what they accept is what Python accepts."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbactors.definitions.signature import ANYTHING, NOTHING, Signature


def nothing() -> None: ...
def one(x: int) -> None: ...
def two(x: int, y: int = 2) -> None: ...
def only(x: int, /, y: int) -> None: ...
def keyword(x: int, *, key: int) -> None: ...
def keyword_default(x: int, *, key: int = 1) -> None: ...
def star(x: int, *args: int) -> None: ...
def double(x: int = 0, **kwargs: int) -> None: ...
def double_only(x: int, /, **kwargs: int) -> None: ...
def everything(x: int, /, y: int, z: int = 3, *args: int, key: int, other: int = 1, **kwargs: int) -> None: ...
def awkward(args: int, kwargs: int, label: int, self: int = 0, name: str = "", task_id: int = 0) -> None: ...


FUNCTIONS = [
    nothing, one, two, only, keyword, keyword_default, star, double, double_only, everything, awkward,
]  # fmt: skip
NAMES = ["x", "y", "z", "key", "other", "self", "args", "kwargs", "label", "name", "task_id"]


@given(
    function=st.sampled_from(FUNCTIONS),
    args=st.lists(st.integers(), max_size=7),
    kwargs=st.dictionaries(st.sampled_from(NAMES), st.integers(), max_size=5),
)
def test_a_signature_accepts_exactly_the_calls_that_python_accepts(
    function: Callable[..., None], args: list[int], kwargs: dict[str, int]
) -> None:
    signature = Signature.of(function, skip_self=False)
    try:
        # Not `inspect.Signature.bind`: in Python 3.13 that takes x=0 for a positional-only x.
        function(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError, match=r"The signature is label\("):
            signature.check(tuple(args), kwargs, "label")
        assert kwargs or not signature.minimum <= len(args) <= signature.maximum
    else:
        signature.check(tuple(args), kwargs, "label")


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "message"),
    [
        (one, (), {}, "missing a required argument: 'x'"),
        (one, (1, 2), {}, "too many positional arguments"),
        (one, (1,), {"q": 2}, "got an unexpected keyword argument 'q'"),
        (one, (1,), {"x": 2}, "multiple values for argument 'x'"),
        (keyword, (1,), {}, "missing a required argument: 'key'"),
        (keyword, (1, 2), {}, "too many positional arguments"),
        (only, (), {"x": 1, "y": 2}, "missing a required argument: 'x'"),
    ],
)
def test_the_error_names_the_wrong_argument(
    function: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{message}") as caught:
        Signature.of(function, skip_self=False).check(args, kwargs, "Counter.add")
    assert "Counter.add(" in str(caught.value)


def test_self_is_skipped() -> None:
    class Thing:
        def method(self, x: int) -> None: ...
        def loose(*args: int) -> None: ...

    assert Signature.of(Thing.method, skip_self=True).positional == ("x",)
    assert Signature.of(Thing.loose, skip_self=True).var_positional


def test_the_display_shows_small_defaults_only() -> None:
    def function(a: int, b: str = "b", c: object = [0] * 100, d: str = "d" * 100, *, e: float = 1.5) -> None: ...

    assert Signature.of(function, skip_self=False).display == "(a, b='b', c=..., d=..., *, e=1.5)"


def test_a_signature_can_be_pickled_without_the_function() -> None:
    def function(x: object = object()) -> None: ...

    signature = Signature.of(function, skip_self=False)
    assert pickle.loads(pickle.dumps(signature)) == signature


def test_a_function_without_a_signature_takes_any_arguments() -> None:
    assert Signature.of(dict.update, skip_self=True).maximum > 1000
    ANYTHING.check((1, 2), {"self": 3}, "label")
    with pytest.raises(TypeError, match="too many positional"):
        NOTHING.check((1,), {}, "label")
