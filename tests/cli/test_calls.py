"""`nbactors list`, `nbactors cancel` and `nbactors interrupt`, beside programs whose main threads are busy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from command import TIMEOUT_S, nbactors

from nbactors.testing import eventually

pytestmark = pytest.mark.slow

SPINNER = """
import threading
import nbactors as ray

@ray.remote
class Spinner:
    def spin(self):
        pause = threading.Event()
        while True:
            pause.wait(0.01)

    def say(self, what):
        return what

ray.init(num_cpus=2, namespace="shop", log_to_driver=False)
spinner = Spinner.options(name="spinner").remote()
nameless = Spinner.remote()
refs = [spinner.spin.remote(), spinner.say.remote(1), nameless.spin.remote()]
print("ready", flush=True)
while True:
    pass
"""


@contextmanager
def busy(source: str = SPINNER) -> Iterator[subprocess.Popen[str]]:
    """Run a program whose main thread never waits."""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def calls(*states: str) -> list[dict[str, Any]]:
    found = json.loads(nbactors("list", "--json").stdout)
    return [row for row in found["calls"] if row["state"] in states]


def two_run() -> list[dict[str, Any]]:
    """Return the two running calls, when the node knows of them."""
    return eventually(  # type: ignore[no-any-return]
        lambda: found if len(found := calls("RUNNING")) == 2 else None, TIMEOUT_S, "two running calls"
    )


def test_every_command_says_that_no_node_runs() -> None:
    shown = nbactors("list")
    assert (shown.returncode, "No node runs" in shown.stdout) == (3, True)
    assert nbactors("list", "--json").stdout == "null\n"
    for command in (("cancel", "abcd-1"), ("interrupt", "spinner"), ("interrupt", "--all")):
        done = nbactors(*command)
        assert (done.returncode, done.stdout) == (3, ""), command
        assert done.stderr.startswith("Error: No node runs")


def test_list_shows_actors_and_calls_in_80_columns() -> None:
    with busy() as process:
        two_run()
        lines = nbactors("list").stdout.splitlines()
        assert max(map(len, lines)) <= 80
        assert lines[0].split() == ["ACTOR", "CLASS", "STATE", "PID", "NAMESPACE"]
        assert lines[1].split()[:3] == ["spinner", "Spinner", "alive"]
        assert [line.split()[1:3] for line in lines[5:]] == [
            ["Spinner.spin", "running"],
            ["Spinner.spin", "running"],
            ["Spinner.say", "queued"],
        ]
        assert all(line.endswith(f"pid {process.pid}") for line in lines[5:])
        assert "Spinner.__init__" in nbactors("list", "--all").stdout


def test_cancel_takes_the_ids_that_list_shows() -> None:
    with busy():
        first, second = (row["short_id"] for row in two_run())
        plain = nbactors("cancel", first)
        assert plain.returncode == 0, plain.stderr
        assert plain.stdout.startswith(f"{first} Spinner.spin: cancelled; it goes on")
        done = nbactors("cancel", "--interrupt", first, second)
        assert done.returncode == 0, done.stderr
        assert sorted(done.stdout.splitlines()) == [f"{one} Spinner.spin: cancelled" for one in sorted([first, second])]
        eventually(lambda: not calls("RUNNING"), TIMEOUT_S)
        assert nbactors("cancel", first).stdout == f"{first} Spinner.spin: had ended\n"


def test_cancel_tells_of_unknown_calls_and_cancels_the_others() -> None:
    with busy():
        known, other = (row["short_id"] for row in two_run())
        done = nbactors("cancel", "--interrupt", "abcd-17", "nonsense", known)
        assert (done.returncode, done.stdout) == (1, f"{known} Spinner.spin: cancelled\n")
        assert "there is no call abcd-17; `nbactors list` shows" in done.stderr
        assert "'nonsense' is no id of a call" in done.stderr
        refused = nbactors("cancel", "--force", other)
        assert (refused.returncode, "not supported for actor tasks" in refused.stderr) == (1, True)
        assert nbactors("cancel", "--force", "--interrupt", known).returncode == 2


def test_interrupt_takes_names_pids_and_ids() -> None:
    with busy():
        two_run()
        actors = {row["name"]: row for row in json.loads(nbactors("list", "--json").stdout)["actors"]}
        done = nbactors("interrupt", "spinner", str(actors[""]["pid"]))
        assert done.returncode == 0, done.stderr
        nameless = actors[""]["actor_id"][:12]
        assert done.stdout == f"Spinner spinner: 1 call interrupted\nSpinner {nameless}: 1 call interrupted\n"
        idle = f"Spinner {nameless}: nothing runs\n"
        eventually(lambda: nbactors("interrupt", nameless).stdout == idle, TIMEOUT_S)
        missing = nbactors("interrupt", "walker")
        assert (missing.returncode, "no living actor is called 'walker'" in missing.stderr) == (1, True)


def test_interrupt_all_reaches_the_actors_of_all_programs() -> None:
    with busy():
        two_run()
        done = nbactors("interrupt", "--all")
        assert (done.returncode, done.stdout.count("1 call interrupted")) == (0, 2), done.stderr
        eventually(lambda: nbactors("interrupt", "--all").stdout == "Nothing runs in any actor.\n", TIMEOUT_S)
        assert nbactors("interrupt").returncode == 2
        assert nbactors("interrupt", "--all", "spinner").returncode == 2
