"""The line magic `%actor_logs`: the whole output of an actor, also from before the kernel was started."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from nbactors.actor import ActorHandle
from nbactors.frontend.text_stream import write
from nbactors.jupyter.magics.magic_line import parsed, unquoted
from nbactors.util.actor_log import read
from nbactors.util.state import NodeMissingError, actor_logs

MOST_LINES = 5_000
"""Lines that are shown by default: a page with a million lines is of no use."""


@magics_class
class LogMagics(Magics):
    """The magic that reads logs."""

    @magic_arguments()
    @argument(
        "actor",
        metavar="NAME|VARIABLE",
        help="A variable with a handle, an actor's name or class, a process id, or the beginning of an actor's id.",
    )
    @argument("-n", "--lines", type=int, metavar="N", help=f"Only the last N lines; {MOST_LINES:,} by default.")
    @argument("-f", "--follow", action="store_true", help="Go on until the actor ends, or the kernel is interrupted.")
    @line_magic
    def actor_logs(self, line: str) -> None:
        """Show an actor's output, on stdout and stderr, from calls of all cells.

        If several actors have the name, the latest is shown. The log is complete, also where cells show only the last
        lines of a flood. It exists as long as the node runs, also after a restart of the kernel and the actor's death.
        """
        arguments = parsed(self.actor_logs, line)
        if arguments.lines is not None and arguments.lines < 0:
            raise UsageError("%actor_logs: -n takes a number of lines, 0 or more")
        actor = self._find(unquoted(arguments.actor))
        lines = MOST_LINES if arguments.lines is None else arguments.lines
        try:
            for text in read(actor, lines, arguments.follow):
                write(sys.stdout, text)
        except KeyboardInterrupt:
            if not arguments.follow:
                raise
        except OSError as error:
            raise UsageError(f"%actor_logs: the log cannot be read ({error.strerror}): {actor['log_path']}") from None
        if not arguments.follow and not (actor["log_path"] or actor["last_log_path"]):
            print("It has printed nothing yet.")

    def _find(self, word: str) -> dict[str, Any]:
        """Return the latest actor that a word means."""
        assert self.shell is not None
        value = self.shell.user_ns.get(word)
        name = value._link.actor_id.hex() if isinstance(value, ActorHandle) else word
        try:
            found = actor_logs(name)
        except NodeMissingError:
            raise UsageError("%actor_logs: no node runs, and logs live no longer than the node") from None
        if not found:
            raise UsageError(f"%actor_logs: there is no actor {word!r}; %actors --all lists those that are known")
        if len(found) > 1:
            print(f"{len(found)} actors are called {word!r}; this is the latest, pid {found[-1]['pid']}.")
        return found[-1]
