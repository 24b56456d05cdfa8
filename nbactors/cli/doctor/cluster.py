"""The checks of `nbactors doctor --cluster`."""

from __future__ import annotations

from nbactors.cli.doctor.finding import FAIL, OK, WARN, Finding
from nbactors.exceptions import RaySystemError

_NAMES = {"python": "Python", "ray": "Ray", "package": "packages", "resource": "resources"}


def of_cluster(address: str) -> list[Finding]:
    """Return the checks of the cluster at an address. Blocks for the start of a worker on each node."""
    try:
        from nbactors.cluster.preflight.checking import check_cluster  # noqa: PLC0415 - imports Ray
    except ImportError as error:
        return [Finding("Ray", FAIL, f"Ray cannot be imported here ({error})", 'pip install "nbactors[ray]"')]
    try:
        check = check_cluster(address)
    except RaySystemError as error:
        text = str(error.client_exc).rstrip(".")
        return [Finding("cluster", FAIL, text, "compare the address with what `ray status` shows on the head")]
    findings = [Finding("cluster", OK, f"{len(check.nodes)} nodes have answered")]
    if check.silent:
        findings.append(
            Finding("nodes", WARN, f"{check.silent} nodes have not answered in time", "look at them with `ray status`")
        )
    found = {misfit.what: misfit for misfit in check.misfits}
    for what in ("python", "ray"):
        if what in found:
            findings.append(Finding(_NAMES[what], FAIL, found[what].text, found[what].mend))
        elif check.nodes:
            version = getattr(check.nodes[0], what)
            findings.append(Finding(_NAMES[what], OK, f"{version} on all nodes, which fits this environment"))
    return findings
