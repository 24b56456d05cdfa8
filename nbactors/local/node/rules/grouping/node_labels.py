"""The labels of the node, as a session sees it, and the demands of actors and tasks on them.

What demands other labels waits: labels do not change while a session lasts, so its request is in the queue with a pool
that has nothing. There is one node, so no soft demand decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.gpus import GpuBank, SessionGpus
from nbactors.local.node.rules.records import Session
from nbactors.local.node.rules.resources import Pool, Units
from nbactors.local.wire import messages

NODE_ID = "ray.io/node-id"


class Nowhere(Pool):
    """The pool of requests that no node may serve."""

    def __init__(self) -> None:
        super().__init__({}, SessionGpus(GpuBank(), {}))

    def shortage(self, request: Units) -> dict[str, tuple[float, float]]:
        """Return that a node is missing."""
        return {"node": (1.0, 0.0)}

    def fits(self, request: Units) -> bool:
        """Return False."""
        return False


NOWHERE = Nowhere()


def pool_for(context: Context, session: Session, pool: Pool, selectors: messages.Selectors) -> tuple[Pool, str]:
    """Return the pool of what has these demands, and why that is `NOWHERE`; empty if it is not."""
    why = unmet(selectors, labels_of(context, session)) if selectors else ""
    return (NOWHERE, why) if why else (pool, "")


def labels_of(context: Context, session: Session) -> dict[str, str]:
    """Return the labels of the node for a session: those of its `init(labels=)`, and the node's id."""
    return {**session.opened.labels, NODE_ID: context.facts.node_id.hex()}


def unmet(selectors: messages.Selectors, labels: Mapping[str, str]) -> str:
    """Return why no selector is fulfilled, for a warning; empty if one is."""
    if not selectors or any(all(_holds(term, labels) for term in selector) for selector in selectors):
        return ""
    wanted = " or ".join(", ".join(map(_text, selector)) for selector in selectors)
    own = ", ".join(f"{key}={value}" for key, value in labels.items())
    return (
        f"waits for a node with the labels {wanted}. There is one node, with the labels {own}. It will wait until the "
        "session ends: change its options, or declare labels in init(labels=)."
    )


def _holds(term: messages.LabelTerm, labels: Mapping[str, str]) -> bool:
    value = labels.get(term.key)
    if term.operator == "in":
        return value in term.values
    if term.operator == "not_in":
        return value not in term.values
    return (value is not None) == (term.operator == "exists")


def _text(term: messages.LabelTerm) -> str:
    if term.operator == "exists":
        return term.key
    if term.operator == "absent":
        return f"no {term.key}"
    sign = "=" if term.operator == "in" else "!="
    return f"{term.key}{sign}{'|'.join(term.values)}"
