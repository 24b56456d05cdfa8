"""Shrinking: removes elements of a plan while it still fails."""

from __future__ import annotations

from simulation.plan import OPERATIONS, Plan
from simulation.simulation import simulate


def shrink(plan: Plan) -> Plan:
    """Return a plan without elements that its failure does not need. The failure may become another one.

    Whole runs of elements go first, then single elements, then the steps and arguments of calls.
    """
    size = max(len(plan.elements) // 2, 1)
    while True:
        plan, has_shrunk = _without_runs(plan, size)
        if size > 1:
            size //= 2
        elif not has_shrunk:
            break
    return _with_less_inside(plan)


def fails(plan: Plan) -> bool:
    """Return whether something goes wrong in a run of the plan."""
    return bool(simulate(plan).failures)


def _without_runs(plan: Plan, size: int) -> tuple[Plan, bool]:
    has_shrunk = False
    index = len(plan.elements) - size
    while index >= 0:
        candidate = plan._replace(elements=plan.elements[:index] + plan.elements[index + size :])
        if fails(candidate):
            plan, has_shrunk = candidate, True
        index -= size
    return plan, has_shrunk


def _with_less_inside(plan: Plan) -> Plan:
    for index, element in enumerate(plan.elements):
        if not isinstance(element, OPERATIONS):
            continue
        for name in ("things", "steps"):
            place = len(getattr(element, name, ())) - 1
            while place >= 0:
                rest = getattr(element, name)
                smaller = element._replace(**{name: rest[:place] + rest[place + 1 :]})
                candidate = plan._replace(elements=(*plan.elements[:index], smaller, *plan.elements[index + 1 :]))
                if fails(candidate):
                    plan, element = candidate, smaller
                place -= 1
    return plan
