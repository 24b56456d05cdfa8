"""Prepares what a setup of workers needs on the disk."""

from __future__ import annotations

import os
from time import monotonic

from nbactors.local.packages import archives, copies, installer
from nbactors.runtime_env import requirements
from nbactors.runtime_env.worker_setup import WorkerSetup


def prepared(setup: WorkerSetup) -> WorkerSetup:
    """Return a setup that names only directories that exist, and no packages to install. Blocks. Any thread.

    Raises:
        RuntimeEnvSetupError: Packages cannot be installed, an archive not be unpacked, or a directory not be copied.
        KeyboardInterrupt: An interrupt has ended the installation.
    """
    end = monotonic() + setup.timeout_s
    working_dir, modules, packages = setup.working_dir, [], setup.packages
    if working_dir.endswith(".zip") and not os.path.isdir(working_dir):
        working_dir = archives.unpacked(working_dir)
    patterns = {path: excluded for path, excluded, _ in setup.excludes}
    if working_dir in patterns:
        working_dir = copies.without(working_dir, patterns[working_dir])
    for module in setup.py_modules:
        if module in patterns:
            modules.append(copies.without(module, patterns[module]))
        elif os.path.isdir(module):
            modules.append(module)
        elif module.endswith(".zip"):
            modules.append(os.path.join(archives.unpacked(module), ""))
        elif module.endswith(".whl"):
            made = installer.environment(requirements.of_wheels((module,)), max(end - monotonic(), 0.1))
            modules.append(os.path.join(made, ""))
        else:
            modules.append(module)
    if setup.requirements is not None:
        packages = installer.environment(setup.requirements, max(end - monotonic(), 0.1))
    return setup._replace(
        working_dir=working_dir, py_modules=tuple(modules), requirements=None, packages=packages, excludes=()
    )
