"""The command line asks a cluster, from a process that has no session there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(ray: Any) -> Command:
    """Runs a command of `nbactors` with `--cluster` and the session's address."""
    from nbactors import engine

    address = engine.current().describe()["gcs_address"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "nbactors.cli", *words, "--cluster", address]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def sleeper(ray: Any) -> Iterator[Any]:
    """An actor whose method waits."""

    class Sleeper:
        def __init__(self) -> None:
            self._waits = threading.Event()
            self._wanted = threading.Event()

        def wait_here(self) -> None:
            self._waits.set()
            self._wanted.wait()

        def is_waiting(self) -> bool:
            return self._waits.wait(30)

        def go_on(self) -> None:
            self._wanted.set()

    actor = ray.remote(max_concurrency=2, num_cpus=0)(Sleeper).options(name="sleeper").remote()
    waiting = actor.wait_here.remote()
    ray.get(actor.is_waiting.remote())
    yield actor
    ray.get([actor.go_on.remote(), waiting])
    ray.kill(actor)


def test_list_shows_the_actors_of_all_sessions_and_what_runs_in_them(command: Command, sleeper: Any) -> None:
    result = command("list")
    assert result.returncode == 0, result.stderr
    assert "sleeper" in result.stdout
    assert "Sleeper.wait_here" in result.stdout
    found = json.loads(command("list", "--json").stdout)
    (row,) = [row for row in found["actors"] if row["name"] == "sleeper"]
    (call,) = [call for call in found["calls"] if call["actor_id"] == row["actor_id"]]
    assert (row["state"], row["has_session"], call["name"]) == ("ALIVE", True, "Sleeper.wait_here")


def test_stack_shows_what_an_actor_of_another_session_does(command: Command, sleeper: Any) -> None:
    result = command("stack", "sleeper")
    assert result.returncode == 0, result.stderr
    assert "in wait_here" in result.stdout
    missing = command("stack", "nobody")
    assert missing.returncode == 1
    assert "no living actor is called 'nobody'" in missing.stderr


def test_status_shows_nodes_resources_and_actors(command: Command, sleeper: Any) -> None:
    result = command("status")
    assert result.returncode == 0, result.stderr
    assert "1 session, 1 node, " in result.stdout
    assert "CPU      4 of 4" in result.stdout
    assert "sleeper" in result.stdout
    assert "node:" not in result.stdout


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    line = [sys.executable, "-m", "nbactors.cli", "list", "--cluster", "127.0.0.1:1"]
    result = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "no Ray cluster answers at '127.0.0.1:1'" in result.stderr
