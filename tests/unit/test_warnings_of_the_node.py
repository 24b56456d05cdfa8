"""How a session shows a warning of the node, which no line of the user's has caused."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import warnings
from nbactors.local.session.printer import Printer
from nbactors.local.wire import messages
{setup}
Printer(has_prefix=False).show(messages.Warn("no CPU is free"))
warnings.warn_explicit("of the user", UserWarning, "a.py", 7)
"""


@pytest.mark.parametrize(
    ("setup", "shown"),
    [
        ("", "nbactors: no CPU is free\na.py:7: UserWarning: of the user\n"),
        ("warnings.filterwarnings('ignore', module='nbactors')", "a.py:7: UserWarning: of the user\n"),
        (
            "warnings.filterwarnings('error', message='no CPU')",
            "nbactors: no CPU is free\na.py:7: UserWarning: of the user\n",
        ),
    ],
    ids=["default", "ignored", "an error"],
)
def test_a_warning_of_the_node_has_no_place(setup: str, shown: str) -> None:
    code = PROGRAM.format(setup=setup)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stderr == shown
