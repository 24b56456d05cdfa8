"""The compiled part of the path of a call, and what stands in its place where it was not built.

Most of the time of a small call is the interpreter's. So on Linux, what each call does is compiled: to send a frame,
to receive frames and hand their messages on, to poll, and in a worker to take a call in, to begin, answer and end it,
and to turn an actor's event loop (the files in C here). That part does the usual case only, as one step. All else is
done by the steps in Python beside it, in `local.connections`, `local.reactor` and `local.worker`, and by asyncio. They
are complete by themselves: they do everything on macOS, where no C compiler was found at the installation, and with
``NBACTORS_SPEEDUPS=0``.
"""

from nbactors.speedups.form import ConnectionBase, ReactorBase, SelectorBase, compiled, why_not

__all__ = ["ConnectionBase", "ReactorBase", "SelectorBase", "compiled", "why_not"]
