"""The command `nbactors`, which knows its subcommands by name and imports the one that is called."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from nbactors.exceptions import RayError
from nbactors.version import __version__

_COMMANDS = {
    "status": ("nbactors.cli.status", "What runs: the nodes, their resources, the actors."),
    "stop": ("nbactors.cli.stop", "End the node and everything that runs on it."),
    "logs": ("nbactors.cli.logs", "What an actor has printed."),
    "microbenchmark": ("nbactors.cli.microbenchmark", "Measure this machine, beside its own limits."),
}
"""The object in the module has the command's name. The help stands here so that listing the commands imports none."""

_INTERRUPTED = 130
"""The exit status of what Ctrl-C has ended, as shells have it."""


class LazyGroup(click.Group):
    """A group whose commands are modules: `nbactors stop` need not wait for what `nbactors microbenchmark` imports.

    No command ends with a traceback: what goes wrong is told in a sentence on stderr, with exit status 1.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, for the help. Called by click."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None if there is none of that name. Called by click."""
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"nbactors.cli.{cmd_name}.{cmd_name} is {command!r}, which is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in the help, without importing them. Called by click."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run, and exit with a status. Called by whoever starts the command line."""
        if standalone_mode:
            _leave(self._run(*args, **extra))
        return super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]

    def _run(self, *args: Any, **extra: Any) -> int:
        """Run; tell what goes wrong, and return the exit status."""
        try:
            status = super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
            sys.stdout.flush()
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            return _INTERRUPTED
        except BrokenPipeError:
            return 1
        except (OSError, RayError) as error:
            click.echo(f"Error: {error}", err=True)
            return 1
        except Exception as error:  # noqa: BLE001 - whatever it is, people want a sentence
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = f"Error: {type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
            click.echo(f"{text}. This is a mistake of nbactors {__version__}; please report it.", err=True)
            return 1
        return status if isinstance(status, int) else 0


def _leave(status: int) -> NoReturn:
    """Exit, quietly also if nobody reads what was written: the interpreter would complain when it flushes."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            except (OSError, ValueError):
                pass
    sys.exit(status)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nbactors")
def main() -> None:
    """Ray's actor API on an embedded runtime: look after what runs on this machine.

    The node is started by the first session and leaves by itself after the last; NBACTORS_DIR names another
    directory than the usual one for its sockets and logs. Sessions of different versions of nbactors may have nodes of
    their own, which run beside each other.
    """
    # What actors print and are called may have characters that the terminal's encoding lacks.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
