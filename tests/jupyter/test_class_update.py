"""`%%actor` that is run again, in a real IPython shell."""

from __future__ import annotations

import pytest
from ipython_cells import run_cells

pytestmark = pytest.mark.slow

OLD = """
class Counter:
    def __init__(self):
        self.value = 10

    def add(self):
        self.value += 1
        return self.value
"""
NEW = """
class Counter:
    def __init__(self):
        self.value = 10

    def add(self):
        self.value += 100
        return self.value

    def double(self):
        return 2 * self.value
"""
ASYNC = """
class Counter:
    async def add(self):
        return 1
"""


def test_living_actors_keep_the_old_class_and_the_cell_names_them() -> None:
    _, again, new, answer = run_cells(
        "%%actor counter" + OLD,
        "%%actor" + OLD,
        "%%actor" + NEW,
        "import nbactors as ray; ray.get([counter.add.remote(), Counter.remote().add.remote()])",
    )
    assert again.output == ""
    assert "1 actor still runs the old Counter: counter." in new.output
    assert "%%actor --update" in new.output
    assert len(new.output.splitlines()) == 1
    assert "[11, 110]" in answer.output


def test_update_swaps_the_code_and_keeps_the_state() -> None:
    _, _, update, answer, same = run_cells(
        "%%actor counter" + OLD,
        "import nbactors as ray; before = counter; ray.get(counter.add.remote())",
        "%%actor --update counter" + NEW,
        "ray.get([counter.add.remote(), counter.double.remote()])",
        "before is counter",
    )
    assert update.output.strip() == "Updated counter"
    assert "[111, 222]" in answer.output
    assert "True" in same.output


def test_update_reaches_an_actor_whose_handle_only_another_actor_has() -> None:
    _, _, update, answer = run_cells(
        "%%actor" + OLD,
        """
import nbactors as ray
@ray.remote
class Holder:
    def __init__(self, handles):
        self.handles = handles
    def add(self):
        return ray.get(self.handles[0].add.remote())
holder = Holder.remote([Counter.remote()])
ray.get(holder.add.remote())
""",
        "%%actor --update" + NEW,
        "ray.get(holder.add.remote())",
    )
    assert "Updated Actor(Counter" in update.output
    assert "111" in answer.output


def test_a_failed_update_is_explained_in_one_line() -> None:
    _, update, answer = run_cells(
        "%%actor counter" + OLD,
        "%%actor --update" + ASYNC,
        "import nbactors as ray; ray.get(counter.add.remote())",
    )
    assert not update.ok
    assert "counter: a living Counter cannot be updated: it was a synchronous actor" in update.output
    assert "Counter was not changed in the notebook either; %%actor without --update" in update.output
    assert len(update.output.strip().splitlines()) == 1
    assert "11" in answer.output


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param("%%actor --update" + ASYNC, id="no living actor takes it"),
        pytest.param(
            "%%actor --update" + NEW + "    def __nbactors_update__(self, old):\n        1 / 0", id="the hook"
        ),
        pytest.param("%%actor" + NEW + "1 / 0", id="the cell fails"),
        pytest.param("%%actor" + NEW + "Counter = 1", id="no class"),
        pytest.param(
            "%%actor" + NEW + "    import nbactors\n    double = nbactors.method(concurrency_group='absent')(double)",
            id="no actor class",
        ),
    ],
)
def test_a_refused_class_leaves_the_name_as_it_was(refused: str) -> None:
    ran = run_cells(
        "%%actor counter" + OLD,
        "import nbactors as ray; before = Counter",
        refused,
        "Counter is before, ray.get(counter.add.remote())",
    )
    assert not ran[2].ok
    assert "(True, 11)" in ran[3].output


def test_a_refused_class_without_a_predecessor_leaves_no_name() -> None:
    refused, left = run_cells("%%actor\nclass Counter: pass\n1 / 0", "'Counter' in globals()")
    assert not refused.ok
    assert "False" in left.output


def test_an_update_that_some_actors_refuse_says_that_new_ones_run_the_new_code() -> None:
    _, _, update, answer = run_cells(
        "%%actor one" + OLD,
        "import nbactors as ray; two = Counter.remote(); ray.get([each.add.remote() for each in (one, two, two)])",
        "%%actor --update"
        + NEW
        + "    def __nbactors_update__(self, old):\n        if self.value == 12: raise ValueError('not 12')",
        "ray.get([each.add.remote() for each in (one, two, Counter.remote())])",
    )
    assert "Updated one" in update.output
    assert "two: not 12. New actors of Counter run the new code" in update.output
    assert "[111, 13, 110]" in answer.output


def test_update_without_a_living_actor_says_so() -> None:
    (update,) = run_cells("%%actor --update" + NEW)
    assert update.output.strip() == "No Counter lives: there is nothing to update"


def test_a_cell_that_replaces_an_actor_says_so_and_how_to_keep_its_state() -> None:
    _, again, other, first = run_cells(
        "%%actor counter" + OLD,
        "%%actor counter" + OLD,
        "%%actor --update counter" + NEW,
        "del counter",
    )
    text = "counter is a new actor, without the state of the one before. %%actor --update counter keeps it"
    assert text in again.output
    assert "new actor" not in other.output
    assert first.ok


def test_a_cell_that_finds_an_actor_again_replaces_nothing() -> None:
    cell = "%%actor --name one --get-if-exists counter" + OLD
    _, again = run_cells(cell, cell)
    assert "new actor" not in again.output
