"""The session's Python installation, and how an interpreter is started with it that forks the session's workers.

A worker has to find each module where its session has it, whatever the node's own installation is. `sys.path` alone
does not tell where that is:

- The session may have changed `sys.path` after it imported nbactors. So the forkserver is told where nbactors and
  msgspec are.
- A file such as `random.py` in the working directory precedes the standard library on the path. A script has imported
  that file as `random`; a kernel has imported the library's module before the directory came on the path. So the
  forkserver is told where the session has imported each module of such a name from.
- If the session has imported neither, nbactors' own imports take the library's module, and user code takes the file, as
  it would in the session.

All of this is in the arguments of the interpreter. The session makes them, and the node only starts the interpreter.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from nbactors.local.access import discovery
from nbactors.local.wire import messages, os_bytes
from nbactors.local.wire.framing import MAX_CONTROL_FRAME

_ALWAYS = ("nbactors", "msgspec")
"""Modules that every session has imported."""

_BOOT = """\
def boot(places, paths, unsettled):
    import os, sys
    from importlib.machinery import PathFinder

    class Places:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return PathFinder.find_spec(name, [places[name]], target) if name in places else None

    sys.meta_path.insert(0, Places)
    library = os.path.dirname(os.__file__)
    sys.path[:] = [library, os.path.join(library, "lib-dynload"), *paths]
    try:
        import msgspec  # on this thread: the C library gives each thread that allocates a part of the heap of its own
        from nbactors.local.forkserver import main
        main(int(sys.argv[1]), unsettled=unsettled)
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:3]))
        # Printed before the process closes its socket, because the node reads stderr at that moment.
        print(
            f"The Python interpreter of the session, {{sys.executable}} ({{version}}), cannot import what a worker "
            f"needs: {{error.name or 'a module'}} ({{error}}). Install it there, {{sys.executable}} -m pip install "
            "nbactors, or repair it with --force-reinstall; then call shutdown() and init().",
            file=sys.stderr, flush=True,
        )
        sys.exit(1)

boot({places!a}, {paths!a}, {unsettled!a})
"""
"""The program of a forkserver's interpreter. `paths` serve to import nbactors; `main` then sets the session's path."""


def environment(paths: list[str], cwd: str) -> messages.Environment:
    """Return what this session's workers must have in common with it.

    Args:
        paths: `sys.path`, importable from any directory.
        cwd: The working directory; empty if it was removed.

    Raises:
        OSError: The environment variables are too long to be sent, and much too long for any program.
        RaySystemError: Python does not know its own path.
    """
    size = sum(len(name) + len(value) for name, value in os.environb.items())
    if size > MAX_CONTROL_FRAME // 2:
        raise OSError(
            errno.E2BIG,
            f"the environment variables have {size} bytes in all, and no system starts a worker with so many: take the "
            "longest out of os.environ",
        )
    places, unsettled = _shadowed(paths)
    for name in _ALWAYS:
        places[name] = os.path.dirname(os.path.abspath(sys.modules[name].__path__[0]))
    boot = _BOOT.format(places=places, paths=paths, unsettled=unsettled)
    return messages.Environment(
        os_bytes.encode(discovery.interpreter()),
        os_bytes.encode_all([*_flags(), "-c", boot]),
        os_bytes.encode_all(paths),
        os_bytes.encode(cwd),
        dict(os.environb),
    )


def _shadowed(paths: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Examine the names that a file on the path may share with a module of the standard library after it.

    Returns:
        The directories from which this process has imported these modules, and the names that it has not imported.
    """
    places: dict[str, str] = {}
    unsettled: list[str] = []
    library = os.path.dirname(os.__file__)
    for path in paths:
        if path == library:
            break
        for name in _names(path) & sys.stdlib_module_names:
            module = sys.modules.get(name)
            file = getattr(module, "__file__", None)
            if module is None:
                unsettled.append(name)
            elif file:
                is_package = hasattr(module, "__path__")
                places[name] = os.path.dirname(os.path.dirname(file) if is_package else file)
    return places, sorted(set(unsettled))


def _names(path: str) -> set[str]:
    """Return the names of modules that a directory may contain; some are no modules."""
    try:
        return {entry.partition(".")[0] for entry in os.listdir(path)}
    except OSError:  # the directory does not exist, or is an archive
        return set()


def _flags() -> list[str]:
    """Return the interpreter's options that decide where modules are found, and how code is compiled."""
    flags = sys.flags
    found = []
    if flags.isolated:
        found.append("-I")
    else:
        given = {
            "-E": flags.ignore_environment,
            "-s": flags.no_user_site,
            "-P": getattr(flags, "safe_path", False),  # since Python 3.11
        }
        found += [flag for flag, is_given in given.items() if is_given]
    if flags.no_site:
        found.append("-S")
    if flags.optimize:
        found.append("-" + "O" * flags.optimize)
    if flags.utf8_mode:
        found += ["-X", "utf8"]
    return found
