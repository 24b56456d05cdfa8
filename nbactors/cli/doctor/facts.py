"""`Facts`: what the checks are made of. `gathering.py` collects them; tests make them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Facts about this machine and this installation.

    Attributes:
        python: The version of Python.
        executable: The path of its interpreter.
        version: The version of nbactors.
        packages: The versions of the installed packages of the notebook, by their names.
        nodes: Rows of `nbactors.util.state.list_nodes`.
        nodes_problem: Why the nodes cannot be listed; empty if they can.
        limits: The soft limits of this process ("files", "processes", "address_space"); None for no limit.
        open_files_hard: The hard limit of open files, to which nbactors raises the soft one; None for no limit.
        surroundings: As of `nbactors.util.surroundings.surroundings`.
        selinux: Whether SELinux enforces its rules; None without SELinux.
        platform: As `sys.platform`.
        why_not_compiled: Why the path of a call is not compiled here; empty if it is.
    """

    python: tuple[int, int, int]
    executable: str
    version: str
    packages: dict[str, str]
    surroundings: dict[str, Any]
    nodes: list[dict[str, Any]] = field(default_factory=list)
    nodes_problem: str = ""
    limits: dict[str, int | None] = field(default_factory=dict)
    open_files_hard: int | None = None
    selinux: bool | None = None
    platform: str = "linux"
    why_not_compiled: str = ""
