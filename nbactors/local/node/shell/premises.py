"""The node's folder: locked by the node, and restored when it is removed under the running node.

Cleaners of temporary files, and a logout, remove the folder or files in it. Then sessions would not find the node any
more, and the next session would start another one. So the node checks the folder every `LOOK_S` and creates again what
is gone. If it cannot, it ends with all that runs on it, because no process could find that, either. Sessions and
workers do not check their own sockets: the node sees which are gone, and tells those processes (`ListenAgain`).

- The lock decides which node has the folder: the node that has locked the file that exists now may listen. If two nodes
  create the file again at the same time, one gets the lock.
- A node that starts and finds no lock file looks for a node that has lost it, and lets that node restore the folder.
- systemd-tmpfiles skips locked directories and sockets in use. Other cleaners (macOS) go by the times of files, which
  do not change while a socket or a lock is open: so the node updates these times now and then.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time

from nbactors.local import sockets
from nbactors.local.access import discovery
from nbactors.local.node.shell import journal
from nbactors.local.node.shell.door import Door
from nbactors.local.wire.messages import PROTOCOL_VERSION
from nbactors.ownership import ANY_ACCESS, problem

LOOK_S = 2.0
"""How often, in seconds, the node checks its folder."""

TOUCH_S = 6 * 3600.0
"""How often, in seconds, it updates the times of the files. No cleaner removes files before they are some days old."""

GIVE_UP_S = 10.0
"""How long, in seconds, it tries to create again what is gone."""

_LOCK_WITHIN_S = 8.0
"""How long, in seconds, a new node waits for a node that is just leaving."""

_RETURN_WITHIN_S = 3.0
"""How long, in seconds, a new node waits for a node that has lost its folder to restore it."""

LOOK_NOW = signal.SIGURG
"""The signal that makes a node check its folder at once. Processes without a handler for it ignore it."""


class TakenError(Exception):
    """Another node has the folder now."""


class Premises:
    """The folder of a node.

    Args:
        directory: Its path: the protocol's folder in the runtime directory.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        parent, name = os.path.split(directory)
        self._outer = parent if name == str(PROTOCOL_VERSION) else directory
        self._lock = -1
        self._kept = -1
        self._touch_at = 0.0
        self._failing_since: float | None = None

    def take(self) -> bool:
        """Lock the folder. Return False if another node runs and listens there.

        Raises:
            SystemExit: Another process has the lock, but does not listen.
        """
        path = os.path.join(self.directory, discovery.NODE_LOCK)
        was_there = os.path.exists(path)
        self._lock = _open(path)
        deadline = time.monotonic() + _LOCK_WITHIN_S
        while True:
            if _try_lock(self._lock):
                if was_there or not self._is_taken_back():
                    self._keep()
                    return True
                return False
            if self._listener():
                return False
            if time.monotonic() > deadline:
                raise SystemExit(f"another node holds {path} but does not listen: end it with `nbactors stop`")
            time.sleep(0.01)

    def is_ours(self) -> bool:
        """Return whether this node has locked the folder that exists now."""
        return _is_at(os.path.join(self.directory, discovery.NODE_LOCK), self._lock)

    def look_after(self, door: Door, now: float) -> str:
        """Create again what is gone.

        Args:
            door: The node's socket.
            now: On the monotonic clock.

        Returns:
            Why the node has to end; empty if it need not.
        """
        try:
            self._restore(door)
        except TakenError as error:
            return str(error)
        except OSError as error:
            if self._failing_since is None:
                self._failing_since = now
            if now - self._failing_since < GIVE_UP_S:
                return ""
            return f"{self.directory} was removed and cannot be made anew ({error})"
        self._failing_since = None
        if now >= self._touch_at:
            self._touch_at = now + TOUCH_S
            self._touch()
        return ""

    def _restore(self, door: Door) -> None:
        for path in (self._outer, self.directory, *(os.path.join(self.directory, name) for name in ("p", "s"))):
            _make(path)
        unsafe = problem(os.lstat(self._outer), ANY_ACCESS)
        if unsafe:
            raise PermissionError(f"{self._outer} {unsafe}")
        try:
            _make(os.path.join(self.directory, "logs"))
            journal.renew(self.directory)
        except OSError:  # the node can run without a log
            pass
        if not self.is_ours():
            self._lock_again()
        if not _is_at(self._outer, self._kept):
            self._keep()
        if not door.is_there():
            door.renew()
            journal.note(f"the socket in {self.directory} was removed, and was made anew")

    def _lock_again(self) -> None:
        lock = _open(os.path.join(self.directory, discovery.NODE_LOCK))
        if _try_lock(lock):
            os.close(self._lock)
            self._lock = lock
            return
        os.close(lock)
        other = self._listener()
        if other:
            raise TakenError(f"{self.directory} was removed, and another node (pid {other}) has been started there")
        raise OSError("another process holds the lock")

    def _is_taken_back(self) -> bool:
        """Return whether another node had this folder and has restored it. If not, this node has the lock."""
        from nbactors.local.access import sightings  # noqa: PLC0415 - needed only without a lock file

        if not sightings.may_be_bound(os.path.join(self.directory, discovery.NODE_SOCKET)):
            return False
        home = os.path.realpath(self.directory)
        others = [other.pid for other in sightings.commands() if os.path.realpath(other.directory) == home]
        others = [pid for pid in others if pid != os.getpid()]
        if not others:
            return False
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        for pid in others:
            try:
                os.kill(pid, LOOK_NOW)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + _RETURN_WITHIN_S
        while time.monotonic() < deadline:
            if self._listener():
                return True
            time.sleep(0.005)
        # The other node may hang. When it checks its folder again, it finds this node, and ends.
        return not _try_lock(self._lock)

    def _keep(self) -> None:
        """Lock the runtime directory, so that systemd-tmpfiles skips it."""
        if self._kept >= 0:
            os.close(self._kept)
        self._kept = os.open(self._outer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._kept, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # another process has locked it, or the file system has no locks
            pass

    def _touch(self) -> None:
        """Set the times of all files to now."""
        paths = [self._outer]
        for place, folders, files in os.walk(self.directory):
            paths += [place, *(os.path.join(place, name) for name in (*folders, *files))]
        for path in paths:
            try:
                os.utime(path, follow_symlinks=False)
            except OSError:
                continue

    def _listener(self) -> int:
        """Return the pid of the process that listens as this folder's node, 0 if none does."""
        try:
            with sockets.connect(os.path.join(self.directory, discovery.NODE_SOCKET), 1.0) as sock:
                return sockets.peer_pid(sock) or -1
        except OSError:
            return 0


def _make(path: str) -> None:
    if not os.path.isdir(path):
        os.makedirs(path, mode=0o700, exist_ok=True)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: str, descriptor: int) -> bool:
    """Return whether a path leads to an open file."""
    found = os.fstat(descriptor)
    return sockets.identity(path) == (found.st_dev, found.st_ino)
