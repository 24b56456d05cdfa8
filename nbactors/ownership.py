"""Checks of the owner and mode of a file or directory, made before the package trusts its content."""

from __future__ import annotations

import os
import stat

ANY_ACCESS = 0o077
"""Mode bits that let other users read, write or enter."""

WRITING = 0o022
"""Mode bits that let other users write. Users who may write to a directory may replace the files in it."""


def problem(found: os.stat_result, denied: int, *, is_file: bool = False, of_root: bool = False) -> str:
    """Return why a directory or file is unsafe, as text such as "is no directory"; empty if it is safe.

    Args:
        found: The result of `fstat` for its descriptor, or of `lstat` for its path, which does not follow a link.
        denied: Mode bits that it must not have.
        is_file: Whether a regular file is expected, rather than a directory.
        of_root: Whether root may own it, too.
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
