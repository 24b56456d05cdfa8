"""`Finding`: the result of one check."""

from __future__ import annotations

from typing import NamedTuple

OK = "ok"
WARN = "warn"
FAIL = "fail"

ORDER = (OK, WARN, FAIL)
"""The results, the worst last."""


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        name: What was checked.
        result: `OK`; `WARN` if nbactors works, but worse than it could; `FAIL` if something does not work.
        found: What was found, as a sentence without its full stop.
        mend: How to mend it; empty if there is nothing to mend.
    """

    name: str
    result: str
    found: str
    mend: str = ""


def worst(findings: list[Finding]) -> str:
    """Return the worst result."""
    return max((finding.result for finding in findings), key=ORDER.index, default=OK)
