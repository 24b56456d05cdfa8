"""Which notebook this kernel belongs to: the default namespace, so that a restarted kernel finds what it left behind.

- JupyterLab, Notebook 7 and all that use jupyter_server set JPY_SESSION_NAME to the notebook's path.
- VS Code sets the variable `__vsc_ipynb_file__` in the notebook.
- Any other kernel has its connection file, which stays when it is restarted, but is another when the notebook was
  closed and is opened again: who wants to find an actor then names a namespace.
"""

from __future__ import annotations

import os
import sys


def name() -> str:
    """Return what tells this notebook from others, before and after a restart; empty where there is no kernel.

    A script that was started from a notebook inherits the variable, but is no notebook.
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
    """Return the name of the connection file, which a kernel keeps when it is restarted."""
    if not application.initialized():  # type: ignore[attr-defined] # a script that has imported it
        return ""
    path = application.instance().connection_file  # type: ignore[attr-defined]
    return os.path.basename(path).removesuffix(".json") if path else ""
