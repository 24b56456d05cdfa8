"""Whose a file or directory is, and who else may change it: asked before anything in it is trusted."""

from __future__ import annotations

import os
import stat

ANY_ACCESS = 0o077
"""Mode bits that let others read, write or enter."""

WRITING = 0o022
"""Mode bits that let others write: in a directory, put another file in the place of one that is there."""


def problem(found: os.stat_result, denied: int, *, is_file: bool = False, of_root: bool = False) -> str:
    """Return what makes a directory or file unsafe; empty if nothing does.

    Args:
        found: What `fstat` says of its descriptor, or `lstat` of its path: of a link itself, not of its target.
        denied: Mode bits that it must not have.
        is_file: Whether it should be a regular file, and not a directory.
        of_root: Whether it may belong to root as well.
    """
    mode, own = found.st_mode, os.getuid()
    if stat.S_ISLNK(mode):
        return "is a symbolic link"
    if not (stat.S_ISREG(mode) if is_file else stat.S_ISDIR(mode)):
        return "is no regular file" if is_file else "is no directory"
    if found.st_uid != own and not (of_root and found.st_uid == 0):
        return f"belongs to user id {found.st_uid}, not to {own}"
    if mode & denied:
        what = "may be written by others" if denied == WRITING else "is open to others"
        return f"{what} (mode {stat.S_IMODE(mode):o})"
    return ""
