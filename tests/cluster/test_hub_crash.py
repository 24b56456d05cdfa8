"""A crash of the hub: output and orders go on with its next process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster.subjects import counter, leaver
from nbactors.testing import eventually


def _rows_of_hub() -> list[dict[str, Any]]:
    import ray

    return [row for row in ray._private.state.actors().values() if row["ActorClassName"] == "Hub"]


def _pid_of_hub() -> int:
    (pid,) = [row["Pid"] for row in _rows_of_hub() if row["State"] == "ALIVE"]
    assert isinstance(pid, int)
    return pid


def _crash_hub() -> None:
    pid = _pid_of_hub()
    os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        row = _rows_of_hub()[-1]
        return row["State"] == "ALIVE" and row["Pid"] != pid

    eventually(is_back, timeout_s=30)


@pytest.mark.parametrize(("count", "lines"), [(10, 0), (4, 2)], ids=["", "with much output"])
def test_actors_that_end_at_once_do_not_crash_the_hub(
    fresh: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], count: int, lines: int
) -> None:
    """Ray aborts an actor that runs two calls with one id, which calls of ending actors had."""
    fresh.init(engine="ray", num_cpus=4)
    os.mkfifo(tmp_path / "gate")
    cls = fresh.remote(leaver())
    actors = [cls.options(num_cpus=0).remote(tmp_path, lines) for _ in range(count)]
    leavers = fresh.get([actor.pid.remote() for actor in actors], timeout=60)
    hub = _pid_of_hub()
    del actors

    def ends(pid: int) -> bool:
        return (tmp_path / f"{pid}.ends").exists() or not psutil.pid_exists(pid)  # a late one is killed, without a hook

    eventually(lambda: all(map(ends, leavers)), timeout_s=30)
    with (tmp_path / "gate").open("r+b", buffering=0) as gate:
        gate.write(b"." * len(leavers))
        eventually(lambda: not any(map(psutil.pid_exists, leavers)), timeout_s=30)
    assert psutil.pid_exists(hub)
    shown: list[str] = []

    def has_shown_all() -> bool:
        shown.append(capfd.readouterr().out)
        return "".join(shown).count("the last line") == len(list(tmp_path.glob("*.ends")))

    eventually(has_shown_all, timeout_s=30)


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
