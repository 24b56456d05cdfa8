"""What calls tell their workers by Ray's names, and what they tell by an argument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nbactors.frontend import calling_cell
from nbactors.testing import eventually


@pytest.fixture
def teller(ray: Any) -> Any:
    class Teller:
        def names(self, *more: Any, key: Any = None) -> tuple[str, str, tuple[Any, ...], Any]:
            import ray

            import nbactors

            return ray.get_runtime_context().get_task_name(), told(nbactors), more, key

        def through(self, other: Any) -> Any:
            import nbactors

            return nbactors.get(other.names.remote())

    def told(nbactors: Any) -> str:
        return str(nbactors.get_runtime_context().get_task_name())

    return ray.remote(Teller).remote()


@pytest.fixture
def in_cell() -> Iterator[int]:
    """Make the test's calls those of a cell."""
    calling_cell.enter(7)
    yield 7
    calling_cell.enter(0)


def test_a_script_calls_by_the_label_alone(ray: Any, teller: Any) -> None:
    assert ray.get(teller.names.remote(), timeout=60) == ("Teller.names", "Teller.names", (), None)


def test_the_name_tells_the_cell_and_listings_show_the_label(ray: Any, teller: Any, in_cell: int) -> None:
    from nbactors.util import state

    assert ray.get(teller.names.remote(), timeout=60) == ("Teller.names [7]", "Teller.names", (), None)
    filters = [("actor_id", "=", teller._actor_id.hex()), ("name", "=", "Teller.names")]
    eventually(lambda: state.list_tasks(filters=filters, detail=True))
    (row,) = state.list_tasks(filters=filters, detail=True)
    assert row["cell"] == in_cell
    assert 0 < row["times"][0] <= row["times"][2] <= row["times"][3]


def test_arguments_come_as_they_are(ray: Any, teller: Any, in_cell: int) -> None:
    ref = ray.put("value")
    assert ray.get(teller.names.remote(1, ref), timeout=60) == ("Teller.names [7]", "Teller.names", (1, "value"), None)
    assert ray.get(teller.names.remote(1, key=ref), timeout=60) == ("Teller.names", "Teller.names", (1,), "value")


def test_a_call_with_a_name_of_its_own_has_that_name(ray: Any, teller: Any, in_cell: int) -> None:
    named = teller.names.options(name="mine [8]")
    assert ray.get(named.remote(), timeout=60) == ("mine [8]", "mine [8]", (), None)


def test_the_number_of_names_does_not_grow_with_the_calls(ray: Any, teller: Any, in_cell: int) -> None:
    names = ray.get([teller.names.remote() for _ in range(50)], timeout=60)
    assert len(set(names)) == 1


def test_a_call_of_a_call_tells_its_caller(ray: Any, teller: Any, in_cell: int) -> None:
    from nbactors.util import state

    other = ray.remote(type("Other", (), {"names": lambda self: "ok"})).remote()
    assert ray.get(teller.through.remote(other), timeout=60) == "ok"
    filters = [("actor_id", "=", other._actor_id.hex()), ("name", "=", "Other.names")]
    eventually(lambda: state.list_tasks(filters=filters, detail=True))
    (row,) = state.list_tasks(filters=filters, detail=True)
    caller = state.get_task(row["parent_task_id"])
    assert (row["cell"], caller["name"]) == (in_cell, "Teller.through")


def test_calls_of_a_call_go_by_the_name_and_know_their_caller(ray: Any, teller: Any, in_cell: int) -> None:
    from nbactors.util import state

    class Caller:
        def call(self, other: Any, count: int) -> list[Any]:
            import nbactors

            return nbactors.get([other.names.remote(number) for number in range(count)])

    caller = ray.remote(Caller).remote()
    outer = caller.call.remote(teller, 300)
    answers = ray.get(outer, timeout=60)
    assert answers == [("Teller.names [7]", "Teller.names", (number,), None) for number in range(300)]
    filters = [("actor_id", "=", teller._actor_id.hex()), ("name", "=", "Teller.names"), ("state", "=", "FINISHED")]

    def known() -> list[Any]:
        rows = state.list_tasks(filters=filters, detail=True, limit=1000)
        return [row for row in rows if row["parent_task_id"] == outer.task_id().hex()]

    rows = eventually(lambda: len(found := known()) >= 40 and found)
    assert [row["times"] for row in rows if not 0 < row["times"][0] < row["times"][2] <= row["times"][3]] == []
    assert {row["cell"] for row in rows} == {in_cell}


@pytest.fixture
def work(ray: Any) -> Any:
    def work(*more: Any, key: Any = None) -> tuple[str, str, tuple[Any, ...], Any]:
        import ray

        import nbactors

        label = nbactors.get_runtime_context().get_task_name()
        return ray.get_runtime_context().get_task_name(), label, more, key

    return ray.remote(work)


@pytest.mark.parametrize("more", [(), (b"bytes",), (b"",), (1, "two")])
def test_a_task_takes_its_facts_from_the_name(ray: Any, work: Any, in_cell: int, more: tuple[Any, ...]) -> None:
    from nbactors.util import state

    ref = work.remote(*more)
    assert ray.get(ref, timeout=60) == ("work [7]", "work", more, None)
    assert ray.get(work.remote(*more, key=b"value"), timeout=60) == ("work", "work", more, b"value")
    eventually(lambda: (row := state.get_task(ref.task_id().hex())) is not None and row["state"] == "FINISHED")
    row = state.get_task(ref.task_id().hex())
    assert (row["name"], row["cell"]) == ("work", in_cell)
    assert 0 < row["times"][0] <= row["times"][2] <= row["times"][3]


def test_a_task_of_a_task_goes_by_the_name_unless_it_has_its_own(ray: Any, work: Any, in_cell: int) -> None:
    from nbactors.util import state

    @ray.remote
    def outer(work: Any, **options: Any) -> Any:
        import nbactors

        ref = work.options(**options).remote()
        return (*nbactors.get(ref)[:2], ref.task_id().hex())

    ref = outer.remote(work)
    *names, inner = ray.get(ref, timeout=60)
    assert names == ["work [7]", "work"]
    eventually(lambda: (row := state.get_task(inner)) and row["parent_task_id"] == ref.task_id().hex())
    assert ray.get(outer.remote(work, enable_task_events=False), timeout=60)[:2] == ("work", "work")
    assert ray.get(outer.remote(work, name="mine"), timeout=60)[:2] == ("mine", "mine")
