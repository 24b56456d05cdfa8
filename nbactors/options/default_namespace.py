"""The default namespace in a notebook: a name of the notebook, so that a restarted kernel finds its detached actors.

- JupyterLab, Notebook 7 and other programs with jupyter_server set JPY_SESSION_NAME to the notebook's path.
- VS Code sets the variable `__vsc_ipynb_file__` in the notebook.
- Any other kernel has the name of its connection file. A restart of the kernel keeps the file, but closing and opening
  the notebook does not. To find an actor after that, the user has to name a namespace.
"""

from __future__ import annotations

import os
import sys


def name() -> str:
    """Return a name that identifies this notebook before and after a restart; empty if this process is not a kernel.

    A script that a notebook has started inherits JPY_SESSION_NAME, but is not a kernel.
    """
    application = sys.modules.get("ipykernel.kernelapp")
    if application is None:
        return ""
    return os.environ.get("JPY_SESSION_NAME") or _file_in_vs_code() or _connection(application.IPKernelApp)


def _file_in_vs_code() -> str:
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    path = shell.user_ns.get("__vsc_ipynb_file__") if shell is not None else None
    return path if isinstance(path, str) else ""


def _connection(application: type) -> str:
    """Return the name of the kernel's connection file without its suffix."""
    if not application.initialized():  # type: ignore[attr-defined] # a script may import ipykernel
        return ""
    path = application.instance().connection_file  # type: ignore[attr-defined]
    return os.path.basename(path).removesuffix(".json") if path else ""
