"""Sessions, workers and the node under a virtual clock, with cut connections and killed processes: many seeds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nbactors.local.submitting.task_queue import TaskQueue
from simulation import seams
from simulation.plan import Call, Create, Cut, NodeCrash, Plan, Stall, Task, draw
from simulation.shrink import shrink
from simulation.simulation import simulate
from simulation.sockets import Weather

SEEDS = 2000
BLOCKS = 10
COMMAND = Path(__file__).parents[2] / "scripts" / "simulate"


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(COMMAND), *arguments], capture_output=True, text=True, timeout=170, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS // BLOCKS))
def test_no_rule_is_broken(first: int) -> None:
    """`scripts/simulate --seed N --shrink --trace` shows what a seed does."""
    done = run_command("--first", str(first), "--seeds", str(SEEDS // BLOCKS))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_another_process_replays_a_seed_exactly() -> None:
    first, second = (run_command("--seeds", "40", "--first", "700", "--digest").stdout.splitlines() for _ in range(2))
    assert first[-1].startswith("digest ")
    assert first[-1] == second[-1]


def test_a_seed_replays_exactly() -> None:
    with seams.prepared():
        for seed in range(10):
            first, second = simulate(draw(seed), is_traced=True), simulate(draw(seed))
            assert first[:3] == second[:3]
            assert first.actions == len([line for line in first.trace if not line.split(" ", 1)[1].startswith("    ")])


def test_seeds_differ() -> None:
    with seams.prepared():
        assert len({simulate(draw(seed)).digest for seed in range(10)}) == 10


def test_a_handle_is_lost_with_a_worker_that_dies_while_its_answer_is_cut_off() -> None:
    """No rule is broken, wherever the answer is cut off: the session cannot know that a handle was on its way."""
    elements = (
        Create(0.0, 1, max_restarts=1, max_task_retries=1),
        Create(0.0, 2),
        Call(0.1, 3, 1, None, False, (("return",),), (("handle", 2),)),
        Call(0.1, 4, 1, None, False, (("die", 1),)),
    )
    with seams.prepared():
        for count in range(0, 160, 5):
            assert simulate(Plan(1, Weather(), 4, (*elements, Cut(1, True, count)))).failures == [], count


def test_a_stall_within_a_stall_does_not_end_it() -> None:
    """Otherwise the session would lose its patience with a search that still stands still."""
    elements = (NodeCrash(0.012), Stall(0.026, -1, 3.0), Stall(0.4, -1, 0.003), Create(0.5, 1))
    with seams.prepared():
        for seed in range(5):
            assert simulate(Plan(seed, Weather(), 4, elements)).failures == []


def test_a_plan_that_fails_shrinks_to_what_its_failure_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(*_: object) -> None:
        """In place of `lost`: the tasks of a worker that has died are never tried again."""

    task = Task(0.02, 2, 3, False, (("sleep", 0.02), ("die", 1), ("put",)))
    others = tuple(Create(0.01 * number, 10 + number) for number in range(4))
    plan = Plan(1, Weather(), 4, (*others, task, Task(0.3, 3, 0, False, ()), Cut(1, False, 100)))
    monkeypatch.setattr(TaskQueue, "lost", forget)
    with seams.prepared():
        assert simulate(plan).failures
        small = shrink(plan)
        assert simulate(small).failures
    assert small.elements == (Task(0.02, 2, 3, False, (("die", 1),)),)
    assert str(small).startswith("seed 1, 4 CPUs")
