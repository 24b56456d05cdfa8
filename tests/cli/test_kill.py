"""`nbactors kill`, which asks on a real terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import nbactors, program
from keeping import BUSY, KEPT
from terminal import terminal

from nbactors.cli import exit_codes
from nbactors.testing import eventually
from nbactors.util import state

pytestmark = pytest.mark.slow


def names() -> list[str]:
    return sorted(row["name"] for row in state.list_actors() if row["state"] != "DEAD")


def test_without_a_terminal_kill_needs_yes(own_directory: Path) -> None:
    with program(KEPT):
        refused = nbactors("kill", "worker")
        assert (refused.returncode, "give --yes" in refused.stderr) == (exit_codes.WRONG_USAGE, True)
        assert names() == ["detached", "twin", "twin", "worker"]
        done = nbactors("kill", "-y", "worker", "detached", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert ([one["name"] for one in told["actors"]], told["errors"]) == (["worker", "detached"], [])
        eventually(lambda: names() == ["twin", "twin"])


def test_one_wrong_name_ends_no_actor(own_directory: Path) -> None:
    with program(KEPT):
        assert nbactors("kill", "-y", "worker", "nobody").returncode == exit_codes.FAILED
        assert "worker" in names()


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_kill_asks_on_a_terminal(own_directory: Path, answer: str, status: int) -> None:
    with program(BUSY), terminal("kill", "worker") as screen:
        screen.shows("Worker worker (namespace shop", "End it? [y/N]")
        screen.press(f"{answer}\r")
        assert screen.ends() == status
        eventually(lambda: ("worker" in names()) == (status != 0))


@pytest.mark.parametrize(("answer", "status"), [("detached", 0), ("y", 1)])
def test_the_name_of_a_detached_actor_has_to_be_typed(own_directory: Path, answer: str, status: int) -> None:
    with program(KEPT), terminal("kill", "detached") as screen:
        screen.shows("Worker detached (namespace shop", "Type detached to end it")
        screen.press(f"{answer}\r")
        assert screen.ends() == status
        eventually(lambda: ("detached" in names()) == (status != 0))


def test_ctrl_c_at_the_question_ends_nothing(own_directory: Path) -> None:
    with program(KEPT), terminal("kill", "worker") as screen:
        screen.shows("[y/N]")
        screen.press("\x03")
        assert screen.ends() == exit_codes.INTERRUPTED
        assert "Traceback" not in screen.text()
        assert "worker" in names()
