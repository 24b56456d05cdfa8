"""Run notebooks and store the outputs of their cells, without facts about the machine.

Usage: store_outputs.py NOTEBOOK...

The paths of this checkout and of Python are made relative, and the node's directory becomes the usual one. The kernel
has the notebook's path, as from JupyterLab. The time of the run and the version of Python are removed.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from nbactors.local.access.discovery import node_directory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "notebooks"))
from restarting_client import RestartingClient  # noqa: E402

NODE_DIRECTORY = "/run/user/1000/nbactors"


def main(paths: list[Path]) -> None:
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        os.environ["JPY_SESSION_NAME"] = str(path)
        with tempfile.TemporaryDirectory() as states:
            os.environ["NBACTORS_STATE_DIR"] = states  # without the checkpoints of the last run
            run(notebook, path)
        notebook.metadata["language_info"] = {"name": "python"}
        text = (
            nbformat.writes(notebook)
            .replace(json.dumps(f"{ROOT}/")[1:-1], "")
            .replace(f"{sysconfig.get_path('stdlib')}/", "")
            .replace(node_directory(), NODE_DIRECTORY)
        )
        path.write_text(text + "\n")
        print(f"stored the outputs of {path}")


def run(notebook: Any, path: Path) -> None:
    resources = {"metadata": {"path": str(path.parent)}}
    RestartingClient(notebook, kernel_name="python3", record_timing=False, resources=resources).execute()


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
