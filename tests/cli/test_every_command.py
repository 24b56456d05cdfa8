"""Each command where no node runs, where one is idle or busy, with a wrong id, and with a closed pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import TIMEOUT_S, nbactors, program
from keeping import BUSY, KEPT
from terminal import terminal

from nbactors.cli import exit_codes
from nbactors.testing import eventually
from nbactors.util import state
from nbactors.util.state import node_status

pytestmark = pytest.mark.slow

READING = (
    ("status",),
    ("list",),
    ("logs", "worker"),
    ("stack", "worker"),
    ("profile", "worker", "--seconds", "0.1"),
    ("timeline", "-"),
    ("metrics",),
)
ACTING = (("cancel", "abcd-1"), ("interrupt", "worker"), ("kill", "--yes", "worker"))
WRONG = tuple((command, *rest, "nobody") for command, *rest in (("logs",), ("stack",), ("profile",), ("interrupt",)))
WRONG += (("kill", "--yes", "nobody"), ("cancel", "nonsense"))


@pytest.mark.parametrize("command", [*READING, *ACTING], ids=" ".join)
def test_no_node_is_a_sentence_and_an_exit_code(own_directory: Path, command: tuple[str, ...]) -> None:
    done = nbactors(*command)
    assert done.returncode == exit_codes.NO_NODE, done.stderr
    assert (done.stdout + done.stderr).count("No node runs") == 1
    assert nbactors(*command, "--json").stdout == "null\n"
    assert node_status() is None


@pytest.mark.parametrize("source", [KEPT, BUSY], ids=["idle", "busy"])
def test_each_command_tells_people_and_programs(own_directory: Path, source: str) -> None:
    with program(source):
        for command in READING:
            done = nbactors(*command)
            assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
            as_json = nbactors(*command, "--json")
            assert (as_json.returncode, as_json.stderr) == (0, ""), (command, as_json.stderr)
            assert json.loads(as_json.stdout), command


def test_a_wrong_id_is_a_sentence(own_directory: Path) -> None:
    with program(KEPT):
        for command in WRONG:
            done = nbactors(*command)
            assert done.returncode == exit_codes.FAILED, command
            assert done.stderr.startswith("Error: "), command
            assert "`nbactors list" in done.stderr, command
            assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_each_command_quietly(own_directory: Path) -> None:
    with program(BUSY):
        for command in (
            *READING,
            ("doctor",),
            ("doctor", "--json"),
            ("interrupt", "worker"),
            ("interrupt", "worker", "--json"),
        ):
            reader, writer = os.pipe()
            os.close(reader)
            line = [sys.executable, "-m", "nbactors.cli", *command]
            done = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False)
            os.close(writer)
            assert (done.returncode, done.stderr) == (exit_codes.FAILED, b""), command


def test_help_shows_the_exit_codes() -> None:
    shown = nbactors("--help").stdout
    section = shown[shown.index("Exit codes:") :]
    assert [line.split()[0] for line in section.splitlines() if line.strip()[:1].isdigit()] == [
        str(code) for code in exit_codes.MEANINGS
    ]


def test_an_actor_of_several_is_chosen_by_its_namespace(own_directory: Path) -> None:
    with program(KEPT):
        refused = nbactors("stack", "twin")
        assert refused.returncode == exit_codes.FAILED
        assert "several actors are called 'twin'" in refused.stderr
        assert "or its namespace as `-n NAMESPACE`" in refused.stderr
        rows = state.list_actors(filters=[("name", "=", "twin")])
        assert all(f"{row['actor_id']}  {row['ray_namespace']}  " in refused.stderr for row in rows)
        for row in rows:
            found = json.loads(nbactors("stack", "--json", "-n", row["ray_namespace"], "twin").stdout)
            assert [one["actor_id"] for one in found["actors"]] == [row["actor_id"]]
        log = nbactors("logs", "twin", "--namespace", "annex")
        assert (log.stdout, log.stderr) == ("is ready\n", "")
        latest = nbactors("logs", "twin")
        assert latest.returncode == 0
        assert "or its namespace as `--namespace NAMESPACE`" in latest.stderr
        wrong = nbactors("logs", "twin", "--namespace", "nowhere")
        assert wrong.stderr.startswith("Error: no actor is called 'twin' in the namespace 'nowhere'")


def test_a_long_namespace_is_shown_whole(own_directory: Path) -> None:
    namespace = "a project/with a very long name/and many folders/one.ipynb"
    with program(KEPT.replace('namespace="annex"', f'namespace="{namespace}"')):
        for command in (("stack", "twin"), ("logs", "twin"), ("list",), ("status",)):
            done = nbactors(*command)
            assert namespace in done.stdout + done.stderr, command


def test_stack_shows_the_running_method(own_directory: Path) -> None:
    with program(BUSY):
        eventually(lambda: "work" in nbactors("stack", "worker").stdout, TIMEOUT_S)
        two = nbactors("stack", "worker", "detached").stdout
        assert [line for line in two.splitlines() if line.startswith("== ")] == [
            "== Worker worker",
            "== Worker detached",
        ]


def test_profile_writes_files_and_prints_a_summary(own_directory: Path, tmp_path: Path) -> None:
    with program(BUSY):
        for name, begin in (("a.html", "<!"), ("a.svg", "<svg"), ("a.folded", "")):
            done = nbactors("profile", "worker", "-s", "0.3", "-o", str(tmp_path / name))
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith("Profile of Worker: 0.3 s")
            text = (tmp_path / name).read_text()
            assert text.startswith(begin)
            assert "Worker.work" in text
        found = json.loads(nbactors("profile", "worker", "-s", "0.3", "--json").stdout)
        assert found["samples"] > 0
        refused = nbactors("profile", "worker", "-s", "0.1", "-o", str(tmp_path / "no" / "a.html"))
        assert (refused.returncode, refused.stderr.count("\n")) == (exit_codes.FAILED, 1)
        assert f"there is no folder '{tmp_path / 'no'}': create it, or give another path." in refused.stderr


def test_timeline_writes_a_file(own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with program(BUSY):
        done = nbactors("timeline")
        assert done.returncode == 0, done.stderr
        (path,) = tmp_path.glob("nbactors-timeline-*.json")
        assert path.name in done.stdout
        assert {event["ph"] for event in json.loads(path.read_text())} >= {"M", "i"}
        told = json.loads(nbactors("timeline", "here.json", "--json").stdout)
        assert told["path"] == str(tmp_path / "here.json")
        refused = nbactors("timeline", "no/here.json")
        assert refused.returncode == exit_codes.FAILED
        assert refused.stderr.startswith("Error: 'no/here.json' cannot be written, since there is no folder 'no'")


def test_metrics_are_samples_for_programs(own_directory: Path) -> None:
    with program(KEPT):

        def texts() -> tuple[list[Any], str]:
            return json.loads(nbactors("metrics", "--json").stdout)["samples"], nbactors("metrics").stdout

        def are_of_one_time() -> bool:
            samples, text = texts()
            return len(samples) == len([line for line in text.splitlines() if line and not line.startswith("#")])

        eventually(are_of_one_time, TIMEOUT_S)  # a process may report its first figures between the two commands
        samples, text = texts()
        assert samples
        assert all(one["name"] in text for one in samples)


def test_stop_tells_programs_what_it_has_ended(own_directory: Path) -> None:
    assert json.loads(nbactors("stop", "--json").stdout) == {"nodes": []}
    with program(KEPT):
        status = node_status()
        assert status is not None
        stopped = json.loads(nbactors("stop", "--json").stdout)["nodes"]
        assert [node["pid"] for node in stopped] == [status["pid"]]


def test_acting_commands_tell_programs_what_they_did(own_directory: Path) -> None:
    with program(BUSY + "more = twin.work.remote()\n"):
        eventually(lambda: len(state.list_tasks(filters=[("state", "=", "RUNNING")])) == 2, TIMEOUT_S)
        calls = {row["name"]: row for row in json.loads(nbactors("list", "--json").stdout)["calls"]}
        whole = calls["Worker.work"]["task_id"]
        told = json.loads(nbactors("cancel", "--interrupt", "--json", whole).stdout)
        assert told["errors"] == []
        assert [(one["task_id"], one["name"], one["outcome"]) for one in told["calls"]] == [
            (whole, "Worker.work", "CANCELLED")
        ]
        eventually(lambda: len(state.list_tasks(filters=[("state", "=", "RUNNING")])) == 1, TIMEOUT_S)
        done = nbactors("interrupt", "--json", "worker", "nobody", "-n", "shop", "twin")
        told = json.loads(done.stdout)
        assert (done.returncode, sum(one["interrupted"] for one in told["actors"])) == (exit_codes.FAILED, 1)
        assert ["no living actor is called 'nobody'" in error for error in told["errors"]] == [True]


def test_ctrl_c_ends_a_profile_quietly(own_directory: Path) -> None:
    with program(BUSY), terminal("profile", "worker", "-s", "600") as screen:
        eventually(lambda: "profile" in (psutil.Process(screen.process.pid).cmdline()), TIMEOUT_S)
        eventually(lambda: len(psutil.Process(screen.process.pid).net_connections("unix")) > 0, TIMEOUT_S)
        screen.press("\x03")
        assert screen.ends() == exit_codes.INTERRUPTED
        assert "Traceback" not in screen.text()


@pytest.mark.parametrize("columns", [40, 200])
def test_tables_fit_the_terminal(own_directory: Path, columns: int) -> None:
    long = 'name="a-name-that-is-rather-long", namespace="a-namespace-that-is-very-long-as-well"'
    with program(KEPT.replace('name="worker"', long)):
        for command in ("list", "status"):
            with terminal(command, columns=columns, rows=60) as screen:
                assert screen.ends() == 0
                text = screen.text()
            (row,) = [line for line in text.splitlines() if line.startswith("a-name-that-is-rather-long")]
            assert ("a-namespace-that-is-very-long-as-well" in row) == (columns == 200), text


def test_a_name_cannot_steer_the_terminal(own_directory: Path) -> None:
    with program(KEPT.replace('name="worker"', r'name="w\x1b[31m\nX"')):
        for command in (("list",), ("status",)):
            done = nbactors(*command)
            assert "\x1b" not in done.stdout
            assert "w�[31m�X" in done.stdout


class TestCompletion:
    @staticmethod
    def words(*typed: str) -> list[str]:
        """Return what bash offers for the last word."""
        environ = {
            **os.environ,
            "_NBACTORS_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["nbactors", *typed]),
            "COMP_CWORD": str(len(typed)),
        }
        line = [sys.executable, "-m", "nbactors.cli"]
        done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.stderr == ""
        return [word.partition(",")[2] for word in done.stdout.splitlines() if word]

    def test_commands_and_options_are_completed(self) -> None:
        assert self.words("st") == ["status", "stack", "stop"]
        assert "--follow" in self.words("logs", "--f")

    def test_actors_are_completed_from_the_node(self, own_directory: Path) -> None:
        assert self.words("kill", "w") == []
        assert node_status() is None
        with program(KEPT):
            assert self.words("kill", "w") == ["worker"]
            assert self.words("logs", "det") == ["detached"]
            (row,) = state.list_actors(filters=[("name", "=", "worker")])
            assert self.words("stack", row["actor_id"][:8]) == [row["actor_id"]]

    def test_calls_are_completed_from_the_node(self, own_directory: Path) -> None:
        with program(BUSY):
            eventually(lambda: len(self.words("cancel", "")) == 1, TIMEOUT_S)
            (word,) = self.words("cancel", "")
            assert nbactors("cancel", "--interrupt", word).returncode == 0
