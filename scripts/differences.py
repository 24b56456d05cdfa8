"""Write docs/differences.md: where nbactors differs from Ray on purpose, as the conformance tests are marked.

A second part tells what the engine on a Ray cluster does otherwise. Run it after a test was marked with `differs` or
`differs_on_cluster`. With `--check` it writes nothing, and fails if the page is old.
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
Ray does. A second part lists where the engine on a Ray cluster, `init(engine="ray")`, differs from the one on this
machine. `python scripts/differences.py` writes the page.
"""

CLUSTER_HEAD = """# Where the engine on a Ray cluster differs

The same tests run on `init(engine="ray")`. A test that cannot pass there has a mark with the reason: what nbactors does
on one machine, as the test's name says it, and what it does on a cluster.
"""

PARTS = (("differs", HEAD, "| nbactors | Ray |"), ("differs_on_cluster", CLUSTER_HEAD, "| one machine | cluster |"))
"""The parts of the page: the mark, the text before the tables, and the head of each table."""

Chapters = dict[str, dict[tuple[str, str], None]]


class Marks:
    """A plugin of pytest: notes the marks of the collected tests.

    Attributes:
        chapters: For each mark and each file, by its docstring, the rows of the table in the order of the tests.
    """

    def __init__(self) -> None:
        self.chapters: dict[str, Chapters] = {mark: {} for mark, _, _ in PARTS}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Note the marks."""
        for item in items:
            title = (item.module.__doc__ or item.module.__name__).partition("\n")[0].rstrip(".")
            for name, chapters in self.chapters.items():
                for mark in item.iter_markers(name):
                    chapters.setdefault(title, {})[words(item.originalname), mark.args[0]] = None


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
    parts = []
    for mark, text, columns in PARTS:
        parts.append(text)
        for title, rows in sorted(marks.chapters[mark].items()):
            table = [f"| {here} | {re.sub('[|]', '/', there)} |" for here, there in rows]
            parts.append("\n".join([f"## {title}\n", columns, "|---|---|", *table, ""]))
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
