"""Which engine a session gets: that of this machine, or that of a Ray cluster."""

from __future__ import annotations

import os
import re

from nbactors.options.checks import kind

VARIABLE = "NBACTORS_ENGINE"
"""The environment variable with the engine of sessions that name none."""

ENGINES = ("local", "ray")
_HERE = (None, "local", "auto")
_CLUSTER = re.compile(r"(ray://)?[^\s/:]+:\d+")


def engine_name(engine: object = None, address: object = None) -> str:
    """Return "local" or "ray". Any thread.

    An address such as `host:6379` or `ray://host:10001` is one of a cluster, so it needs no engine. "auto" and "local"
    mean what the engine takes them for.

    Args:
        engine: The argument of `init`, None if it is not given.
        address: The argument of `init`, None if it is not given.

    Raises:
        TypeError, ValueError: One of them, or the environment variable, is not allowed, or they contradict each other.
    """
    if address is not None and not isinstance(address, str):
        raise TypeError(f"address must be None, 'local', 'auto' or that of a cluster. Got {kind(address)}")
    if engine is not None and not isinstance(engine, str):
        raise TypeError(f"engine must be None, 'local' or 'ray'. Got {kind(engine)}")
    if engine not in (None, *ENGINES):
        raise ValueError(f"engine must be 'local', for this machine, or 'ray', for a Ray cluster. Got: {engine!r}")
    is_cluster = address not in _HERE
    if is_cluster and not _CLUSTER.fullmatch(str(address)):
        raise ValueError(
            f"address={address!r} is no address: give 'host:port' of a Ray cluster, such as 'head.example:6379'; leave "
            "it out for this machine"
        )
    if is_cluster and engine == "local":
        raise ValueError(
            f"address={address!r} is that of a Ray cluster, and engine='local' runs on this machine only: leave one of "
            "them out"
        )
    if is_cluster:
        return "ray"
    found = engine or os.environ.get(VARIABLE) or "local"
    if found not in ENGINES:
        raise ValueError(f"{VARIABLE} must be 'local' or 'ray'. Got: {found!r}")
    return found
