"""The detected resources of the machine; the tests hold on any machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbactors.local import cgroups
from nbactors.local.node.shell import machine


def test_cpus_and_memory_do_not_exceed_the_machine() -> None:
    assert 1 <= machine.cpus() <= (os.cpu_count() or 1)
    assert 0 < cgroups.memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_affinity_limits_the_cpus() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert machine.cpus() == 1.0
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        pytest.param({"cpu.max": "150000 100000", "memory.max": "1000"}, 2.0, 1000.0, id="limits"),
        pytest.param({"cpu.max": "50000 100000"}, 1.0, None, id="half a CPU"),
        pytest.param({"cpu.max": "max 100000", "memory.max": "max"}, None, None, id="no limits"),
        pytest.param({}, None, None, id="no files"),
        pytest.param({"cpu.max": "nonsense", "memory.max": "nonsense"}, None, None, id="nonsense"),
    ],
)
def test_the_limits_of_a_cgroup_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], cpus: float | None, memory: float | None
) -> None:
    monkeypatch.setattr(cgroups, "_CGROUP", str(tmp_path / "none"))
    unlimited_cpus, unlimited_memory = machine.cpus(), cgroups.memory()
    monkeypatch.setattr(cgroups, "_CGROUP", str(tmp_path))
    monkeypatch.setattr(cgroups, "own_cgroups", lambda controller: [] if controller else [str(tmp_path)])
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert machine.cpus() == min(unlimited_cpus, cpus or unlimited_cpus)
    assert cgroups.memory() == min(unlimited_memory, memory or unlimited_memory)


def test_gpus_are_numbered_by_pci_address_and_identified_by_uuid(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for place, uuid in (("0000:41:00.0", "GPU-bb"), ("0000:01:00.0", "GPU-aa"), ("0000:61:00.0", "GPU-??")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "information").write_text(f"Model: \t\t NVIDIA L4\nGPU UUID: \t {uuid}\n")
    monkeypatch.setattr(machine, "_PROC_GPUS", str(tmp_path))
    assert [(gpu.index, gpu.uuid) for gpu in machine.gpus()] == [("0", "GPU-aa"), ("1", "GPU-bb"), ("2", "")]
    assert {gpu.model for gpu in machine.gpus()} == {"NVIDIA L4"}


def test_without_driver_files_nvidia_smi_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_PROC_GPUS", str(tmp_path / "none"))
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, GPU-aa, NVIDIA L4'\necho '1, GPU-bb, NVIDIA L4'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = [(gpu.index, gpu.uuid, gpu.model) for gpu in machine.gpus()]
    assert found == [("0", "GPU-aa", "NVIDIA L4"), ("1", "GPU-bb", "NVIDIA L4")]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert machine.gpus() == []
