"""The pools of a placement group: one for each bundle, and one that takes from whichever bundle has enough.

Allocations of the pool for any bundle belong to the pool of the bundle that they were taken from, which gets them back.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbactors.local.node.rules.gpus import UNIT, GpuBank, SessionGpus, Shares
from nbactors.local.node.rules.resources import Allocation, Pool, Units, to_amounts


class BundlePool(Pool):
    """What one bundle has: nothing is free until the group has its resources."""

    def __init__(self, bundle: Units) -> None:
        super().__init__({}, SessionGpus(GpuBank(), {}))
        self.total = dict(bundle)
        self.is_open = False

    def open(self, allocation: Allocation) -> None:
        """Take over what the session's pool has reserved for the bundle."""
        self._free = {name: units for name, units in allocation.held.items() if name != "GPU"}
        self._gpus = _gpus_of(allocation.gpus)
        self.is_open = True

    def fits(self, request: Units) -> bool:
        """Return whether the whole request is free now."""
        return self.is_open and super().fits(request)


class AnyBundle(Pool):
    """The bundles of a group as one pool: a request is served by the first bundle that has all of it."""

    def __init__(self, pools: Sequence[BundlePool]) -> None:
        super().__init__({}, SessionGpus(GpuBank(), {}))
        self._pools = pools

    def shortage(self, request: Units) -> dict[str, tuple[float, float]]:
        """Return which amounts no bundle has: empty if one has all of them."""
        shortages = [pool.shortage(request) for pool in self._pools]
        return {} if not all(shortages) else shortages[0]

    def fits(self, request: Units) -> bool:
        """Return whether a bundle has the whole request free now."""
        return any(pool.fits(request) for pool in self._pools)

    def allocate(self, request: Units) -> Allocation:
        """Allocate a request for which `fits` returns True."""
        for pool in self._pools:
            if pool.fits(request):
                return pool.allocate(request)
        raise ValueError(f"{to_amounts(request)} is not free in any bundle")

    def seize(self, held: Units, gpu_ids: Sequence[str]) -> Allocation:
        """Allocate what a worker holds already, free or not."""
        known = [pool for pool in self._pools if gpu_ids and set(gpu_ids) <= set(pool.gpu_ids)]
        free = [pool for pool in known or self._pools if pool.fits(held)]
        return (free or known or self._pools)[0].seize(held, gpu_ids)


def reserve(pool: Pool, bundles: Sequence[Units]) -> list[Allocation] | None:
    """Allocate all bundles, or none: None if they are not free together. GPUs may fit one by one only."""
    taken: list[Allocation] = []
    for bundle in bundles:
        if not pool.fits(bundle):
            for allocation in taken:
                allocation.release()
            return None
        taken.append(pool.allocate(bundle))
    return taken


def total_of(bundles: Sequence[Units]) -> Units:
    """Return what all bundles need together. Bundles with shares of GPUs may need more than that."""
    total: Units = {}
    for bundle in bundles:
        for name, units in bundle.items():
            total[name] = total.get(name, 0) + units
    return total


def _gpus_of(shares: Shares) -> SessionGpus:
    """Return the GPUs of a bundle. What other users have of them counts as used."""
    gpus = SessionGpus(GpuBank(), {gpu: "" for gpu, _ in shares})
    gpus.take([(gpu, UNIT - amount) for gpu, amount in shares])
    return gpus
