"""The magic `%%trace`: who calls whom while a cell runs, and when.

IPython runs a cell magic's cell as a function call: without top-level `await`, and not as the cell's own code. So a
transformation replaces the line `%%trace` by the line magic `%trace`, which traces the cell that runs: its output,
errors, variables and value are as without it, and lines keep their numbers.
"""

from __future__ import annotations

from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from nbactors.jupyter.cell_output import sink
from nbactors.jupyter.magics.cell_code import cell_number, note_failure
from nbactors.jupyter.magics.magic_line import parsed, unquoted
from nbactors.jupyter.panels import display, trace_display

_NAME = "%%trace"


@magics_class
class TraceMagics(Magics):
    """The magic that traces a cell."""

    @magic_arguments()
    @argument("--save", metavar="FILE", help="At the end, write the calls to this file, for Perfetto and Chrome.")
    @argument(
        "--wait",
        type=float,
        default=trace_display.WAIT_S,
        metavar="S",
        help="In a batch (nbclient, papermill, nbconvert) and in a terminal, the seconds for which the end of the cell "
        "waits for its calls; 60 by default.",
    )
    @line_cell_magic
    def trace(self, line: str, cell: str | None = None) -> None:
        """Run this cell as usual, and show under it who calls whom, with the time in queues and the time of each run.

        The picture has all calls that the cell makes, and the calls that these make: tasks, methods and constructions
        of actors. It is live until the last of them has ended, also when the cell has ended before. Each actor has a
        track. Drag to zoom; hover a bar, or move with the arrow keys, to see a call and its caller. The table below
        has each function's times.

        ::

            %%trace --save trace.json
            ray.get([solve.remote(part) for part in parts])

        `%trace` on a line of its own traces the rest of its cell.
        """
        shell = self.shell
        assert shell is not None
        arguments = parsed(self.trace, line)
        # The cell has no number, and nothing notes its end, before a session starts, which the cell itself may do.
        sink.watch(shell)
        display.watch(shell)
        number = cell_number(shell)
        save = Path(unquoted(arguments.save)).expanduser().absolute() if arguments.save else None
        trace_display.Trace(f"In[{number}]", number, save, arguments.wait)
        if cell is not None:  # a program has called the magic
            result = shell.run_cell(cell)
            error = result.error_before_exec or result.error_in_exec
            if error is not None:
                note_failure(shell, error, before_execution=result.error_before_exec is not None)


def _as_line_magic(lines: list[str]) -> list[str]:
    """Replace `%%trace` at the begin of a cell by the line magic. See IPython's `input_transformers_cleanup`."""
    name, _, rest = lines[0].rstrip("\n").partition(" ") if lines else ("", "", "")
    if name != _NAME or len(lines) < 2:
        return lines  # IPython tells that the cell is empty, or shows help for `%%trace?`
    return [f"get_ipython().run_line_magic('trace', {rest.strip()!r})\n", *lines[1:]]


def watch(shell: InteractiveShell) -> None:
    """Have `%%trace` run its cell as usual. Calling it again does nothing. On the main thread."""
    transformers = shell.input_transformers_cleanup
    if _as_line_magic not in transformers:
        transformers.append(_as_line_magic)


def unwatch(shell: InteractiveShell) -> None:
    """Undo `watch`. On the main thread."""
    transformers = shell.input_transformers_cleanup
    if _as_line_magic in transformers:
        transformers.remove(_as_line_magic)
