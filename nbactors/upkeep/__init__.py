"""Verbs that Ray does not have: `update` changes a living actor's class, `checkpoint` and `restore` keep its state."""

from __future__ import annotations

from nbactors.upkeep.checkpointing import Checkpoint, checkpoint, restore
from nbactors.upkeep.moving import move
from nbactors.upkeep.updating import living, update

__all__ = ["Checkpoint", "checkpoint", "living", "move", "restore", "update"]
