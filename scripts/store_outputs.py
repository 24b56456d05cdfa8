"""Run notebooks and store the outputs of their cells, without facts about the machine.

Usage: store_outputs.py NOTEBOOK...

The paths of this checkout and of Python are made relative. The time of the run and the version of Python are removed.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "notebooks"))
from restarting_client import RestartingClient  # noqa: E402


def main(paths: list[Path]) -> None:
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(path.parent)}}
        RestartingClient(notebook, kernel_name="python3", record_timing=False, resources=resources).execute()
        notebook.metadata["language_info"] = {"name": "python"}
        text = (
            nbformat.writes(notebook)
            .replace(json.dumps(f"{ROOT}/")[1:-1], "")
            .replace(f"{sysconfig.get_path('stdlib')}/", "")
        )
        path.write_text(text + "\n")
        print(f"stored the outputs of {path}")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
