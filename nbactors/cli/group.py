"""The command `nbactors`, which knows its subcommands by name and imports the one that is called."""

from __future__ import annotations

import importlib
import io
import sys

import click

from nbactors.version import __version__

_COMMANDS = {
    "status": ("nbactors.cli.status", "What runs: the node, its resources, the actors."),
    "stop": ("nbactors.cli.stop", "End the node and everything that runs on it."),
    "logs": ("nbactors.cli.logs", "What an actor has printed."),
    "microbenchmark": ("nbactors.cli.microbenchmark", "Measure this machine, beside its own limits."),
}
"""The object in the module has the command's name. The help stands here so that listing the commands imports none."""


class LazyGroup(click.Group):
    """A group whose commands are modules: `nbactors stop` need not wait for what `nbactors microbenchmark` imports."""

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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nbactors")
def main() -> None:
    """Ray's actor API on an embedded runtime: look after what runs on this machine.

    The node is started by the first session and leaves by itself after the last; NBACTORS_DIR names another
    directory than the usual one for its sockets and logs.
    """
    # What actors print and are called may have characters that the terminal's encoding lacks.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
