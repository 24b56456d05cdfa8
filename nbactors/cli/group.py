"""The command `nbactors`, which imports only the subcommand that is called."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from nbactors.cli import exit_codes
from nbactors.exceptions import NodeMissingError, RayError
from nbactors.version import __version__

_COMMANDS = {
    "status": ("nbactors.cli.status", "What runs: the nodes, their resources, the actors."),
    "list": ("nbactors.cli.list", "The actors, and the calls that run and wait."),
    "top": ("nbactors.cli.top.command", "Watch the actors and their calls, live, with keys to cancel and end."),
    "logs": ("nbactors.cli.logs", "What an actor has printed."),
    "cancel": ("nbactors.cli.cancel", "Cancel calls."),
    "interrupt": ("nbactors.cli.interrupt", "Interrupt what runs in actors; they live on."),
    "kill": ("nbactors.cli.kill", "End actors."),
    "stack": ("nbactors.cli.stack", "What actors do now: their calls, frames and threads."),
    "profile": ("nbactors.cli.profile", "Where an actor's time goes, as a table or a flame graph."),
    "timeline": ("nbactors.cli.timeline", "What ran when, as a file for Perfetto and Chrome."),
    "metrics": ("nbactors.cli.metrics", "The metrics of the node and of user code, for Prometheus."),
    "stop": ("nbactors.cli.stop", "End the node and everything that runs on it."),
    "doctor": ("nbactors.cli.doctor.command", "Check this machine and installation, and say how to mend them."),
    "microbenchmark": ("nbactors.cli.microbenchmark", "Measure this machine, beside its own limits."),
}
"""Module and help of each command. A module's command has the name that is the key here. The help is here so that
`nbactors --help` imports no command."""


class LazyGroup(click.Group):
    """A group whose commands are modules: `nbactors stop` does not import the modules of `nbactors microbenchmark`.

    No command ends with a traceback: a sentence on stderr describes the error, and the exit status is 1.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names. Called by click."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None for an unknown name. Called by click."""
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"nbactors.cli.{cmd_name}.{cmd_name} is {command!r}, which is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for the help, without importing the commands. Called by click."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in exit_codes.MEANINGS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so, without importing the commands. Called by click."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        found = [
            CompletionItem(name, help=text) for name, (_, text) in _COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*found, *options]

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line and exit with its status; return instead if `standalone_mode` is False, as in click."""
        if standalone_mode:
            _exit_quietly(self._run(*args, **extra))
        return super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]

    def _run(self, *args: Any, **extra: Any) -> int:
        """Run the command line, print a sentence for an error, and return the exit status."""
        try:
            status = super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
            sys.stdout.flush()
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            return exit_codes.INTERRUPTED
        except BrokenPipeError:
            return exit_codes.FAILED
        except NodeMissingError as error:  # it has left meanwhile
            click.echo(f"Error: {error}", err=True)
            return exit_codes.NO_NODE
        except (OSError, RayError) as error:
            click.echo(f"Error: {error}", err=True)
            return exit_codes.FAILED
        except Exception as error:  # noqa: BLE001 - a sentence is more useful to users than a traceback
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = f"Error: {type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
            click.echo(f"{text}. This is a mistake of nbactors {__version__}; please report it.", err=True)
            return exit_codes.FAILED
        return status if isinstance(status, int) else exit_codes.DONE


def _exit_quietly(status: int) -> NoReturn:
    """Exit with a status. Drop output that a closed pipe refuses: the interpreter's last flush would print an error."""
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
@click.pass_context
def main(ctx: click.Context) -> None:
    """Ray's actor API on an embedded runtime: show and end what runs on this machine.

    The first session starts the node, a background process. The node ends by itself after the last session.
    NBACTORS_DIR sets another directory for its sockets and logs. Sessions of different versions of nbactors may have
    separate nodes at the same time.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False
    # Actors' names and output may have characters that the terminal's encoding lacks.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
