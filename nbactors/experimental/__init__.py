"""What Ray has under `ray.experimental`: the progress bars of `tqdm_ray`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbactors.experimental import tqdm_ray

__all__ = ["tqdm_ray"]


def __getattr__(name: str) -> Any:
    """Import `tqdm_ray` with its first use."""
    if name != "tqdm_ray":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("nbactors.experimental.tqdm_ray")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
