"""Copies directories of a runtime_env that has "excludes" into the user's cache, without the excluded files."""

from __future__ import annotations

import glob
import os
import shutil
from time import monotonic

from nbactors.exceptions import RuntimeEnvSetupError
from nbactors.local.packages import cache
from nbactors.local.packages.archives import TIMEOUT_S
from nbactors.runtime_env import excluding


def without(directory: str, patterns: tuple[str, ...]) -> str:
    """Return a copy of a directory, of the same name, without excluded files; copy it if it has changed since.

    Blocks. Any thread.

    Raises:
        RuntimeEnvSetupError: The directory cannot be read.
    """
    cached = os.path.relpath(os.path.realpath(cache.root()), os.path.realpath(directory))
    if not cached.startswith(os.pardir):  # the copy would contain itself, as in a home directory
        patterns = (*patterns, f"/{glob.escape(cached)}")
    try:
        mark = excluding.mark_of(directory, patterns)
    except OSError as error:
        raise RuntimeEnvSetupError(f"{error.filename} cannot be read ({error.strerror}).") from error
    place = os.path.join(cache.root(), "copies", cache.key_of([os.path.realpath(directory), patterns, mark]))
    # Of the same name, as a package is imported by it, and beside the cache's mark.
    content = os.path.join(place, "content", os.path.basename(directory))

    def fill(_lock: int) -> None:
        os.makedirs(content)
        try:
            for entry in excluding.remaining(directory, patterns):
                target = os.path.join(content, os.path.relpath(entry.path, directory))
                if entry.is_dir():
                    os.mkdir(target)
                elif entry.is_file():  # neither a socket nor a link that leads nowhere
                    shutil.copy2(entry.path, target)
        except OSError as error:
            raise RuntimeEnvSetupError(f"{directory} cannot be copied without its excludes: {error}") from error

    cache.make(place, fill, monotonic() + TIMEOUT_S, lambda text: None)
    return content
