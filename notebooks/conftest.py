"""Which notebooks pytest runs: all, but for those whose packages this environment lacks."""

from __future__ import annotations

import importlib.util
from pathlib import Path

NEEDS = {"10-cluster.ipynb": "ray"}
"""Notebooks, and the package that each needs beside those of the tests. `scripts/test-cluster` runs this one."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a notebook whose package is missing."""
    package = NEEDS.get(collection_path.name)
    return True if package is not None and importlib.util.find_spec(package) is None else None
