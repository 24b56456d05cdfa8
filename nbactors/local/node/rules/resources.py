"""What a session may use and what of it is in use: arithmetic without rounding.

Invariants, for each resource: what is free and what the living allocations hold add up to the total; nothing is
allocated that is not free. One exception is on purpose: a worker that was blocked takes its CPUs back although they
were lent meanwhile, so free CPUs may be negative for a while.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nbactors.local.node.rules.gpus import UNIT, SessionGpus, Shares

Units = dict[str, int]
"""Amounts by resource, in ten-thousandths."""


def to_units(amounts: Mapping[str, float]) -> Units:
    """Return amounts as whole numbers, without those that are 0."""
    return {name: units for name, amount in amounts.items() if (units := round(amount * UNIT)) > 0}


def to_amounts(units: Mapping[str, int]) -> dict[str, float]:
    """Return amounts as the user knows them."""
    return {name: amount / UNIT for name, amount in units.items()}


class Allocation(msgspec.Struct):
    """What somebody holds.

    Attributes:
        held: By resource.
        gpus: The GPUs among it.
        lent: CPUs that are given back for the time being.
    """

    held: Units
    gpus: Shares
    lent: int = 0

    @property
    def gpu_ids(self) -> list[str]:
        """The GPUs' ids, as for CUDA_VISIBLE_DEVICES."""
        return [gpu for gpu, _ in self.gpus]


class Pool:
    """The resources of one session.

    Args:
        totals: By resource; what it says of "GPU" does not count.
        gpus: The GPUs.
    """

    def __init__(self, totals: Mapping[str, float], gpus: SessionGpus) -> None:
        self.total = to_units(totals)
        self.total.pop("GPU", None)
        self._free = dict(self.total)
        self._gpus = gpus
        if gpus.ids:
            self.total["GPU"] = len(gpus.ids) * UNIT

    def shortage(self, request: Units) -> dict[str, tuple[float, float]]:
        """Return what can never be met: by resource, what is asked for and what there is in all."""
        return {
            name: (amount / UNIT, self.total.get(name, 0) / UNIT)
            for name, amount in request.items()
            if amount > self.total.get(name, 0)
        }

    def fits(self, request: Units) -> bool:
        """Return whether all of `request` is free now."""
        free = self._free
        for name, amount in request.items():
            if name == "GPU":
                if self._gpus.find(amount) is None:
                    return False
            elif amount > free.get(name, 0):
                return False
        return True

    def allocate(self, request: Units) -> Allocation:
        """Take what `fits` has found free."""
        shares = self._gpus.find(request.get("GPU", 0))
        if shares is None or not self.fits(request):
            raise ValueError(f"{to_amounts(request)} is not free in {to_amounts(self._free)}")
        self._gpus.take(shares)
        for name, amount in request.items():
            if name != "GPU":
                self._free[name] -= amount
        return Allocation(dict(request), shares)

    def release(self, allocation: Allocation) -> None:
        """Give all of it back. The allocation is empty afterwards, so that releasing it again does nothing."""
        self.take_back(allocation)
        for name, amount in allocation.held.items():
            if name != "GPU":
                self._free[name] += amount
        self._gpus.give_back(allocation.gpus)
        allocation.held, allocation.gpus = {}, []

    def lend(self, allocation: Allocation) -> None:
        """Give the CPUs back for as long as their holder waits for others."""
        if not allocation.lent:
            allocation.lent = allocation.held.get("CPU", 0)
            if allocation.lent:
                self._free["CPU"] += allocation.lent

    def take_back(self, allocation: Allocation) -> None:
        """End `lend`, even if somebody else uses the CPUs now."""
        if allocation.lent:
            self._free["CPU"] -= allocation.lent
            allocation.lent = 0

    def totals(self) -> dict[str, float]:
        """Return what there is in all."""
        return to_amounts(self.total)

    def available(self) -> dict[str, float]:
        """Return what is free now; nothing is less than 0."""
        free = {name: max(amount, 0) for name, amount in self._free.items()}
        if self._gpus.ids:
            free["GPU"] = self._gpus.free_amount()
        return to_amounts(free)
