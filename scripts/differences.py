"""Write docs/differences.md: where nbactors differs from Ray on purpose, as the conformance tests are marked.

Run it after a test was marked with `differs`. With `--check` it writes nothing, and fails if the page is old.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "conformance"
PAGE = ROOT / "docs" / "differences.md"

HEAD = """# Where nbactors differs from Ray

The tests in `tests/conformance` run on nbactors and, by `scripts/conformance-ray`, on real Ray. A test that cannot pass
on Ray has a mark with the reason. This page lists the marks: what nbactors does, as the test's name says it, and what
Ray does. `python scripts/differences.py` writes it.
"""


class Marks:
    """A plugin of pytest: notes the marks of the collected tests.

    Attributes:
        chapters: For each file, by its docstring, the rows of the table in the order of the tests.
    """

    def __init__(self) -> None:
        self.chapters: dict[str, dict[tuple[str, str], None]] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Note the marks."""
        for item in items:
            for mark in item.iter_markers("differs"):
                title = (item.module.__doc__ or item.module.__name__).partition("\n")[0].rstrip(".")
                self.chapters.setdefault(title, {})[words(item.originalname), mark.args[0]] = None


def words(name: str) -> str:
    """Return the name of a test as words."""
    return name.removeprefix("test_").replace("_", " ")


def page() -> str:
    """Return the whole page."""
    marks = Marks()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", str(TESTS)], plugins=[marks])
    if status != 0:
        sys.exit(f"the conformance tests cannot be collected:\n{printed.getvalue()}")
    parts = [HEAD]
    for title, rows in sorted(marks.chapters.items()):
        table = [f"| {here} | {re.sub('[|]', '/', on_ray)} |" for here, on_ray in rows]
        parts.append("\n".join([f"## {title}\n", "| nbactors | Ray |", "|---|---|", *table, ""]))
    return "\n".join(parts)


def main() -> None:
    """Write the page, or check it."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/differences.md is old. Run: python scripts/differences.py")


if __name__ == "__main__":
    main()
