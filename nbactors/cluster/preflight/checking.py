"""The preflight of `init`, and that of `nbactors doctor --cluster`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ray

from nbactors import exceptions
from nbactors.cluster.common.reachable import check_reachable
from nbactors.cluster.preflight import probing
from nbactors.cluster.preflight.fitness import Misfit, Report, misfits


class Check(NamedTuple):
    """The result of a preflight.

    Attributes:
        nodes: The reports of the nodes that have answered.
        silent: How many living nodes have not.
        misfits: What does not fit.
    """

    nodes: list[Report]
    silent: int
    misfits: list[Misfit]


def check_session(runtime_env: Mapping[str, Any], is_over: Callable[[], bool]) -> list[Misfit]:
    """Return what does not fit between this session and its cluster. Blocks for the start of a worker on each node.

    Args:
        runtime_env: That of the session, as the user has given it.
        is_over: Tells that the session ends.
    """
    packages = probing.imported(probing.main_namespace())
    return misfits(probing.driver(packages), probing.nodes(packages, is_over=is_over), runtime_env)


def check_cluster(address: str, timeout: float = probing.PROBE_S) -> Check:
    """Join a cluster, ask its nodes, and leave it. Blocks. Not in a process that is connected to Ray.

    Raises:
        RaySystemError: No cluster answers at the address, or its versions are not those of this environment.
    """
    check_reachable(address)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise exceptions.RaySystemError(f"the cluster at {address!r} cannot be joined: {error}") from error
    try:
        living = sum(bool(node["Alive"]) for node in ray.nodes())
        found = probing.nodes((), timeout)
        return Check(found, living - len(found), misfits(probing.driver(()), found, {}))
    finally:
        ray.shutdown()
