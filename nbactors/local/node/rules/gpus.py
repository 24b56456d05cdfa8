"""Assigns GPUs. No two sessions use a detected GPU at once; GPUs that are only declared exist as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

UNIT = 10_000
"""One whole GPU. Fractions are counted in ten-thousandths, as in Ray, so that rounding loses nothing."""

Shares = list[tuple[str, int]]
"""Pairs of a GPU's id and the amount used of that GPU."""


class Gpu(msgspec.Struct, frozen=True):
    """A GPU of the machine.

    Attributes:
        index: CUDA's number for it.
        uuid: As in "GPU-8f2c…", empty if unknown.
        model: As the driver names it: "NVIDIA A100-SXM4-40GB"; empty if unknown.
    """

    index: str
    uuid: str = ""
    model: str = ""

    @property
    def kind(self) -> str:
        """What the option `accelerator_type` calls it, as in Ray: "A100", "RTX-PRO-6000", "GeForce-RTX-5090"."""
        maker, _, name = self.model.strip().partition(" ")
        parts = []
        for word in name.split():
            found = re.match("[A-Z0-9]*", word)
            head = found[0] if found is not None else ""
            parts.append(head)
            if any(map(str.isdigit, head)):
                return "-".join(parts)
            if head != word:  # "GeForce"
                break
        return "-".join((name if maker == "NVIDIA" else self.model).split())


class GpuBank(dict[str, "SessionGpus"]):
    """The session that uses each detected GPU of the machine now, by the GPU's identity."""


class SessionGpus:
    """The GPUs that one session may use.

    Args:
        bank: The machine's GPUs.
        identities: By id (as in CUDA_VISIBLE_DEVICES), the GPU's identity on the machine: two sessions may know one GPU
            by different ids. Empty for a GPU that is only declared.
    """

    def __init__(self, bank: GpuBank, identities: dict[str, str]) -> None:
        self._bank = bank
        self._identities = identities
        self._used = dict.fromkeys(identities, 0)

    @property
    def ids(self) -> list[str]:
        """All ids, in order."""
        return list(self._used)

    def find(self, amount: int) -> Shares | None:
        """Return GPUs with `amount` ten-thousandths free, None if there are none now.

        A fraction is taken from one GPU: the one that is used most and has room, so that whole GPUs stay free.
        """
        if amount <= 0:
            return []
        if amount < UNIT:
            fitting = [(used, gpu) for gpu, used in self._available() if used + amount <= UNIT]
            if not fitting:
                return None
            fullest = max(used for used, _ in fitting)
            return [next((gpu, amount) for used, gpu in fitting if used == fullest)]
        count = -(-amount // UNIT)
        whole = [gpu for gpu, used in self._available() if not used]
        return [(gpu, UNIT) for gpu in whole[:count]] if len(whole) >= count else None

    def take(self, shares: Shares) -> None:
        """Mark the GPUs that `find` returned as used."""
        for gpu, amount in shares:
            self._used[gpu] += amount
            if self._identities[gpu]:
                self._bank[self._identities[gpu]] = self

    def give_back(self, shares: Shares) -> None:
        """Undo `take`."""
        for gpu, amount in shares:
            self._used[gpu] -= amount
            if not self._used[gpu] and self._identities[gpu]:
                self._bank.pop(self._identities[gpu], None)

    def free_amount(self) -> int:
        """Return the free amount of all GPUs, in ten-thousandths."""
        return sum(UNIT - used for _, used in self._available())

    def _available(self) -> Iterable[tuple[str, int]]:
        """Yield each GPU that no other session uses, and the used amount of it."""
        for gpu, used in self._used.items():
            user = self._bank.get(self._identities[gpu])
            if user is None or user is self:
                yield gpu, used


def session_gpus(bank: GpuBank, detected: Sequence[Gpu], visible: str | None, declared: float) -> SessionGpus:
    """Return the GPUs that a session may use.

    Args:
        bank: The machine's GPUs.
        detected: The machine's GPUs in their order.
        visible: The session's CUDA_VISIBLE_DEVICES, None if it is not set.
        declared: `num_gpus`; negative for all GPUs.

    Raises:
        ValueError: More are declared than CUDA_VISIBLE_DEVICES names; the text begins as Ray's.
    """
    names = None if visible is None else _visible_names(visible)
    if declared < 0:
        found = [gpu.index for gpu in detected] if names is None else names
        return SessionGpus(bank, {name: _identity(name, detected) or name for name in found})
    count = int(declared)
    if names is not None and count > len(names):
        raise ValueError(
            f"Attempting to start with {count} GPUs, but CUDA_VISIBLE_DEVICES contains {names}. Ask for at most "
            f"num_gpus={len(names)}, or name more GPUs in CUDA_VISIBLE_DEVICES."
        )
    if names is None:
        ids = [str(index) for index in range(count)]
        return SessionGpus(bank, {name: _identity(name, detected) for name in ids})
    return SessionGpus(bank, {name: _identity(name, detected) or name for name in names[:count]})


def _visible_names(visible: str) -> list[str]:
    """Return the names as CUDA reads them: each once, and none after one that means "none"."""
    names: list[str] = []
    for part in visible.split(","):
        name = part.strip()
        if name in ("", "-1", "NoDevFiles", "none", "void"):
            break
        if name not in names:
            names.append(name)
    return names


def _identity(name: str, detected: Sequence[Gpu]) -> str:
    """Return the index of the GPU that a name means; empty if the machine has no such GPU."""
    for gpu in detected:
        if name == gpu.index or (gpu.uuid and len(name) > len("GPU-") and gpu.uuid.startswith(name)):
            return gpu.index
    return ""
