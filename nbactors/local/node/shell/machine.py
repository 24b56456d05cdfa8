"""The resources of the machine that this process may use."""

from __future__ import annotations

import os

from nbactors.local import cgroups
from nbactors.local.node.rules.gpus import Gpu

_PROC_GPUS = "/proc/driver/nvidia/gpus"


def cpus() -> float:
    """Return the number of CPUs that the scheduler lets this process use, or a cgroup's quota if that is less."""
    try:
        usable = float(len(os.sched_getaffinity(0)))
    except AttributeError:  # not on Linux
        usable = float(os.cpu_count() or 1)
    quotas = [quota for quota in (_quota_v2(path) for path in cgroups.own_cgroups("")) if quota]
    quotas += [quota for quota in (_quota_v1(path) for path in cgroups.own_cgroups("cpu")) if quota]
    # Rounded up, as in Ray and Java: half a CPU still runs one worker.
    return max(1.0, min([usable, *(float(-(-quota // 1)) for quota in quotas)]))


def gpus() -> list[Gpu]:
    """Return the GPUs, in the order of their PCI addresses. May take long where only nvidia-smi knows them."""
    try:
        places = sorted(os.listdir(_PROC_GPUS))
    except OSError:
        return _gpus_by_tool()
    facts = [_facts(os.path.join(_PROC_GPUS, place, "information")) for place in places]
    return [Gpu(str(index), found.get("GPU UUID", ""), found.get("Model", "")) for index, found in enumerate(facts)]


def _facts(path: str) -> dict[str, str]:
    """Return what the driver tells of a GPU, by its words for it, without what it does not know."""
    pairs = (line.split(":", 1) for line in cgroups.read(path).splitlines() if ":" in line)
    return {label.strip(): value.strip() for label, value in pairs if "?" not in value}


def _gpus_by_tool() -> list[Gpu]:
    """Ask nvidia-smi, if it is installed: under WSL the driver has no files in /proc."""
    tool = next((path for path in _tool_places() if os.access(path, os.X_OK)), None)
    if tool is None:
        return []
    import subprocess  # noqa: PLC0415 - few machines need it

    command = [tool, "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(",") for line in answer.splitlines() if line.count(",") == 2]
    return [Gpu(*(field.strip() for field in row)) for row in rows]


def _tool_places() -> list[str]:
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/lib/wsl/lib"]
    return [os.path.join(place, "nvidia-smi") for place in places if place]


def _quota_v2(path: str) -> float:
    quota, _, period = cgroups.read(os.path.join(path, "cpu.max")).strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else 0.0


def _quota_v1(path: str) -> float:
    quota = cgroups.number(os.path.join(path, "cpu.cfs_quota_us"))
    period = cgroups.number(os.path.join(path, "cpu.cfs_period_us"))
    return quota / period if quota > 0 and period > 0 else 0.0
