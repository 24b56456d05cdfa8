"""The methods (hooks) by which an actor class takes part in `update`, `checkpoint` and `restore`."""

from __future__ import annotations

SWAP = "__nbactors_swap__"
"""Name of the runtime's call that changes an actor's class; not a hook."""

MIGRATE = "__nbactors_update__"
"""Hook `(self, old_class)`: called when the instance already has the new class."""

SAVE = "__nbactors_save__"
"""Hook `(self)` that returns the state, an object that can be pickled; also the name of the call that runs it."""

RESTORE = "__nbactors_restore__"
"""Hook `(self, state)`: called by `restore`, and after the constructor at a restart; also the name of that call."""

NOW = "__ray_now__"
"""Name of the call of a function with the instance at once, beside all other calls; also that of its concurrency
group. Not a hook."""

METHODS = frozenset({SWAP, SAVE, RESTORE})
"""Names of calls that run while no other call of the actor runs."""

HOOKS = {MIGRATE: ("old_class",), SAVE: (), RESTORE: ("state",)}
"""The hooks, each with the names of its parameters after self."""


def missing_hook(class_name: str, name: str) -> TypeError:
    """Return the error of saving or restoring an actor whose class lacks the hook `name`."""
    return TypeError(
        f"{class_name} does not say how its state is saved and restored: it has no {name}. Give it both methods:\n"
        f"    def {SAVE}(self):\n"
        "        return self.__dict__\n\n"
        f"    def {RESTORE}(self, state):\n"
        "        self.__dict__.update(state)"
    )
