"""Verbs that only nbactors has: `update` a living actor's class, `checkpoint` its state and `restore` it."""

from __future__ import annotations

from nbactors.upkeep.checkpointing import Checkpoint, checkpoint, restore
from nbactors.upkeep.updating import living, update

__all__ = ["Checkpoint", "checkpoint", "living", "restore", "update"]
