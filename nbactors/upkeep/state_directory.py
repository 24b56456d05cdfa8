"""The directory of nbactors' state, entered so that nobody else can put anything in the place of what lies there.

What is unpickled runs as this user, so it must be this user's, whatever others can do meanwhile:

- Each directory is opened within the one before, by descriptor, and its descriptor is looked at. What was checked is
  thus what is used, even if somebody renames a directory between the two.
- The directories that nbactors makes, and the files, belong to this user, and others may not write them. A link is
  never followed there. A second name of a file (a hard link) changes neither its owner nor its mode.
- The state directory, which the user may name, belongs to this user or root, and others may write it only if it is
  sticky, as /tmp is.
- Above it anybody may own and write directories, as the group of a project does. Others can hide this user's state
  there, or give its name to another directory of this user; what they make themselves is theirs, and so refused. Only
  a link of theirs is not followed, since it leads wherever they want.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque

from nbactors.ownership import WRITING, problem

LEVELS = 3
"""How many directories lie between the state directory and a file: what kind of state, the namespace, the name."""

_MAX_LINKS = 40
_REMEDY = (
    "Make it yours alone (chown, chmod go-w) if you trust what is in it, or set NBACTORS_STATE_DIR to a directory of "
    "your own"
)
_HAS_PATHS = hasattr(os, "O_PATH")
_LOOK = os.O_CLOEXEC | os.O_NONBLOCK
_LOOK |= (os.O_PATH | os.O_NOFOLLOW) if _HAS_PATHS else (os.O_RDONLY | getattr(os, "O_SYMLINK", os.O_NOFOLLOW))
"""Opens a link itself, and never waits for a pipe. Where there is O_PATH, also what may be entered and not read."""


def open_place(path: str, *, make: bool = False) -> int:
    """Return a descriptor of a directory `LEVELS` below the state directory. The caller closes it.

    Args:
        path: Its path.
        make: Whether directories that are missing are made, for this user alone.

    Raises:
        FileNotFoundError: It is missing.
        PermissionError: It, or one above it, is not safe; the text says which, why, and what helps.
        OSError: It cannot be entered or made.
    """
    walk = _Walk(path, make)
    try:
        while walk.rest:
            walk.step()
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walk.here)
    finally:
        os.close(walk.here)


def open_file(place: int, path: str) -> int:
    """Return a descriptor to read a file of a directory that `open_place` has opened. The caller closes it.

    Args:
        place: The directory.
        path: The file's whole path.

    Raises:
        PermissionError: It is not this user's alone; the text says why, and what helps.
        OSError: It cannot be opened.
    """
    name = os.path.basename(path)
    try:
        # Not blocking: a pipe would be waited for.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    except OSError as error:
        if error.errno != errno.ENOENT:
            _refuse(path, problem(os.stat(name, dir_fd=place, follow_symlinks=False), WRITING, is_file=True))
        raise type(error)(error.errno, error.strerror, path) from None
    try:
        _refuse(path, problem(os.fstat(descriptor), WRITING, is_file=True))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create_file(place: int, name: str) -> int:
    """Return a descriptor to write a new file of this user alone, whatever the umask. The caller closes it."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place)
    os.fchmod(descriptor, 0o600)
    return descriptor


class _Walk:
    """A way down from the root, one directory at a time.

    Attributes:
        here: A descriptor of the directory that was reached.
        rest: The names that are still to be entered.
    """

    def __init__(self, path: str, make: bool) -> None:
        self._whole = path
        self._make = make
        self._links = 0
        self._path = "/"
        # Not abspath: what `..` means after a link is for the system to say.
        self.rest = deque(_parts(path if path.startswith("/") else os.path.join(os.getcwd(), path)))
        self.here = os.open("/", _LOOK)

    def step(self) -> None:
        """Enter the next directory, or put in place of a link what it leads to."""
        name = self.rest.popleft()
        path = os.path.join(self._path, name)
        opened = self._open(name, path)
        try:
            found = os.fstat(opened)
            left = len(self.rest)
            if stat.S_ISLNK(found.st_mode) and left >= LEVELS:
                self._follow(opened, name, path, found.st_uid)
                return
            if left < LEVELS:
                _refuse(path, problem(found, WRITING))
            elif left == LEVELS:
                _refuse(path, problem(found, 0 if found.st_mode & stat.S_ISVTX else WRITING, of_root=True))
            self.here, opened, self._path = opened, self.here, path
        finally:
            os.close(opened)

    def _open(self, name: str, path: str) -> int:
        try:
            try:
                return os.open(name, _LOOK, dir_fd=self.here)
            except FileNotFoundError:
                if not self._make:
                    raise
            try:
                os.mkdir(name, 0o700, dir_fd=self.here)
            except FileExistsError:  # another process of this user has made it
                return os.open(name, _LOOK, dir_fd=self.here)
            if os.stat(name, dir_fd=self.here, follow_symlinks=False).st_mode & 0o700 != 0o700:
                os.chmod(name, 0o700, dir_fd=self.here)  # the umask takes from the owner, too
            return os.open(name, _LOOK, dir_fd=self.here)
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        except OSError as error:
            what = "made" if self._make and not os.path.lexists(path) else "entered"
            raise type(error)(
                f"{path!r}, where state is kept, cannot be {what} ({error.strerror}): set NBACTORS_STATE_DIR to a "
                "directory of your own that you may write to"
            ) from None

    def _follow(self, link: int, name: str, path: str, owner: int) -> None:
        if owner not in (os.getuid(), 0):
            _refuse(path, f"is a symbolic link of user id {owner}, not of {os.getuid()}")
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._whole)
        # The link that was looked at. Where a descriptor cannot name it, the one that now has its name.
        target = os.readlink("", dir_fd=link) if _HAS_PATHS else os.readlink(name, dir_fd=self.here)
        self.rest.extendleft(reversed(_parts(target)))
        if target.startswith("/"):
            root = os.open("/", _LOOK)
            os.close(self.here)
            self.here, self._path = root, "/"


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _refuse(path: str, what: str) -> None:
    if what:
        raise PermissionError(
            f"{path!r} {what}, and what is saved there could be replaced by others, whose code would run when it is "
            f"read. {_REMEDY}"
        )
