"""Safe access to the directory of nbactors' state: other users cannot replace the files that this module opens.

Unpickling a file runs code as this user. So only this user may have written the file, whatever other users do at the
same time:

- Each directory is opened relative to its parent's descriptor, and its own descriptor is checked. So the checked
  directory is the used one, even if another user renames directories between check and use.
- The directories that nbactors creates, and the files, belong to this user, and other users may not write to them. No
  link is followed there. A second name of a file (a hard link) changes neither its owner nor its mode.
- The state directory, whose path the user may choose, belongs to this user or root. Other users may write to it only if
  it is sticky, as /tmp is.
- Directories above it may belong to anybody and be writable for anybody, such as a project's group. There other users
  can hide this user's state, or give its name to another directory of this user. Directories that they create belong to
  them, and are refused. Links of other users are not followed, since they could lead anywhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque

from nbactors.ownership import WRITING, problem

LEVELS = 3
"""Number of directories between the state directory and a file: the kind of state, the namespace and the name."""

_MAX_LINKS = 40
_REMEDY = (
    "Make it yours alone (chown, chmod go-w) if you trust what is in it, or set NBACTORS_STATE_DIR to a directory of "
    "your own"
)
_HAS_PATHS = hasattr(os, "O_PATH")
_OPEN_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_OPEN_FLAGS |= (os.O_PATH | os.O_NOFOLLOW) if _HAS_PATHS else (os.O_RDONLY | getattr(os, "O_SYMLINK", os.O_NOFOLLOW))
"""Flags that open a link itself, and never wait for a pipe. O_PATH also opens directories without read permission."""


def open_place(path: str, *, make: bool = False) -> int:
    """Return a descriptor of a directory `LEVELS` below the state directory. The caller closes it. Any thread.

    Args:
        path: The directory's path.
        make: Whether missing directories are created, accessible to this user only.

    Raises:
        FileNotFoundError: The directory is missing.
        PermissionError: A directory on the path is unsafe; the text says which, why, and what helps.
        OSError: A directory cannot be entered or created.
    """
    walk = _Walk(path, make)
    try:
        while walk.rest:
            walk.step()
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walk.here)
    finally:
        os.close(walk.here)


def open_file(place: int, path: str) -> int:
    """Return a descriptor for reading a file. The caller closes it. Any thread.

    Args:
        place: The descriptor of the file's directory, from `open_place`.
        path: The file's absolute path.

    Raises:
        PermissionError: Other users could have written the file; the text says why, and what helps.
        OSError: The file cannot be opened.
    """
    name = os.path.basename(path)
    try:
        # O_NONBLOCK: if the file is a pipe, `open` would wait for a writer.
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
    """Return a descriptor for writing a new file with mode 0600, whatever the umask. The caller closes it."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place)
    os.fchmod(descriptor, 0o600)
    return descriptor


class _Walk:
    """The walk from the root down a path, one directory at a time.

    Attributes:
        here: A descriptor of the directory that was reached.
        rest: The names of the remaining directories.
    """

    def __init__(self, path: str, make: bool) -> None:
        self._whole = path
        self._make = make
        self._links = 0
        self._path = "/"
        # Not abspath, which would remove `..` from the path; after a link `..` is the parent of the link's target.
        self.rest = deque(_parts(path if path.startswith("/") else os.path.join(os.getcwd(), path)))
        self.here = os.open("/", _OPEN_FLAGS)

    def step(self) -> None:
        """Enter the next directory. If the next name is a link, replace it by the parts of the link's target."""
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
                return os.open(name, _OPEN_FLAGS, dir_fd=self.here)
            except FileNotFoundError:
                if not self._make:
                    raise
            try:
                os.mkdir(name, 0o700, dir_fd=self.here)
            except FileExistsError:  # another process of this user has created the directory
                return os.open(name, _OPEN_FLAGS, dir_fd=self.here)
            if os.stat(name, dir_fd=self.here, follow_symlinks=False).st_mode & 0o700 != 0o700:
                os.chmod(name, 0o700, dir_fd=self.here)  # a umask may remove the owner's permissions, too
            return os.open(name, _OPEN_FLAGS, dir_fd=self.here)
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
        # This reads the checked link by its descriptor. Without O_PATH it reads the link that has the name now.
        target = os.readlink("", dir_fd=link) if _HAS_PATHS else os.readlink(name, dir_fd=self.here)
        self.rest.extendleft(reversed(_parts(target)))
        if target.startswith("/"):
            root = os.open("/", _OPEN_FLAGS)
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
