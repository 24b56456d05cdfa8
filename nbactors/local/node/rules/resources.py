"""The resources of a session and the amounts in use, counted without rounding.

Invariants, for each resource: the free amount and the amounts of all allocations add up to the total; only free amounts
are allocated. There is one deliberate exception: a worker that was blocked takes its CPUs back although they were lent
meanwhile, so the number of free CPUs may be negative for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from nbactors.local.node.rules.gpus import UNIT, SessionGpus, Shares

Units = dict[str, int]
"""Amounts by resource, in ten-thousandths."""


def to_units(amounts: Mapping[str, float]) -> Units:
    """Return amounts as whole numbers, without amounts of 0."""
    return {name: units for name, amount in amounts.items() if (units := round(amount * UNIT)) > 0}


def to_amounts(units: Mapping[str, int]) -> dict[str, float]:
    """Return amounts in the user's units."""
    return {name: amount / UNIT for name, amount in units.items()}


class Allocation(msgspec.Struct, eq=False):
    """The resources that a worker or an actor holds.

    Attributes:
        held: Amounts by resource.
        gpus: The GPUs among them.
        pool: The pool that they are taken from.
        lent: CPUs that are lent to other workers for now.
    """

    held: Units
    gpus: Shares
    pool: Pool
    lent: int = 0

    def release(self) -> None:
        """Give back all resources. The allocation is empty afterwards, so releasing it again does nothing."""
        self.pool.release(self)

    @property
    def gpu_ids(self) -> list[str]:
        """The GPUs' ids, as for CUDA_VISIBLE_DEVICES."""
        return [gpu for gpu, _ in self.gpus]


class Pool:
    """The resources of one session.

    Args:
        totals: Amounts by resource; its entry for "GPU" is ignored.
        gpus: The session's GPUs.
    """

    def __init__(self, totals: Mapping[str, float], gpus: SessionGpus) -> None:
        self.total = to_units(totals)
        self.total.pop("GPU", None)
        self._free = dict(self.total)
        self._gpus = gpus
        if gpus.ids:
            self.total["GPU"] = len(gpus.ids) * UNIT

    @property
    def gpu_ids(self) -> list[str]:
        """The GPUs that it may have parts of."""
        return self._gpus.ids

    def shortage(self, request: Units) -> dict[str, tuple[float, float]]:
        """Return which amounts can never be met: by resource, the requested amount and the total."""
        return {
            name: (amount / UNIT, self.total.get(name, 0) / UNIT)
            for name, amount in request.items()
            if amount > self.total.get(name, 0)
        }

    def fits(self, request: Units) -> bool:
        """Return whether the whole request is free now."""
        free = self._free
        for name, amount in request.items():
            if name == "GPU":
                if self._gpus.find(amount) is None:
                    return False
            elif amount > free.get(name, 0):
                return False
        return True

    def allocate(self, request: Units) -> Allocation:
        """Allocate a request for which `fits` returns True."""
        shares = self._gpus.find(request.get("GPU", 0))
        if shares is None or not self.fits(request):
            raise ValueError(f"{to_amounts(request)} is not free in {to_amounts(self._free)}")
        self._gpus.take(shares)
        for name, amount in request.items():
            if name != "GPU":
                self._free[name] -= amount
        return Allocation(dict(request), shares, self)

    def seize(self, held: Units, gpu_ids: Sequence[str]) -> Allocation:
        """Allocate what a worker holds already, free or not.

        Args:
            held: Amounts by resource.
            gpu_ids: The GPUs that it uses; empty if they are not known.
        """
        amount = held.get("GPU", 0)
        known = [gpu for gpu in gpu_ids if gpu in self._gpus.ids]
        shares = [(gpu, min(amount, UNIT)) for gpu in known] if known else self._gpus.find(amount) or []
        self._gpus.take(shares)
        for name, units in held.items():
            if name != "GPU":
                self._free[name] = self._free.get(name, 0) - units
        return Allocation(dict(held), shares, self)

    def release(self, allocation: Allocation) -> None:
        """Give back all resources. The allocation is empty afterwards, so releasing it again does nothing."""
        self.take_back(allocation)
        for name, amount in allocation.held.items():
            if name != "GPU":
                self._free[name] += amount
        self._gpus.give_back(allocation.gpus)
        allocation.held, allocation.gpus = {}, []

    def lend(self, allocation: Allocation) -> None:
        """Lend the CPUs to other workers while the holder waits for them."""
        if not allocation.lent:
            allocation.lent = allocation.held.get("CPU", 0)
            if allocation.lent:
                self._free["CPU"] += allocation.lent

    def take_back(self, allocation: Allocation) -> None:
        """End `lend`, even if another worker uses the CPUs now."""
        if allocation.lent:
            self._free["CPU"] -= allocation.lent
            allocation.lent = 0

    def totals(self) -> dict[str, float]:
        """Return the total amounts."""
        return to_amounts(self.total)

    def available(self) -> dict[str, float]:
        """Return the free amounts; none is below 0."""
        free = {name: max(amount, 0) for name, amount in self._free.items()}
        if self._gpus.ids:
            free["GPU"] = self._gpus.free_amount()
        return to_amounts(free)
