"""Names and texts of what an actor class may have for being updated, saved and restored."""

from __future__ import annotations

SWAP = "__nbactors_swap__"
"""The runtime's own call that changes an actor's class."""

MIGRATE = "__nbactors_update__"
"""A class's hook, `(self, old_class)`: called once the instance is one of the new class."""

SAVE = "__nbactors_save__"
"""A class's hook, `(self)` -> state, which can be pickled; also the name of the call that runs it."""

RESTORE = "__nbactors_restore__"
"""A class's hook, `(self, state)`; also the name of the call that runs it."""

METHODS = frozenset({SWAP, SAVE, RESTORE})
"""Calls that run while no other call of the actor does."""

HOOKS = {MIGRATE: ("old_class",), SAVE: (), RESTORE: ("state",)}
"""A class's hooks, with what they are given beside self."""


def missing_hook(class_name: str, name: str) -> TypeError:
    """Return the error of saving or restoring an actor whose class does not say how."""
    return TypeError(
        f"{class_name} does not say how its state is saved and restored: it has no {name}. Give it both methods:\n"
        f"    def {SAVE}(self):\n"
        "        return self.__dict__\n\n"
        f"    def {RESTORE}(self, state):\n"
        "        self.__dict__.update(state)"
    )
