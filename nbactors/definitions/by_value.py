"""The modules whose classes and functions the user has had sent by value, for whichever engine sends them."""

from __future__ import annotations

from types import ModuleType

from nbactors.definitions.registry import Registry

MODULES: Registry[str, ModuleType] = Registry()
"""The modules by their names."""
