"""Calls of all kinds to the same few actors, from 32 threads of 4 drivers at once. See the package."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbactors
from nbactors.testing.polling import eventually
from stress.load import DRIVER_IDS, THREAD_IDS
from stress.subjects import CHILD, start

CALLS = int(os.environ.get("NBACTORS_STRESS_CALLS", "100000"))
SEED = int(os.environ.get("NBACTORS_STRESS_SEED", "0")) or time.time_ns() % 1_000_000
DRIVERS = 4
THREADS = 8
TIMEOUT_S = 60 + CALLS / 1000
"""Many times what it takes on a quiet machine."""


@pytest.fixture
def actors() -> Iterator[dict[str, Any]]:
    nbactors.init(num_cpus=4, namespace="stress")
    actors = start("mixed")
    yield actors
    actors.clear()
    nbactors.shutdown()


@pytest.fixture
def drivers(actors: dict[str, Any], tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    environ = dict(os.environ)
    environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.getcwd()])
    command = [sys.executable, "-m", "stress.load"]
    drivers = [
        subprocess.Popen(
            [
                *command,
                str(SEED),
                str(index),
                "mixed",
                str(THREADS),
                str(CALLS // DRIVERS),
                str(tmp_path / f"log_{index}"),
            ],
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(DRIVERS)
    ]
    yield drivers
    for driver in drivers:
        if driver.poll() is None:
            driver.kill()
        driver.communicate()


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S + 60)
def test_no_call_is_lost_run_twice_or_left_behind(
    actors: dict[str, Any], drivers: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    print(f"NBACTORS_STRESS_SEED={SEED}")
    start = time.monotonic()
    for driver in drivers:
        _finish(driver, start + TIMEOUT_S)
    print(f"{time.monotonic() - start:.1f} s")
    calls: list[tuple[int, str, str, str]] = []
    wrong: list[str] = []
    for index in range(DRIVERS):
        more, bad = pickle.loads((tmp_path / f"log_{index}").read_bytes())
        calls += more
        wrong += bad
    assert not wrong, f"seed {SEED}: {len(wrong)} wrong, the first: {wrong[:5]}"
    print(sorted(Counter((kind, outcome) for _, _, kind, outcome in calls).items()))
    assert len(calls) == CALLS // DRIVERS // THREADS * THREADS * DRIVERS
    for actor in actors.values():
        _check_nothing_left(actor)
    begun = {kind: nbactors.get(actor.report.remote(), timeout=20) for kind, actor in actors.items()}
    _check_counts(calls, begun)
    _check_order(begun["plain"])


def _finish(driver: subprocess.Popen[str], deadline: float) -> None:
    try:
        _, stderr = driver.communicate(timeout=max(deadline - time.monotonic(), 1))
    except subprocess.TimeoutExpired:
        driver.send_signal(signal.SIGUSR1)
        try:
            driver.wait(1)
        except subprocess.TimeoutExpired:
            driver.kill()
        raise AssertionError(f"seed {SEED}: a driver hangs:\n{driver.communicate()[1]}") from None
    assert driver.returncode == 0, f"seed {SEED}: exit code {driver.returncode}; stderr:\n{stderr}"


def _check_nothing_left(actor: Any) -> None:
    left: list[str] = []

    def is_empty() -> bool:
        left[:] = nbactors.get(actor.left_behind.remote(), timeout=20)
        return not left

    try:
        # What is cancelled may still run for a moment.
        eventually(is_empty, 10)
    except TimeoutError:
        pytest.fail(f"seed {SEED}: {actor} has {len(left)} left, the first: {left[:3]}")


def _check_counts(calls: list[tuple[int, str, str, str]], begun: dict[str, list[int]]) -> None:
    """What has returned has begun once, what was queued when its time was up never, all else at most once."""
    counts = Counter(number for numbers in begun.values() for number in numbers)
    twice = [number for number, count in counts.items() if count > 1]
    assert not twice, f"seed {SEED}: begun twice: {twice[:5]}"
    known = {number for number, _, _, _ in calls}
    unknown = [number for number in counts if number % CHILD not in known]
    assert not unknown, f"seed {SEED}: never called: {unknown[:5]}"
    own = {kind: set(numbers) for kind, numbers in begun.items()}
    for call in calls:
        number, actor, kind, outcome = call
        if outcome == "value":
            assert number in own[actor], f"seed {SEED}: never begun: {call}"
            if kind == "relay":
                assert counts[number + CHILD] == 1, f"seed {SEED}: what it called never began: {call}"
        elif outcome == "queued":
            assert number not in counts, f"seed {SEED}: begun although it was queued when cancelled: {call}"


def _check_order(begun: list[int]) -> None:
    """A single-threaded actor runs each submitting thread's calls in the order of submission."""
    last: dict[int, int] = {}
    for number in begun:
        if number < CHILD:
            submitter = number // THREAD_IDS
            assert last.get(submitter, -1) < number, f"seed {SEED}: {number} of driver {number // DRIVER_IDS} is late"
            last[submitter] = number
