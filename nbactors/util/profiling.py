"""`profile`: what an actor spends its time on, as a flame graph."""

from __future__ import annotations

import os
from typing import Any

from nbactors import engine
from nbactors.actor import ActorHandle
from nbactors.util.files import text_file
from nbactors.views.flame_graph import FlameGraph

__all__ = ["Profile", "profile"]

MAX_SECONDS = 3600.0


class Profile:
    """The sampled stacks of an actor. A notebook shows it as a flame graph.

    Attributes:
        title: The actor, the time and the number of samples.
        seconds: How long the actor was sampled.
        samples: How often its stacks were read.
        stacks: Each stack, from the call, asyncio task or thread to the innermost frame of user code, and in how many
            samples it was seen. The frames are texts: "function (file:first line)".
    """

    def __init__(self, label: str, seconds: float, samples: int, stacks: list[tuple[list[str], int]]) -> None:
        self.title = f"Profile of {label}: {seconds:g} s, {samples} samples"
        self.seconds = seconds
        self.samples = samples
        self.stacks = stacks

    def svg(self) -> str:
        """Return the flame graph as an SVG drawing. Time runs nowhere in it: a box is as wide as its share."""
        return self._graph().svg()

    def html(self) -> str:
        """Return the flame graph as a whole HTML document, which needs no script and no other file."""
        return self._graph().page()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the HTML document, or for a path that ends with ".svg" the drawing.

        Raises:
            OSError: The file cannot be written.
        """
        text_file.write(path, self.svg() if os.fspath(path).endswith(".svg") else self.html())

    def folded(self) -> str:
        """Return the stacks as text in the format that other tools read: `a;b;c 12` in each line."""
        return "\n".join(
            f"{';'.join(part.replace(';', ',') for part in stack)} {count}" for stack, count in self.stacks
        )

    def __repr__(self) -> str:
        graph = self._graph()
        if not self.stacks:
            return f"{self.title}\nNothing ran."
        lines = [f"{count / graph.root.count:6.1%}  {name}" for name, count in graph.hottest(10)]
        return "\n".join([self.title, *lines])

    def _repr_html_(self) -> str:
        return self._graph().section() if self.stacks else f"<div>{self.title}. Nothing ran.</div>"

    def _graph(self) -> FlameGraph:
        return FlameGraph(self.title, self.stacks)


def profile(actor: ActorHandle[Any] | str, seconds: float = 5.0, *, interval: float = 0.01) -> Profile:
    """Sample what an actor does, and return it as a flame graph. Blocks for `seconds`. Any thread.

    A thread in the actor's process reads the frames of the running calls, of user code's other threads and of asyncio
    tasks, which run on: no debugger and no privileges are needed. The samples are of time, not of work: a call that
    waits counts, too. Native code counts for the Python function that has called it; while it keeps the GIL, no sample
    is taken.

    Args:
        actor: The actor's handle, its id in hexadecimal digits, or its name.
        seconds: How long to sample, up to 3600.
        interval: Seconds between two samples.

    Returns:
        The profile. A notebook draws it; `save("profile.html")` writes it to a file.

    Raises:
        TypeError: `actor` is neither, or a number is none.
        ValueError: A number is out of range, no actor or several have this id or name, or it has no process yet.
        TimeoutError: The process has not answered.
        RayActorError: The actor is dead.

    Example:
        >>> nbactors.profile(trainer, seconds=2).save("trainer.html")

    nbactors's own; in Ray the dashboard does this by py-spy.
    """
    for name, value in (("seconds", seconds), ("interval", interval)):
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{name} must be a number of seconds. Got: {value!r:.80}")
        if not 0 < value <= MAX_SECONDS:
            raise ValueError(f"{name} must be above 0 and up to {MAX_SECONDS:.0f} seconds. Got: {value}")
    class_name, samples, stacks = engine.observe().profile(actor, float(seconds), float(interval))
    return Profile(class_name, float(seconds), samples, stacks)
