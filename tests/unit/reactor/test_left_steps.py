"""Steps that one thread has left to another are served until none is left."""

from __future__ import annotations

from collections.abc import Callable

from nbactors.local.reactor.left_steps import LeftSteps


class Target:
    """A target whose `serve` returns the values that the test gives.

    Args:
        rounds: What each `serve` returns; True from then on.
        on_serve: Called in each `serve`.
    """

    def __init__(self, *rounds: bool, on_serve: Callable[[], None] = lambda: None) -> None:
        self._rounds = list(rounds)
        self._on_serve = on_serve
        self.served = 0

    def serve(self) -> bool:
        self.served += 1
        self._on_serve()
        return self._rounds.pop(0) if self._rounds else True


def test_a_target_is_added_once() -> None:
    steps, target = LeftSteps(), Target()
    steps.add(target)
    steps.add(target)
    assert steps.targets == [target]


def test_a_target_whose_steps_another_thread_runs_is_served_again() -> None:
    steps, target = LeftSteps(), Target(False, False)
    steps.add(target)
    for _ in range(2):
        steps.serve()
        assert steps.targets == [target]
    steps.serve()
    assert steps.targets == []


def test_each_target_is_served() -> None:
    steps, targets = LeftSteps(), [Target(), Target(False), Target()]
    for target in targets:
        steps.add(target)
    steps.serve()
    assert all(target.served for target in targets)
    assert steps.targets == [targets[1]]


def test_a_step_that_is_left_while_the_target_is_taken_out_is_served() -> None:
    """The thread that has left the step found the target in the list, and did not add the target."""
    steps, target = LeftSteps(), Target(True, False)
    steps.add(target)
    steps.serve()
    assert steps.targets == [target]
    steps.serve()
    assert steps.targets == []


def test_two_threads_may_take_the_same_target_out() -> None:
    steps = LeftSteps()
    inner: list[None] = []

    def serve_inside() -> None:
        if not inner:
            inner.append(None)
            steps.serve()

    target = Target(on_serve=serve_inside)
    steps.add(target)
    steps.serve()
    assert steps.targets == []
