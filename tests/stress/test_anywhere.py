"""Handlers, finalizers and exceptions come at random moments of mixed calls: nothing is lost, hung or swallowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stress.test_mixed_calls import SEED

EVENTS = int(os.environ.get("NBACTORS_STRESS_EVENTS", "1000"))
WITHIN_S = 60 + EVENTS / 5
"""Many times what it takes on a quiet machine. What hangs ends itself long before."""


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 20)
def test_handlers_and_finalizers_at_random_moments_lose_no_call_and_no_exception() -> None:
    script = Path(__file__).with_name("anywhere_session.py")
    done = subprocess.run(
        [sys.executable, str(script), str(SEED), str(EVENTS)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr}"
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert not outcome["wrong"], f"seed {SEED}: " + "\n".join(outcome["wrong"])
    assert sum(outcome["met"].values()) == EVENTS, f"seed {SEED}"
    assert outcome["values"] == [7, 7, 7], f"seed {SEED}"
    assert outcome["collected"], f"seed {SEED}"
    assert not done.stderr, f"seed {SEED}: {done.stderr}"
