"""`ActorLogs`: what actors of a cluster have written, as files of this machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PREFIX = "nbactors-cluster-logs-"

_YOUNG_S = 60.0
"""Seconds for which a folder is left alone: its session has perhaps not locked it yet."""


class _Log:
    """The log of one process of an actor.

    Attributes:
        pid: The process.
        path: The file.
        position: How much of it is there, as the host counts.
    """

    def __init__(self, pid: int, path: Path) -> None:
        self.pid = pid
        self.path = path
        self.position = 0


class ActorLogs:
    """The logs of a session, in a folder of its own, which it removes at its end. Any thread.

    The session holds a lock on the folder. A session that was killed could not remove its own: the next session that
    makes one finds it unlocked, and removes it.

    A host keeps the end of its output. Each question brings what came since the last one, so a file only grows, and
    stays when its actor has died.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._descriptor = -1
        self._is_closed = False
        self._logs: dict[str, _Log] = {}
        self._earlier: dict[str, Path] = {}

    def paths(self, row: dict[str, Any], since: Callable[[int], tuple[int, str]] | None) -> dict[str, str]:
        """Return `log_path` and `last_log_path` of an actor, empty where there is nothing.

        Args:
            row: The actor's row.
            since: Returns what the actor's host has written from a position on, and the next position; raises
                TimeoutError if it does not answer. None for an actor that has no process.
        """
        actor_id, pid = row["actor_id"], row["pid"]
        with self._lock:
            if self._is_closed:
                return {"log_path": "", "last_log_path": ""}
            log = self._logs.get(actor_id)
            if since is not None and (log is None or log.pid != pid):
                if log is not None:
                    self._earlier[actor_id] = log.path
                log = self._logs[actor_id] = _Log(pid, self._place() / f"{actor_id}-{pid}.log")
            if since is not None and log is not None:
                log.position, text = since(log.position)
                if text:
                    with log.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                        file.write(text)
            found = str(log.path) if log is not None and log.path.exists() else ""
            return {"log_path": found, "last_log_path": str(self._earlier.get(actor_id, ""))}

    def close(self) -> None:
        """Remove all logs. There will be no others."""
        with self._lock:
            self._is_closed = True
            folder, self._folder = self._folder, None
            descriptor, self._descriptor = self._descriptor, -1
            self._logs.clear()
            self._earlier.clear()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)

    def _place(self) -> Path:
        if self._folder is None:
            _remove_left_folders()
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._descriptor = os.open(self._folder, os.O_RDONLY)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self._folder


def _remove_left_folders() -> None:
    """Remove the folders of this user's sessions that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            found = folder.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < _YOUNG_S:
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # it is gone, or no folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its session lives
            pass
        finally:
            os.close(descriptor)
