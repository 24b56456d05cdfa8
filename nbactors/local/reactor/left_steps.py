"""Steps that one thread has left to another one, which may wait in the midst of its own; see `Turns`."""

from __future__ import annotations

from typing import Protocol


class Servable(Protocol):
    """Something with steps that one thread has left to another."""

    def serve(self) -> bool:
        """Run them if this thread may; return whether none is left."""


class LeftSteps:
    """Where such steps are. Threads that wait serve them: each time they look around, and before each poll.

    Attributes:
        targets: Whose steps they are.
    """

    __slots__ = ("targets",)

    def __init__(self) -> None:
        self.targets: list[Servable] = []

    def add(self, target: Servable) -> None:
        """Look after its steps. Any thread."""
        if target not in self.targets:
            self.targets.append(target)

    def serve(self) -> None:
        """Run what this thread may run, and forget those that have no steps any more. Any thread."""
        for target in list(self.targets):
            if target.serve():
                try:
                    self.targets.remove(target)
                except ValueError:  # another thread has done so
                    pass
                if not target.serve():  # a step was left between, by a thread that saw the target still here
                    self.add(target)
