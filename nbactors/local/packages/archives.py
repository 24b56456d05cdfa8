"""Unpacks .zip files of a runtime_env into the user's cache."""

from __future__ import annotations

import os
import zipfile
from time import monotonic

from nbactors.exceptions import RuntimeEnvSetupError
from nbactors.local.packages import cache

TIMEOUT_S = 600.0
"""Limit in seconds of the wait for another process that unpacks the same file."""


def unpacked(path: str) -> str:
    """Return the directory with the content of a .zip file; unpack it if it has changed since. Blocks. Any thread.

    Raises:
        RuntimeEnvSetupError: The file cannot be read, is no .zip file, or has members that would lie elsewhere.
    """
    try:
        facts = os.stat(path)
    except OSError as error:
        raise RuntimeEnvSetupError(f"{path} cannot be read ({error.strerror}).") from error
    place = os.path.join(
        cache.root(), "archives", cache.key_of([os.path.realpath(path), facts.st_size, facts.st_mtime_ns])
    )

    content = os.path.join(place, "content")  # a directory without the cache's mark

    def fill(_lock: int) -> None:
        os.mkdir(content)
        try:
            with zipfile.ZipFile(path) as file:
                for member in file.infolist():
                    # `extract` drops what leads out of the directory; the mode is what it forgets.
                    made = file.extract(member, content)
                    mode = member.external_attr >> 16 & 0o777
                    if mode and not member.is_dir():
                        os.chmod(made, mode | 0o600)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise RuntimeEnvSetupError(f"{path} cannot be unpacked: {error}. Make the .zip file anew.") from error

    cache.make(place, fill, monotonic() + TIMEOUT_S, lambda text: None)
    return content
