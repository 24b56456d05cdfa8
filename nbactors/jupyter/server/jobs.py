"""`Jobs`: which notebook or script each session belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import psutil

from nbactors.util import state

_CONNECTION_FILE = re.compile(r"kernel-([0-9a-f-]{36})\.json$")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What a notebook is called until its page has told the server its path, and a console as long as it lives."""

_KERNEL, _SCRIPT = "kernel", "script"


class Jobs:
    """The jobs of the node's sessions, by id. Used by one thread at a time.

    A kernel's process tells its kernel's id in its command line, so kernels of any server of this user are known. The
    path of a notebook may change, so the present server is asked for it.

    Args:
        paths: Returns the path of the notebook of each kernel of this server, by the kernel's id.
    """

    def __init__(self, paths: Callable[[], dict[str, str]]) -> None:
        self._paths = paths
        self._drivers: dict[str, int] = {}
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, ids: set[str]) -> dict[str, dict[str, Any]]:
        """Return a row for each of these jobs: `title`, `path`, `kernel_id`, `pid` and `is_alive`."""
        wanted = ids - {""}
        if not wanted <= self._drivers.keys():
            drivers = state.list_jobs(limit=state.MANY)
            self._drivers.update((row["job_id"], int(row["driver_info"]["pid"])) for row in drivers)
            for job_id in wanted:
                self._drivers.setdefault(job_id, 0)  # it has ended already
        self._drivers = {job_id: pid for job_id, pid in self._drivers.items() if job_id in wanted}
        self._known = {job_id: self._known[job_id] for job_id in wanted if job_id in self._known}
        paths = self._paths()
        rows = {}
        for job_id in sorted(wanted):
            known = self._known.get(job_id)
            if known is None:
                known = self._known[job_id] = _about(self._drivers[job_id])
            path = paths.get(known["kernel_id"], "")
            title = _name_in(path) or known["title"]
            rows[job_id] = {**known, "path": path, "title": title, "is_alive": psutil.pid_exists(known["pid"])}
        return rows


def _about(pid: int) -> dict[str, Any]:
    """Return what a process tells about its notebook or script."""
    try:
        process = psutil.Process(pid)
        command, environ = process.cmdline(), process.environ()
    except (psutil.Error, OSError):  # it has ended, or the system denies access
        return {"title": f"process {pid}" if pid else "an ended session", "kernel_id": "", "pid": pid}
    found = [match.group(1) for part in command if (match := _CONNECTION_FILE.search(part))]
    notebook = _name_in(environ.get("JPY_SESSION_NAME", ""))
    scripts = [os.path.basename(part) for part in command[1:] if part.endswith(".py")]
    title = scripts[0] if scripts else f"{_KERNEL if found else _SCRIPT} (pid {pid})"
    return {"title": notebook if found and notebook else title, "kernel_id": found[0] if found else "", "pid": pid}


def _name_in(path: str) -> str:
    """Return a notebook's name, empty where the path is only an id."""
    name = os.path.basename(path)
    return "" if _ID.fullmatch(name) else name
