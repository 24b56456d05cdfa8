"""Text files that the user has named. An error says why a file cannot be written, and what to do."""

from __future__ import annotations

import errno
import os

_REMEDIES = {
    errno.EACCES: "you may not write there: give a path in a folder of yours",
    errno.EPERM: "you may not write there: give a path in a folder of yours",
    errno.EROFS: "its file system is read-only: give a path on another one",
    errno.ENOSPC: "the disk is full: free some space, or give a path on another one",
    errno.EISDIR: "it is a folder: give the path of a file in it",
}


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write a file, in place of one that is there. Blocks. Any thread.

    Raises:
        OSError: The file cannot be written. It is of the kind that `open` raises.
    """
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _explained(os.fspath(path), error) from None


def check_folder(path: str | os.PathLike[str]) -> None:
    """Check that the folder of a file that will be written is there.

    Raises:
        OSError: It is not. The error is that of `write`.
    """
    folder = os.path.dirname(os.fspath(path)) or "."
    try:
        os.stat(os.path.join(folder, ""))
    except OSError as error:
        raise _explained(os.fspath(path), error) from None


def _explained(path: str, error: OSError) -> OSError:
    folder = os.path.dirname(path) or "."
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and not os.path.isdir(folder):
        reason = f"there is no folder {folder!r}: create it, or give another path"
    else:
        reason = _REMEDIES.get(error.errno or 0) or f"{error.strerror or error}: give another path"
    told = type(error)(f"{path!r} cannot be written, since {reason}.")
    told.errno = error.errno
    return told
