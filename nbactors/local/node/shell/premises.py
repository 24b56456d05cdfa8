"""The node's folder: taken by a lock, and looked after while the node lives.

Cleaners of temporary files and a logout remove it, or what lies in it, under the living node. Then no session would
find the node any more, and the next would start another. So the node looks every `LOOK_S`, and makes anew what is gone.
Where it cannot, it ends with all that runs on it, since nobody could find that either. Sessions and workers do not look
for themselves: the node sees with one look whose sockets are gone, and tells those (`ListenAgain`).

- The lock names the one node of a folder. Whoever has the lock of the file that is there now may listen; of two nodes
  that look for a removed one at the same time, one gets it.
- A node that starts where there was no lock yet looks for one that has lost it: it lets that one have the folder back.
- systemd-tmpfiles leaves alone what lies in a locked directory, and sockets that are listened on. Others (macOS) go by
  the times of files, which an open socket's or lock's would keep for ever: so they are set anew now and then.
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
"""How often the node looks after its folder."""

TOUCH_S = 6 * 3600.0
"""How often it sets the times of the files; the most eager cleaners remove what is some days old."""

GIVE_UP_S = 10.0
"""How long it tries to make anew what is gone."""

_LOCK_WITHIN_S = 8.0
"""What a new node waits for the one that is just leaving."""

_RETURN_WITHIN_S = 3.0
"""What a new node waits for the one that has lost its folder to take it back."""

LOOK_NOW = signal.SIGURG
"""Has the node look at once. Processes that do not know it ignore this signal."""


class TakenError(Exception):
    """Another node has the folder now."""


class Premises:
    """A node's folder.

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
        self._in_vain_since: float | None = None

    def take(self) -> bool:
        """Become the one node of the folder. Returns False if another node lives and listens.

        Raises:
            SystemExit: Another one has the lock, but does not listen.
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
        """Return whether this node has the folder that is there now."""
        return _is_at(os.path.join(self.directory, discovery.NODE_LOCK), self._lock)

    def look_after(self, door: Door, now: float) -> str:
        """Make anew what is gone.

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
            if self._in_vain_since is None:
                self._in_vain_since = now
            if now - self._in_vain_since < GIVE_UP_S:
                return ""
            return f"{self.directory} was removed and cannot be made anew ({error})"
        self._in_vain_since = None
        if now >= self._touch_at:
            self._touch_at = now + TOUCH_S
            self._touch()
        return ""

    def _restore(self, door: Door) -> None:
        for path in (self._outer, self.directory, os.path.join(self.directory, "p")):
            _make(path)
        unsafe = problem(os.lstat(self._outer), ANY_ACCESS)
        if unsafe:
            raise PermissionError(f"{self._outer} {unsafe}")
        try:
            _make(os.path.join(self.directory, "logs"))
            journal.renew(self.directory)
        except OSError:  # it can do without
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
        """Return whether another node has had this folder, and has it now. Else this one has the lock."""
        from nbactors.local.access import sightings  # noqa: PLC0415 - needed only where there is no lock yet

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
        # It hangs, perhaps. When it looks around again it finds this one, and ends.
        return not _try_lock(self._lock)

    def _keep(self) -> None:
        """Have systemd-tmpfiles leave the runtime directory alone."""
        if self._kept >= 0:
            os.close(self._kept)
        self._kept = os.open(self._outer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._kept, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # somebody holds it for himself; or the file system knows no such locks
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
        """Return the process that listens as the folder's node, 0 if none does."""
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
