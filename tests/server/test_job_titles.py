"""What a session is called in the side panel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nbactors.jupyter.server.jobs import _about

ID = "2dae55aa-6c4f-4629-b499-3ae782875310"


@pytest.mark.parametrize(
    ("argument", "session_name", "title"),
    [
        (f"kernel-{ID}.json", "/home/me/study.ipynb", "study.ipynb"),
        (f"kernel-{ID}.json", f"/home/me/{ID}", "kernel (pid PID)"),  # its page has not told the path yet
        (f"kernel-{ID}.json", "", "kernel (pid PID)"),
        ("train.py", "/home/me/study.ipynb", "train.py"),
        ("", "", "script (pid PID)"),
    ],
)
def test_a_session_is_called_by_its_notebook_or_script(argument: str, session_name: str, title: str) -> None:
    environ = {**os.environ, "JPY_SESSION_NAME": session_name}
    command = [sys.executable, "-c", "print(flush=True); input()", argument]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the command line is its own by now
        assert _about(process.pid)["title"] == title.replace("PID", str(process.pid))
        process.communicate(b"\n")
