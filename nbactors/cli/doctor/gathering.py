"""Collects the facts of `nbactors doctor`. Starts no node; imports none of the packages that it looks for."""

from __future__ import annotations

import resource
import sys
from importlib import metadata
from typing import Any

from nbactors import speedups
from nbactors.cli.doctor.facts import Facts
from nbactors.cli.doctor.rules import PACKAGES
from nbactors.util.state import list_nodes
from nbactors.util.surroundings import surroundings
from nbactors.version import __version__

_SELINUX = "/sys/fs/selinux/enforce"


def gather() -> Facts:
    """Return the facts. Blocks for some tenths of a second, or a few seconds if a node does not answer."""
    found = surroundings()
    nodes, problem = _nodes()
    return Facts(
        python=sys.version_info[:3],
        executable=sys.executable,
        version=__version__,
        packages=_packages(),
        surroundings=found,
        nodes=nodes,
        nodes_problem=problem,
        limits={
            "files": _limit(resource.RLIMIT_NOFILE, 0),
            "processes": _limit(resource.RLIMIT_NPROC, 0),
            "address_space": _limit(resource.RLIMIT_AS, 0),
        },
        open_files_hard=_limit(resource.RLIMIT_NOFILE, 1),
        selinux=_selinux(),
        platform=sys.platform,
        why_not_compiled=speedups.why_not,
    )


def _nodes() -> tuple[list[dict[str, Any]], str]:
    try:
        return [dict(row) for row in list_nodes(everywhere=True)], ""
    except OSError as error:
        return [], str(error)


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _limit(kind: int, which: int) -> int | None:
    value = resource.getrlimit(kind)[which]
    return None if value == resource.RLIM_INFINITY else value


def _selinux() -> bool | None:
    try:
        with open(_SELINUX) as file:
            return file.read().strip() == "1"
    except OSError:
        return None
