"""The checks of `nbactors doctor`, given facts: what is wrong is found, and each finding says how to mend it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbactors.cli.doctor.facts import Facts
from nbactors.cli.doctor.finding import FAIL, OK, WARN, Finding, worst
from nbactors.cli.doctor.rules import PACKAGES, examine, numbers

GIB = 1 << 30

SURROUNDINGS: dict[str, Any] = {
    "protocol": 13,
    "runtime_directory": "/run/user/7/nbactors",
    "runtime_directory_problem": "",
    "runtime_directory_kind": "tmpfs",
    "socket_path_bytes": 50,
    "socket_path_most": 103,
    "dead_sockets": [],
    "cpus": 8.0,
    "machine_cpus": 8,
    "memory": 16.0 * GIB,
    "memory_limits": [],
    "processes": 0,
    "shared_memory": float("inf"),
    "shared_memory_directory": "/dev/shm",
    "spill": {
        "path": "/home/x/.cache",
        "in_memory": False,
        "free": 100 * GIB,
        "speed": 1e9,
        "problem": "",
        "kind": "ext4",
    },
}
HEALTHY = Facts(
    python=(3, 12, 1),
    executable="/usr/bin/python3",
    version="1.0.0",
    packages=dict.fromkeys(PACKAGES, "99"),
    surroundings=SURROUNDINGS,
    limits={"files": 1024, "processes": None, "address_space": None},
    open_files_hard=1 << 20,
)


def node(**changed: Any) -> dict[str, Any]:
    known = {"pid": 7, "directory": "/run/user/7/nbactors/13", "version": "1.0.0", "protocol": 13, "state": "RUNNING"}
    return {**known, "is_own": True, **changed}


def around(**changed: Any) -> Facts:
    return replace(HEALTHY, surroundings={**SURROUNDINGS, **changed})


def spill(**changed: Any) -> Facts:
    return around(spill={**SURROUNDINGS["spill"], **changed})


@pytest.mark.parametrize(("platform", "result"), [("linux", WARN), ("darwin", OK)])
def test_a_path_of_calls_that_is_not_compiled_is_told_of_where_it_could_be(platform: str, result: str) -> None:
    facts = replace(HEALTHY, platform=platform, why_not_compiled="it was not built")
    (finding,) = [one for one in examine(facts) if one.name == "calls"]
    assert finding.result == result
    assert bool(finding.mend) == (result == WARN)


def wrong(facts: Facts) -> list[tuple[str, str]]:
    return [(one.name, one.result) for one in examine(facts) if one.result != OK]


def test_a_healthy_machine_has_nothing_to_mend() -> None:
    findings = examine(replace(HEALTHY, nodes=[node()]))
    assert worst(findings) == OK
    assert all(not finding.mend for finding in findings)


CASES = {
    "old Python": (replace(HEALTHY, python=(3, 9, 1)), "python", FAIL),
    "new Python": (replace(HEALTHY, python=(3, 99, 0)), "python", WARN),
    "old ipykernel": (replace(HEALTHY, packages={**HEALTHY.packages, "ipykernel": "6.25.9"}), "kernel", WARN),
    "old lab": (replace(HEALTHY, packages={**HEALTHY.packages, "jupyterlab": "3.6"}), "front end", WARN),
    "no anywidget": (replace(HEALTHY, packages={"ipykernel": "7", "ipywidgets": "8.1", "tblib": "3"}), "kernel", WARN),
    "stopped node": (replace(HEALTHY, nodes=[node(state="STOPPED")]), "node", FAIL),
    "silent node": (replace(HEALTHY, nodes=[node(state="SILENT")]), "node", FAIL),
    "cut off node": (replace(HEALTHY, nodes=[node(state="CUT_OFF")]), "node", WARN),
    "no node": (replace(HEALTHY, nodes=[node(state="NO_NODE")]), "node", FAIL),
    "old node": (replace(HEALTHY, nodes=[node(state="OTHER_PROTOCOL", is_own=False)]), "node", WARN),
    "node of another version": (replace(HEALTHY, nodes=[node(version="0.9")]), "node", WARN),
    "node of another directory": (replace(HEALTHY, nodes=[node(is_own=False)]), "node", WARN),
    "unsafe directory": (
        around(runtime_directory_problem="the runtime directory is open to others: set NBACTORS_DIR to your own"),
        "runtime directory",
        FAIL,
    ),
    "directory on NFS": (around(runtime_directory_kind="nfs4"), "runtime directory", FAIL),
    "dead sockets": (around(dead_sockets=["/a/p/1", "/a/p/2"]), "sockets", WARN),
    "few files": (replace(HEALTHY, open_files_hard=256), "open files", WARN),
    "few processes": (replace(HEALTHY, limits={**HEALTHY.limits, "processes": 100}), "processes", WARN),
    "address space": (replace(HEALTHY, limits={**HEALTHY.limits, "address_space": GIB}), "address space", WARN),
    "little memory": (
        around(memory=100.0 * (1 << 20), memory_limits=[{"directory": "/c", "size": 100 << 20, "version": 2}]),
        "memory",
        WARN,
    ),
    "few processes in the cgroup": (around(processes=64), "cgroup processes", WARN),
    "small /dev/shm": (around(shared_memory=64.0 * (1 << 20)), "shared memory", WARN),
    "no spill directory": (spill(path=""), "spill directory", WARN),
    "spill directory in memory": (spill(in_memory=True, kind="tmpfs"), "spill directory", WARN),
    "full spill directory": (spill(free=1 << 20), "spill directory", WARN),
    "slow spill directory": (spill(speed=1e6), "spill directory", WARN),
    "spill directory on NFS": (spill(kind="nfs"), "spill directory", WARN),
    "spill directory that cannot be used": (spill(problem="Permission denied"), "spill directory", FAIL),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_found_alone_and_with_its_mend(case: str) -> None:
    facts, name, result = CASES[case]
    assert wrong(facts) == [(name, result)]
    (finding,) = [one for one in examine(facts) if one.result != OK]
    assert finding.found
    assert finding.mend
    assert not finding.found.endswith(".")
    assert not finding.mend.endswith(".")


def test_an_environment_without_notebooks_is_well() -> None:
    findings = examine(replace(HEALTHY, packages={}))
    assert worst(findings) == OK
    assert any("nbactors[jupyter]" in finding.found for finding in findings)


def test_limits_of_cgroups_are_named_with_their_version() -> None:
    limits = [{"directory": "/sys/fs/cgroup/x", "size": 2 * GIB, "version": 1}]
    findings = {one.name: one for one in examine(around(memory=2.0 * GIB, memory_limits=limits, cpus=2.0))}
    assert findings["memory"] == Finding("memory", OK, "2.0 GiB, by cgroup v1 /sys/fs/cgroup/x")
    assert "allows no more of 8" in findings["cpus"].found


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4), st.sampled_from(["", "rc1", ".post1", "+local", "a"]))
def test_versions_are_compared_by_their_numbers(parts: list[int], suffix: str) -> None:
    version = ".".join(map(str, parts)) + suffix
    assert numbers(version)[: len(parts)] == tuple(parts)
    assert numbers(f"{parts[0] + 1}.0") > numbers(version)


def test_the_least_versions_are_those_of_the_package() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for name, least in PACKAGES.items():
        assert set(re.findall(rf'"{name}>=([\d.]+)"', text)) == {least}
