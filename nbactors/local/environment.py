"""What a session's workers share with it: variables, paths, interpreter and runtime_env."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from nbactors.local import installation
from nbactors.local.wire import messages, os_bytes

if TYPE_CHECKING:
    from nbactors.runtime_env import RuntimeEnv


class Environment:
    """The environment of one session or worker, as it is told to the node.

    Attributes:
        inherited: The session's runtime_env, or in a worker its own; children get it too.
    """

    def __init__(self) -> None:
        self.inherited: RuntimeEnv | None = None
        self._told: tuple[list[str], str] = ([], "")

    def tell_paths(self) -> None:
        """Remember the paths as they are now: the forkserver was started with them."""
        self._told = (importable_paths(), working_directory())

    def of_session(self) -> messages.Environment:
        """Return what this session's workers must share with it, and remember it for `changed_paths`.

        Raises:
            OSError: The environment variables are too long to be sent, and much too long to start a program with.
        """
        self.tell_paths()
        return installation.environment(*self._told)

    def changed_paths(self) -> tuple[list[bytes], bytes]:
        """Return `sys.path` and the working directory as they are now if they have changed since, else empty."""
        now = paths, cwd = importable_paths(), working_directory()
        return ([], b"") if now == self._told else (os_bytes.encode_all(paths), os_bytes.encode(cwd))

    def runtime_env(self, env: RuntimeEnv | None) -> messages.RuntimeEnv | None:
        """Return what a new worker is given: the options' runtime_env over the inherited one."""
        inherited = self.inherited
        given = inherited if env is None else env.over(inherited)
        if given is None:
            return None
        return messages.RuntimeEnv(
            os_bytes.encode_variables(given.env_vars),
            os_bytes.encode(given.working_dir),
            os_bytes.encode_all(given.py_modules),
        )


def importable_paths() -> list[str]:
    """Return `sys.path` with the empty entry spelled out, so that it means the same in another directory.

    Without that entry if the working directory was removed: Python finds nothing by it either.
    """
    texts = [path for path in sys.path if isinstance(path, str)]
    return [path for path in (path or working_directory() for path in texts) if path]


def working_directory() -> str:
    """Return the working directory; empty if it was removed, in which Python goes on as well."""
    try:
        return os.getcwd()
    except OSError:
        return ""
