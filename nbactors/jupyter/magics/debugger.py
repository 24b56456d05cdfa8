"""The line magic `%debugger`: attach to a call that waits at a `breakpoint()`."""

from __future__ import annotations

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from nbactors.jupyter.failures import waiting_breakpoints
from nbactors.jupyter.magics.magic_line import parsed, unquoted


@magics_class
class DebugMagics(Magics):
    """The magic that debugs calls in other processes."""

    @magic_arguments()
    @argument("name", nargs="?", metavar="NAME", help="Its actor's or task's name, or the pid. By default the first.")
    @line_magic
    def debugger(self, line: str) -> None:
        """Open the debugger at a call that has come to a `breakpoint()` while the notebook did not wait for it."""
        name = unquoted(parsed(self.debugger, line).name or "")
        stopped = waiting_breakpoints.stopped()
        if not stopped:
            raise UsageError("%debugger: no call waits at a breakpoint()")
        found = [paused for paused in stopped if name in ("", paused.label, str(paused.pid))]
        if not found:
            names = ", ".join(f"{paused.label} (pid {paused.pid})" for paused in stopped)
            raise UsageError(f"%debugger: {name!r} does not wait at a breakpoint(); these do: {names}")
        waiting_breakpoints.attach(found[0])
