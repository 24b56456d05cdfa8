"""`nbactors doctor` on this machine: what is made wrong is found, and no node is started."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import TIMEOUT_S, nbactors, program
from keeping import KEPT
from other_version import OtherVersion
from terminal import terminal

from nbactors.testing.leaks import node_pid
from nbactors.util.state import node_status

pytestmark = pytest.mark.slow


def checks(**environ: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Return the exit code, and the checks by their names."""
    done = subprocess.run(
        [sys.executable, "-m", "nbactors.cli", "doctor", "--json"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.stderr == ""
    found: dict[str, list[dict[str, Any]]] = {}
    for check in json.loads(done.stdout)["checks"]:
        found.setdefault(check["name"], []).append(check)
    return done.returncode, found


def results(found: dict[str, list[dict[str, Any]]], name: str) -> list[str]:
    return [check["result"] for check in found[name]]


def test_nothing_fails_here_and_nothing_is_left(own_directory: Path) -> None:
    status, found = checks()
    assert status == 0
    assert "fail" not in {one["result"] for rows in found.values() for one in rows}
    assert node_status() is None
    assert [path for path in own_directory.rglob("*") if path.is_socket()] == []


def test_a_running_node_answers(own_directory: Path) -> None:
    with program(KEPT):
        _, found = checks()
        assert f"pid {node_pid()}" in next(one["found"] for one in found["node"] if one["result"] == "ok")


def test_a_stopped_node_fails(own_directory: Path) -> None:
    with program(KEPT):
        node = psutil.Process(node_pid())
        node.send_signal(signal.SIGSTOP)
        try:
            status, found = checks()
        finally:
            node.send_signal(signal.SIGCONT)
        assert (status, "fail" in results(found, "node")) == (1, True)


def test_a_node_of_another_version_is_a_warning(own_directory: Path, tmp_path: Path) -> None:
    OtherVersion(tmp_path).keep_actor()
    status, found = checks()
    assert (status, "warn" in results(found, "node")) == (0, True)
    assert any(str(own_directory) in one["found"] and "nbactors stop" in one["mend"] for one in found["node"])


def test_a_dead_socket_is_found(own_directory: Path) -> None:
    path = own_directory / "12" / "p" / "gone"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    _, found = checks()
    assert results(found, "sockets") == ["warn"]
    assert str(path) in found["sockets"][0]["found"]


def test_an_unsafe_directory_fails_with_its_mend(own_directory: Path) -> None:
    own_directory.chmod(0o755)
    status, found = checks()
    assert (status, results(found, "runtime directory")) == (1, ["fail"])
    assert "NBACTORS_DIR" in found["runtime directory"][0]["mend"]


def test_a_path_that_is_too_long_fails(own_directory: Path) -> None:
    status, found = checks(NBACTORS_DIR=str(own_directory / ("x" * 90)))
    assert (status, results(found, "runtime directory")) == (1, ["fail"])


def test_a_spill_directory_that_is_missing_fails(own_directory: Path, tmp_path: Path) -> None:
    status, found = checks(NBACTORS_SPILL_DIR=str(tmp_path / "none"))
    assert (status, results(found, "spill directory")) == (1, ["fail"])


def test_limits_of_the_shell_are_found(own_directory: Path) -> None:
    script = 'ulimit -n 200; ulimit -v 4000000; exec "$0" -m nbactors.cli doctor --json'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    rows = {one["name"]: one["result"] for one in json.loads(done.stdout)["checks"]}
    assert (rows["open files"], rows["address space"]) == ("warn", "warn")
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 200


@pytest.mark.parametrize("columns", [40, 120])
def test_lines_fit_the_terminal(own_directory: Path, columns: int) -> None:
    with terminal("doctor", columns=columns, rows=90) as screen:
        assert screen.ends() == 0
        lines = [line for line in screen.lines() if line]
        assert lines[-1].endswith("checks.")
        assert sum(line.startswith(("ok ", "warn", "fail")) for line in lines) >= 12


@pytest.mark.parametrize(
    ("environ", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)], ids=str
)
def test_colour_only_where_it_is_wanted(own_directory: Path, environ: dict[str, str], is_coloured: bool) -> None:
    assert "\x1b" not in nbactors("doctor").stdout
    with terminal("doctor", rows=60, **environ) as screen:
        assert screen.ends() == 0
        assert (b"\x1b[" in screen.received) == is_coloured
