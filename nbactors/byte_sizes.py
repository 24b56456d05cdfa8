"""Numbers of bytes as text with a unit, and the number that such a text names."""

from __future__ import annotations

import re
from collections.abc import Mapping

_KIB = 1024.0
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def shown(count: float) -> str:
    """Return a number of bytes as text with a unit, such as "1.5 GiB"."""
    for unit in ("B", "KiB", "MiB"):
        if count < _KIB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KIB
    return f"{count:.1f} GiB"


def amount(name: str, value: float) -> str:
    """Return the amount of a resource as text: memory is in bytes, and others are numbers."""
    return shown(value) if "memory" in name else f"{value:g}"


def amounts(resources: Mapping[str, float]) -> str:
    """Return resources as text, such as "CPU: 1, memory: 2.0 GiB"."""
    return ", ".join(f"{name}: {amount(name, value)}" for name, value in resources.items())


def parse(text: str) -> int:
    """Return the number of bytes that a text names: "2GiB" and "2Gi" are 2 * 1024**3, "2GB" and "2G" are 2 * 1000**3.

    Raises:
        ValueError: The text names no number of bytes.
    """
    found = _TEXT.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        raise ValueError(f"{text!r:.80} is no number of bytes: write for instance '2GiB' or '500MB'")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()])
