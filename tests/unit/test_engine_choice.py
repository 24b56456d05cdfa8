"""Which engine a session gets."""

from __future__ import annotations

from typing import Any

import pytest

from nbactors.options.engine_choice import VARIABLE, engine_name


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("engine", "address", "found"),
    [
        (None, None, "local"),
        (None, "auto", "local"),
        (None, "local", "local"),
        ("ray", None, "ray"),
        ("ray", "auto", "ray"),
        (None, "head.example:6379", "ray"),
        (None, "ray://head.example:10001", "ray"),
        ("ray", "10.0.0.1:6379", "ray"),
    ],
)
def test_arguments_choose_the_engine(engine: Any, address: Any, found: str) -> None:
    assert engine_name(engine, address) == found


def test_the_variable_is_the_default_and_an_argument_replaces_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "ray")
    assert engine_name() == "ray"
    assert engine_name("local") == "local"


def test_ray_address_alone_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head.example:6379")
    assert engine_name() == "local"


@pytest.mark.parametrize(
    ("engine", "address", "error", "text"),
    [
        ("dask", None, ValueError, "engine must be 'local'"),
        (1, None, TypeError, "engine must be"),
        (None, 1, TypeError, "address must be"),
        (None, "head", ValueError, "is no address"),
        (None, "http://head:1", ValueError, "is no address"),
        ("local", "head:6379", ValueError, "leave one of them out"),
    ],
)
def test_what_is_wrong_is_refused(engine: Any, address: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        engine_name(engine, address)


def test_a_wrong_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "cluster")
    with pytest.raises(ValueError, match=f"{VARIABLE} must be"):
        engine_name()
