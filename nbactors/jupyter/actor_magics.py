"""The cell magic `%%actor`."""

from __future__ import annotations

import argparse
import ast
import inspect
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

import nbactors
from nbactors.actor import ActorClass
from nbactors.jupyter.cell import CellFailed, execute, parse

_NAMING = ("name", "namespace", "lifetime", "get_if_exists")
_RESOURCES = ("num_cpus", "num_gpus", "memory")


@magics_class
class ActorMagics(Magics):
    """Actor classes that are defined in a cell."""

    @magic_arguments()
    @argument("variable", nargs="?", metavar="VARIABLE", help="Also create one actor, and bind its handle to this.")
    @argument("--name", help="The actor's name, for get_actor.")
    @argument("--namespace", help="The namespace of the name; the session's own by default.")
    @argument(
        "--lifetime",
        choices=["detached", "non_detached"],
        help="A detached actor outlives the kernel, until it is killed.",
    )
    @argument("--get-if-exists", action="store_true", default=None, help="Take the actor of that name if there is one.")
    @argument("--num-cpus", type=float, metavar="N", help="CPUs it holds; by default 1 to be placed, 0 to run.")
    @argument("--num-gpus", type=float, metavar="N", help="GPUs it holds; may be a fraction.")
    @argument("--memory", type=float, metavar="BYTES", help="Memory that must be free for it, 2e9 for instance.")
    @argument(
        "--resource",
        action="append",
        metavar="KEY=AMOUNT",
        help="A custom resource it holds; may be given several times.",
    )
    @cell_magic
    def actor(self, line: str, cell: str) -> None:
        """Make the class that this cell defines an actor class, under its own name.

        The cell may import and prepare what it likes, and defines one class. With a VARIABLE the options for names
        and lifetime apply to that actor; without, they are the class's defaults.

        ::

            %%actor counter
            class Counter:
                def __init__(self):
                    self.value = 0

                def increment(self):
                    self.value += 1
                    return self.value

        and in the next cell `nbactors.get(counter.increment.remote())`.
        """
        shell = self.shell
        assert shell is not None
        arguments = parse_argstring(self.actor, line)
        options = _options(arguments)
        _check_variable(arguments.variable)
        try:
            tree, filename = parse(shell, cell)
            class_name = _class_name(tree)
            execute(shell, tree, filename)
        except CellFailed:
            return
        cls = _defined_class(shell.user_ns.get(class_name), class_name)
        own = {key: options.pop(key) for key in _NAMING if key in options and arguments.variable}
        actor_class: ActorClass[Any] = nbactors.remote(**options)(cls) if options else nbactors.remote(cls)
        shell.user_ns[class_name] = actor_class
        if arguments.variable:
            _check_constructor(cls, arguments.variable)
            handle = (actor_class.options(**own) if own else actor_class).remote()
            shell.user_ns[arguments.variable] = handle
            # Not returned: IPython's history would keep the actor alive.
            display(handle)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, as `remote` takes them."""
    options = {key: getattr(arguments, key) for key in _NAMING + _RESOURCES if getattr(arguments, key) is not None}
    if arguments.resource:
        options["resources"] = dict(_resource(text) for text in arguments.resource)
    return options


def _resource(text: str) -> tuple[str, float]:
    """Read KEY=AMOUNT."""
    key, _, amount = text.partition("=")
    try:
        return key, float(amount)
    except ValueError:
        raise UsageError(f"--resource {text!r} is not KEY=AMOUNT; write for instance --resource disk=2") from None


def _check_variable(variable: str | None) -> None:
    if variable is not None and not variable.isidentifier():
        raise UsageError(
            f"%%actor: {variable!r} is no variable name; write %%actor [options] [VARIABLE]; %%actor? lists the options"
        )


def _class_name(tree: ast.Module) -> str:
    """Return the name of the one class that a cell defines at its top level."""
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if len(names) == 1:
        return names[0]
    if not names:
        raise UsageError("%%actor: this cell defines no class at its top level; write the actor's class below %%actor")
    raise UsageError(
        f"%%actor: this cell defines {len(names)} classes ({', '.join(names)}); keep the actor's here and move the "
        "others to a cell of their own"
    )


def _defined_class(value: Any, name: str) -> type:
    """Check that what the cell left under the class's name is a plain class."""
    if isinstance(value, type):
        return value
    raise UsageError(
        f"%%actor: {name} is {type(value).__name__} by now, not a class; %%actor does what a decorator would do, "
        "so leave out @remote"
    )


def _check_constructor(cls: type, variable: str) -> None:
    """Check that the constructor can be called without arguments, before a process is started for it."""
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        raise UsageError(
            f"%%actor: {cls.__name__} is an actor class now, but {variable} was not made, since its constructor needs "
            f"arguments ({error}); write {variable} = {cls.__name__}.remote(...) in the next cell"
        ) from None
