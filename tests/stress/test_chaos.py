"""Processes are killed under load, nodes, too. What they have recorded keeps the rules of a `History`.

`NBACTORS_CHAOS_FAULTS` is the number of faults, `NBACTORS_STRESS_SEED` the seed, and `NBACTORS_CHAOS_KINDS` the kinds
of faults, for instance "actor,node". `scripts/chaos` makes long runs.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors
from nbactors.testing import History
from nbactors.testing.records import VALUE, Answered, Born
from stress.faults import PROGRESS_S, Faults, start_session

FAULTS = int(os.environ.get("NBACTORS_CHAOS_FAULTS", "20"))
SEED = int(os.environ.get("NBACTORS_STRESS_SEED", "0")) or time.time_ns() % 1_000_000
KINDS = tuple(os.environ.get("NBACTORS_CHAOS_KINDS", "actor,task,restart,forkserver,driver,node").split(","))
TIMEOUT_S = 120 + 5 * FAULTS


@pytest.fixture
def faults(own_directory: Path, tmp_path: Path) -> Iterator[Faults]:
    start_session()
    faults = Faults(SEED, History(tmp_path / "history"), drivers=2, threads=3, kinds=KINDS)
    yield faults
    faults.end()
    nbactors.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_no_process_that_is_killed_breaks_a_rule(faults: Faults) -> None:
    print(f"NBACTORS_STRESS_SEED={SEED} {faults.history.path}")
    start = time.monotonic()
    struck = Counter(faults.strike() for _ in range(FAULTS))
    faults.finish(PROGRESS_S)
    faults.check_actors()
    records = faults.history.records()
    answers = Counter(record.outcome for record in records if isinstance(record, Answered))
    births = sum(isinstance(record, Born) for record in records)
    print(f"{time.monotonic() - start:.1f} s, {len(records)} records, {births} births, {dict(struck)}, {dict(answers)}")
    faults.history.check()
    assert answers[VALUE], "no call has returned"
