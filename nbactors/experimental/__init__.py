"""What Ray has under `ray.experimental`: the progress bars of `tqdm_ray`, and `get_object_locations`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbactors.experimental import tqdm_ray
    from nbactors.experimental.locations import get_local_object_locations, get_object_locations

__all__ = ["get_local_object_locations", "get_object_locations", "tqdm_ray"]


def __getattr__(name: str) -> Any:
    """Import a name with its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "tqdm_ray":
        return importlib.import_module("nbactors.experimental.tqdm_ray")
    return getattr(importlib.import_module("nbactors.experimental.locations"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
