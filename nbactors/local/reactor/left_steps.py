"""Steps that one thread has left for another one, which may be waiting in the middle of its own step; see `Turns`."""

from __future__ import annotations

from typing import Protocol


class Servable(Protocol):
    """An object with steps that one thread has left for another."""

    def serve(self) -> bool:
        """Run the steps if this thread may; return whether none is left."""


class LeftSteps:
    """The objects (`targets`) with such steps. A leader runs the steps before each poll, a follower at each check."""

    __slots__ = ("targets",)

    def __init__(self) -> None:
        self.targets: list[Servable] = []

    def add(self, target: Servable) -> None:
        """Have waiting threads run the object's steps. Any thread."""
        if target not in self.targets:
            self.targets.append(target)

    def serve(self) -> None:
        """Run the steps that this thread may run, and remove objects that have no steps left. Any thread."""
        for target in list(self.targets):
            if target.serve():
                try:
                    self.targets.remove(target)
                except ValueError:  # another thread has removed it
                    pass
                if not target.serve():  # a thread that saw the target still listed has left another step
                    self.add(target)
