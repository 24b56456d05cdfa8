"""A handle that a cell showed does not keep its actor alive."""

from __future__ import annotations

import pytest
from ipython_cells import run_cells

pytestmark = pytest.mark.slow

SETUP = """
import os, psutil
import nbactors as ray
from nbactors.testing import eventually

@ray.remote
class Holder:
    def pid(self):
        return os.getpid()

def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
"""


def test_a_shown_handle_ends_with_its_variable() -> None:
    *_, ended = run_cells(
        SETUP,
        "holder = Holder.remote(); pid = ray.get(holder.pid.remote())",
        "holder",
        "del holder",
        "eventually(lambda: is_gone(pid))",
    )
    assert ended.ok, ended.output
    assert "True" in ended.output


def test_handles_in_a_shown_list_end_too() -> None:
    *_, shown, ended = run_cells(
        SETUP,
        "holders = [Holder.remote() for _ in range(2)]; pids = ray.get([holder.pid.remote() for holder in holders])",
        "holders",
        "del holders",
        "Out[3]",
        "eventually(lambda: all(map(is_gone, pids)))",
    )
    assert shown.output.count("Actor(Holder, ") == 2
    assert ended.ok, ended.output


def test_the_next_cell_may_still_take_what_was_shown() -> None:
    *_, answer = run_cells(SETUP, "Holder.remote()", "holder = _", "ray.get(holder.pid.remote()) > 0")
    assert "True" in answer.output


def test_history_works_as_long_as_the_actor_lives() -> None:
    *_, answer = run_cells(SETUP, "holder = Holder.remote()", "holder", "1", "ray.get(Out[3].pid.remote()) > 0")
    assert "True" in answer.output


def test_a_plain_result_stays() -> None:
    *_, answer = run_cells("[1, 2]", "3", "Out[1], _1, __")
    assert "([1, 2], [1, 2], [1, 2])" in answer.output
