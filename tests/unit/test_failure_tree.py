"""What `inspect_serializability` prints, and which parts it finds."""

from __future__ import annotations

import threading

import pytest

from nbactors.util.check_serialize import inspect_serializability


class Model:
    def __init__(self):
        self.size = 3
        self.lock = threading.Lock()
        self.rows = [1, threading.Lock()]

    def __repr__(self):
        return "<the model>"


def test_the_tree_has_all_parts_at_fault(capsys):
    is_fine, failures = inspect_serializability({"model": Model()}, name="config")
    lines = capsys.readouterr().out.splitlines()
    assert not is_fine
    assert sorted(failure.path for failure in failures) == [
        ("config", "'model'", "lock"),
        ("config", "'model'", "rows", "1"),
    ]
    assert lines[0].startswith("config: cannot be pickled (TypeError: cannot pickle '_thread.lock' object")
    assert lines[1].startswith("    key 'model': <the model> (TypeError: ")
    assert lines[2].startswith("        attribute 'lock' of 'Model': <unlocked _thread.lock object")
    assert lines[3].startswith("        attribute 'rows' of 'Model': [1, <unlocked")
    assert lines[4].startswith("            item 1: <unlocked")
    assert "register_serializer" in lines[6]


def test_a_value_that_can_be_pickled(capsys):
    assert inspect_serializability([1, 2]) == (True, set())
    assert capsys.readouterr().out == "[1, 2]: can be pickled\n"


def test_a_value_that_contains_itself_ends(capsys):
    value = [threading.Lock()]
    value.append(value)
    is_fine, failures = inspect_serializability(value, name="loop", depth=50)
    assert not is_fine
    assert [failure.path for failure in failures] == [("loop", "0")]
    assert capsys.readouterr().out


def test_a_long_list_of_bad_items_is_cut(capsys):
    _, failures = inspect_serializability([threading.Lock() for _ in range(1000)], name="locks")
    assert len(failures) == 20
    assert "… and perhaps more" in capsys.readouterr().out


class Unshowable:
    def __reduce__(self):
        raise RuntimeError("no\nway")

    def __repr__(self):
        raise ValueError("broken")


def test_values_that_cannot_be_shown(capsys):
    [failure] = inspect_serializability(Unshowable())[1]
    assert capsys.readouterr().out.startswith(
        "an object of type 'Unshowable': cannot be pickled (RuntimeError: no way)"
    )
    assert "an object of type 'Unshowable'" in repr(failure)


@pytest.mark.parametrize("depth", [0, 1])
def test_the_depth_ends_the_search(depth, capsys):
    [failure] = inspect_serializability([[threading.Lock()]], name="a", depth=depth)[1]
    assert failure.path == ("a", "0")[: depth + 1]
    assert capsys.readouterr().out.startswith("a: cannot be pickled")
