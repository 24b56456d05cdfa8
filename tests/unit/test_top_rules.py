"""The rows of `nbactors top`: what a board makes of changes, orders and filters, columns that fit."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nbactors.cli.top.board import ActorLine, Board
from nbactors.cli.top.columns import Column, fitted
from nbactors.cli.top.ordering import ORDERS, Usage, arranged
from nbactors.util.state import TaskChanges

CALLER = "ab" * 16


def actor(number: int, state: str = "ALIVE", name: str = "") -> dict[str, Any]:
    return {
        "actor_id": f"{number:032x}",
        "class_name": "Counter",
        "state": state,
        "name": name,
        "ray_namespace": "shop",
        "pid": 100 + number if state == "ALIVE" else 0,
        "is_detached": False,
    }


def call(number: int, actor_number: int | None, state: str, **changed: Any) -> dict[str, Any]:
    return {
        "task_id": f"{CALLER}{number:016x}",
        "actor_id": None if actor_number is None else f"{actor_number:032x}",
        "name": "Counter.add",
        "type": "ACTOR_TASK",
        "state": state,
        "waits_for": None,
        "times": [float(number), 0.0, float(number) if state.startswith("RUNNING") else 0.0, 0.0],
        **changed,
    }


def changes(*tasks: dict[str, Any], removed: tuple[str, ...] = (), snapshot: bool = False) -> TaskChanges:
    return TaskChanges(1, snapshot, list(tasks), list(removed), [], [], {})


def board(*actors: dict[str, Any]) -> Board:
    made = Board()
    made.list(actors)
    return made


def test_a_line_tells_what_an_actor_does() -> None:
    made = board(actor(1, name="counter"), actor(2), actor(3, "PENDING_CREATION"), actor(4, "DEAD"))
    construction = call(9, 3, "PENDING_NODE_ASSIGNMENT", type="ACTOR_CREATION_TASK", waits_for="2 CPUs")
    made.apply(changes(call(2, 1, "RUNNING"), call(1, 1, "RUNNING_IN_RAY_GET"), call(3, 1, "PENDING_ARGS_AVAIL")))
    made.apply(changes(construction, call(4, None, "RUNNING")))
    first, second, third = made.lines()
    assert (first.name, first.does, first.since, first.running, first.waiting) == ("counter", "add", 1.0, 2, 1)
    assert (second.name, second.does, second.since) == ("0" * 12, "idle", 0.0)
    assert (third.does, third.since, third.waiting) == ("waits for 2 CPUs", 9.0, 0)
    assert made.tasks == 1


def test_calls_stand_in_order_with_their_states() -> None:
    made = board(actor(1))
    waits = call(1, 1, "PENDING_NODE_ASSIGNMENT", waits_for="1 GPU")
    made.apply(changes(waits, call(3, 1, "RUNNING"), call(2, 1, "RUNNING_IN_RAY_WAIT")))
    found = made.calls(actor(1)["actor_id"])
    assert [(one.short_id, one.state) for one in found] == [
        ("abab-2", "in wait"),
        ("abab-3", "running"),
        ("abab-1", "waits for 1 GPU"),
    ]


STATES = ("RUNNING", "PENDING_ARGS_AVAIL", "FINISHED", "FAILED")
STEPS = st.lists(st.tuples(st.integers(1, 6), st.sampled_from((*STATES, "removed", "snapshot"))), max_size=30)


@given(STEPS)
def test_a_board_knows_the_open_calls_whatever_comes(steps: list[tuple[int, str]]) -> None:
    made, known = board(actor(0), actor(1)), dict[int, str]()
    for number, state in steps:
        row = call(number, number % 2, state)
        if state == "removed":
            made.apply(changes(removed=(row["task_id"],)))
            known.pop(number, None)
        elif state == "snapshot":
            made.apply(changes(call(number, number % 2, "RUNNING"), snapshot=True))
            known = {number: "RUNNING"}
        else:
            made.apply(changes(row))
            known[number] = state
    still = {number: state for number, state in known.items() if state in STATES[:2]}
    for place, line in enumerate(made.lines()):
        mine = [state for number, state in still.items() if number % 2 == place]
        assert (line.running, line.waiting) == (mine.count("RUNNING"), mine.count("PENDING_ARGS_AVAIL"))
        assert len(made.calls(line.actor_id)) == len(mine)


LINES = st.lists(
    st.builds(
        ActorLine,
        actor_id=st.just("ab"),
        name=st.sampled_from(["a", "B", "c"]),
        class_name=st.sampled_from(["X", "y"]),
        does=st.sampled_from(["idle", "add"]),
        rank=st.integers(0, 2),
        since=st.sampled_from([0.0, 1.0, 2.0]),
        running=st.integers(0, 2),
        waiting=st.integers(0, 2),
        pid=st.integers(1, 3),
        namespace=st.just("shop"),
        is_detached=st.booleans(),
        number=st.just(0),
    ),
    max_size=8,
).map(lambda lines: [line._replace(number=number) for number, line in enumerate(lines)])


@given(LINES, st.sampled_from(list(ORDERS)), st.booleans())
def test_orders_are_stable_and_lose_no_line(lines: list[ActorLine], order: str, is_reversed: bool) -> None:
    usages = {1: Usage(0.5, 10), 2: Usage(0.1, 20)}
    found = arranged(lines, usages, order, is_reversed, "")
    assert sorted(line.number for line in found) == [line.number for line in lines]
    keys = [ORDERS[order](line, usages.get(line.pid, Usage(0.0, 0))) for line in found]
    assert keys == sorted(keys, reverse=is_reversed)
    for (key, line), (next_key, next_line) in zip(
        list(zip(keys, found, strict=True)), list(zip(keys, found, strict=True))[1:], strict=False
    ):
        assert key != next_key or line.number < next_line.number


def test_a_filter_takes_words_of_any_column() -> None:
    made = board(actor(1, name="Alpha"), actor(2, name="beta"), actor(3, name="alphabet"))
    lines = made.lines()
    assert [line.name for line in arranged(lines, {}, "created", False, "alpha")] == ["Alpha", "alphabet"]
    assert [line.name for line in arranged(lines, {}, "created", False, "SHOP 102")] == ["beta"]
    assert arranged(lines, {}, "created", False, "alpha beta gamma") == []


COLUMNS = st.lists(st.builds(Column, title=st.just("x"), width=st.integers(1, 20), share=st.integers(0, 3)), min_size=1)


@given(COLUMNS, st.integers(1, 250))
def test_columns_fit_the_line(columns: list[Column], width: int) -> None:
    found = fitted(columns, width)
    assert [index for index, _ in found] == list(range(len(found)))
    assert sum(size for _, size in found) + len(found) - 1 <= width
    assert found[0][1] >= 1
