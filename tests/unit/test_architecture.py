"""The page on the architecture names files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nbactors

ROOT = Path(nbactors.__file__).parent
PAGE = ROOT.parent / "docs" / "architecture.md"
PATHS = sorted(set(re.findall(r"`([\w/]+(?:/|\.py))[`:]", PAGE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_on_the_page_exists(path: str) -> None:
    assert (ROOT / path).exists() or (ROOT.parent / path).exists()


def test_the_page_names_many_paths() -> None:
    assert len(PATHS) > 40
