"""Print an executed notebook's headings and text outputs to the terminal. Usage: show_notebook.py NOTEBOOK."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat


def main(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("#"):
                    print(f"\n{line.lstrip('# ')}\n")
        for output in cell.get("outputs", []):
            text = _text(output)
            if text:
                print("    " + text.rstrip().replace("\n", "\n    "))


def _text(output: Any) -> str:
    """Return the text of one output; empty if it has no text."""
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return str(output.data.get("text/plain", ""))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
