"""`nbactors.types`: the reference for annotations, under Ray's name: `def train(data: types.ObjectRef[Table]): ...`."""

from __future__ import annotations

from nbactors.object_ref import ObjectRef

__all__ = ["ObjectRef"]
