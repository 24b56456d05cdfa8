"""A crash of the hub: output and orders go on with its next process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from cluster.subjects import counter
from nbactors.testing import eventually


def _crash_hub() -> None:
    import ray

    rows = [row for row in ray._private.state.actors().values() if row["ActorClassName"] == "Hub"]
    (pid,) = [row["Pid"] for row in rows if row["State"] == "ALIVE"]
    os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        row = ray._private.state.actors(rows[-1]["ActorID"])
        return row["State"] == "ALIVE" and row["Pid"] != pid

    eventually(is_back, timeout_s=30)


def test_output_and_interrupts_survive_the_crash_of_the_hub(
    fresh: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fresh.init(engine="ray", num_cpus=2)
    cls = counter()

    def speak(self: Any) -> None:
        del self
        print("it speaks")

    actor = fresh.remote(cls).remote()
    fresh.get(actor.__ray_call__.remote(speak), timeout=60)
    _crash_hub()
    shown: list[str] = []

    def is_heard() -> bool:
        fresh.get(actor.__ray_call__.remote(speak), timeout=60)
        shown.append(capfd.readouterr().out)
        return "".join(shown).count("it speaks") >= 3

    eventually(is_heard, timeout_s=30)
    mark = tmp_path / "begun"
    sleeping = actor.sleep.remote(60, str(mark))
    eventually(mark.exists, timeout_s=30)
    fresh.cancel(sleeping, interrupt=True)
    with pytest.raises(fresh.exceptions.TaskCancelledError, match="was cancelled"):
        fresh.get(sleeping, timeout=30)
