"""A session is interrupted at random moments, and is as good as new after each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stress.test_mixed_calls import SEED

INTERRUPTS = int(os.environ.get("NBACTORS_STRESS_INTERRUPTS", "1000"))
WITHIN_S = 100


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 20)
@pytest.mark.parametrize("mode", ["cancel", "detach"])
def test_a_session_works_on_after_each_interrupt_and_leaves_nothing_behind(mode: str) -> None:
    print(f"seed {SEED}")
    script = Path(__file__).with_name("interrupted_session.py")
    done = subprocess.run(
        [sys.executable, str(script), str(SEED), str(INTERRUPTS), mode],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, f"seed {SEED}: {done.stderr}"
    outcome = json.loads(done.stdout.splitlines()[-1])
    print(sorted(outcome["met"].items()))
    assert outcome["sent"] == INTERRUPTS
    assert sum(count for step, count in outcome["met"].items() if step != "cancelled before") == INTERRUPTS
    assert outcome["left"] == [], f"seed {SEED}"
    assert outcome["names"] == [], f"seed {SEED}"
    assert not done.stderr, f"seed {SEED}: {done.stderr}"
