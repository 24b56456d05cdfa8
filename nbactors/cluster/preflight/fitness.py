"""What does not fit between a driver and the nodes of a cluster. Pure functions of reports; no input or output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nbactors.byte_sizes import amount

_SHOWN = 3
"""The number of nodes that are named."""


class Report(NamedTuple):
    """What one machine has.

    Attributes:
        node: The node's address; empty for the driver.
        python: The version of Python, as in "3.11.7".
        ray: The version of Ray.
        packages: The version of each package that was asked for; None where it is missing.
        resources: The amounts of the node.
    """

    node: str
    python: str
    ray: str
    packages: Mapping[str, str | None]
    resources: Mapping[str, float]


class Misfit(NamedTuple):
    """Something that does not fit.

    Attributes:
        what: "python", "ray", "package" or "resource".
        is_fatal: Whether nothing runs because of it.
        text: What it is, as a sentence without its full stop.
        mend: How to mend it.
    """

    what: str
    is_fatal: bool
    text: str
    mend: str


def misfits(
    driver: Report, nodes: Sequence[Report], runtime_env: Mapping[str, Any], wanted: Mapping[str, float] | None = None
) -> list[Misfit]:
    """Return what does not fit, the worst first.

    Args:
        driver: The driver; its packages are those that the notebook has imported.
        nodes: The nodes of the cluster.
        runtime_env: The runtime_env of the session, which may bring packages.
        wanted: The amounts that one actor or task needs, by resource; None for nothing.
    """
    return [
        *_versions(driver, nodes),
        *_packages(driver, nodes, runtime_env),
        *_resources(nodes, wanted or {}),
    ]


def _versions(driver: Report, nodes: Sequence[Report]) -> Iterator[Misfit]:
    minor = driver.python.rsplit(".", 1)[0]
    others = [node for node in nodes if node.python.rsplit(".", 1)[0] != minor]
    if others:
        yield Misfit(
            "python",
            True,
            f"Python is {driver.python} here and {others[0].python} on {_named(others)}",
            "start the kernel in an environment with the cluster's version of Python",
        )
    others = [node for node in nodes if node.ray != driver.ray]
    if others:
        yield Misfit(
            "ray",
            True,
            f"Ray is {driver.ray} here and {others[0].ray} on {_named(others)}",
            f"install the cluster's version here: pip install ray=={others[0].ray}",
        )


def _packages(driver: Report, nodes: Sequence[Report], runtime_env: Mapping[str, Any]) -> Iterator[Misfit]:
    brought = {_name_of(each) for kind in ("pip", "uv") for each in _listed(runtime_env.get(kind))}
    lacking: dict[str, list[Report]] = {}
    for name in driver.packages:
        without = [node for node in nodes if node.packages.get(name) is None]
        if without and _normal(name) not in brought:
            lacking[name] = without
    if not lacking:
        return
    them = [f"{name}=={driver.packages[name]}" for name in sorted(lacking)]
    nodes_without = next(iter(lacking.values()))
    yield Misfit(
        "package",
        False,
        f"this notebook has imported {', '.join(sorted(lacking))}, which {_named(nodes_without)} "
        f"{'lacks' if len(nodes_without) == 1 else 'lack'}",
        f"init(..., runtime_env={{'pip': {them}}}) brings {'it' if len(them) == 1 else 'them'}",
    )


def _resources(nodes: Sequence[Report], wanted: Mapping[str, float]) -> Iterator[Misfit]:
    if any(all(node.resources.get(name, 0.0) >= value for name, value in wanted.items()) for node in nodes):
        return
    fits_alone = True
    for name, value in wanted.items():
        most = max((node.resources.get(name, 0.0) for node in nodes), default=0.0)
        if value > most:
            fits_alone = False
            wanted_of_it, most_of_it = amount(name, value), amount(name, most)
            yield Misfit(
                "resource",
                False,
                f"{wanted_of_it} {name} for one actor or task never fit: the largest node has {most_of_it}",
                f"ask for at most {most_of_it}, or add a larger node",
            )
    if fits_alone and wanted:
        them = " and ".join(f"{amount(name, value)} {name}" for name, value in wanted.items())
        yield Misfit(
            "resource",
            False,
            f"no node has {them} for one actor or task",
            "ask for less of one of them, or add a larger node",
        )


def _named(nodes: Sequence[Report]) -> str:
    names = ", ".join(node.node for node in nodes[:_SHOWN])
    more = len(nodes) - _SHOWN
    return f"{names} and {more} more" if more > 0 else names


def _listed(given: Any) -> list[str]:
    if isinstance(given, Mapping):
        given = given.get("packages", ())
    return [str(each) for each in given] if isinstance(given, list | tuple) else []


def _name_of(requirement: str) -> str:
    for index, character in enumerate(requirement):
        if not (character.isalnum() or character in "-_."):
            return _normal(requirement[:index])
    return _normal(requirement)


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
