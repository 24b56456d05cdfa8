"""Many large values take few descriptors, in the process that has stored them and in one that reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MOST = 64


@pytest.mark.slow
def test_ten_thousand_values_take_few_descriptors() -> None:
    script = Path(__file__).with_name("many_values.py")
    done = subprocess.run(
        [sys.executable, str(script), "10000", "256"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    owner, reader = map(int, done.stdout.split()[-2:])
    assert owner <= MOST
    assert reader <= MOST
