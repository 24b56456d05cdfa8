"""The line magic `%inbox`: what calls of earlier cells have put out while no page showed it."""

from __future__ import annotations

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.magics.magic_line import parsed


@magics_class
class InboxMagics(Magics):
    """The magic that replays output."""

    @magic_arguments()
    @argument(
        "cells", metavar="N", type=int, nargs="*", help="The number of a cell, as in In[5]: all that is kept of it."
    )
    @argument("-a", "--all", action="store_true", help="All that is kept of all cells, also what this page has shown.")
    @line_magic
    def inbox(self, line: str) -> None:
        """Show what calls of earlier cells have put out while no page showed it, each under the number of its cell.

        After a reload of the page, or in a second front end, output of calls no longer appears under the cells that
        have made the calls. The kernel keeps it: printed lines, displays, results and errors, and the last states of
        progress bars and of the lines of `%%remote`. `%inbox` shows the cells that another page has run, and to which
        something came later than 2 seconds after that page had sent its last cell. What their calls put out from now on
        shows here as well, live, until `%inbox` runs again. `%inbox 5` shows one cell, whichever page has run it.

        Of a cell, 4 MiB and 2,000 messages are kept, and of all cells 32 MiB, until the kernel ends. The oldest are
        dropped first, and counted. `%actor_logs` has all lines that an actor has printed.
        """
        arguments = parsed(self.inbox, line)
        known = cells.running()
        if known is None:
            print("There is no inbox: either no session was started yet, or a terminal shows everything as it comes.")
            return
        kept = known.kept()
        if arguments.cells:
            missing = [number for number in arguments.cells if f"In[{number}]" not in dict(kept).values()]
            if missing:
                raise UsageError(f"%inbox: nothing is kept of In[{missing[0]}]")
            wanted = [number for number, prompt in kept if prompt in {f"In[{each}]" for each in arguments.cells}]
        else:
            wanted = [number for number, _ in kept] if arguments.all else known.missed()
        if not wanted:
            print(
                "Nothing has come that no page has shown."
                + (" `%inbox --all` shows all that is kept." if kept and not arguments.all else "")
            )
        known.replay(wanted)
