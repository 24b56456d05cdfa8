"""Asks the nodes of a cluster what they have."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import ray

from nbactors.cluster.preflight.fitness import Report

PROBE_S = 60.0
"""Seconds in which a node answers, the start of a worker included."""

LOOK_S = 0.2
"""Seconds of one wait, after which it is asked whether anybody still needs the answers."""

_OURS = frozenset({"nbactors", "ray", "ipython"})


def imported(namespace: Mapping[str, Any]) -> list[str]:
    """Return the names of the installed packages that a notebook's or script's names come from.

    Args:
        namespace: The names of `__main__`.
    """
    modules = {
        value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None) or ""
        for value in list(namespace.values())
    }
    tops = {name.partition(".")[0] for name in modules}
    found = importlib.metadata.packages_distributions()
    names = {package for top in tops for package in found.get(top, ())}
    return sorted(name for name in names if name.lower() not in _OURS)


def driver(packages: Sequence[str]) -> Report:
    """Return the report of this process."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return Report("", platform.python_version(), ray.__version__, versions, {})


def nodes(
    packages: Sequence[str], timeout: float = PROBE_S, is_over: Callable[[], bool] = lambda: False
) -> list[Report]:
    """Return the reports of the living nodes that answer in time. Blocks; this process is connected to Ray.

    Args:
        packages: The packages whose versions are asked for.
        timeout: Seconds to wait at most.
        is_over: Tells that nobody needs the answers any more.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415 - few sessions need it

    probe = ray.remote(num_cpus=0, max_retries=0)(_probe_by_value())
    living = [node for node in ray.nodes() if node["Alive"]]
    asked = {
        probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            list(packages)
        ): node
        for node in living
    }
    ready: list[Any] = []
    deadline = monotonic() + timeout
    while asked and len(ready) < len(asked) and monotonic() < deadline and not is_over():
        ready = ray.wait(list(asked), num_returns=len(asked), timeout=LOOK_S)[0]
    found = []
    for ref in ready:
        node = asked[ref]
        try:
            python, version, versions = ray.get(ref)
        except ray.exceptions.RayError:  # the node is about to leave
            continue
        found.append(Report(node["NodeManagerAddress"], python, version, versions, node["Resources"]))
    return found


def _probe_by_value() -> Any:
    """Return the function of the probe. Made here, so that it travels by value and needs nothing on the node."""

    def probe(names: list[str]) -> tuple[str, str, dict[str, str | None]]:
        import importlib.metadata as metadata  # noqa: PLC0415 - it runs elsewhere
        import platform as here  # noqa: PLC0415 - as above

        import ray as installed  # noqa: PLC0415 - as above

        versions: dict[str, str | None] = {}
        for name in names:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                versions[name] = None
        return here.python_version(), installed.__version__, versions

    return probe


def main_namespace() -> Mapping[str, Any]:
    """Return the names of `__main__`."""
    return vars(sys.modules["__main__"])
