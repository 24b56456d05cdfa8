"""The cell magic `%%actor`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import magic_arguments

import nbactors
from nbactors.actor import ActorClass
from nbactors.jupyter.cell_output.actor_card import ActorCard
from nbactors.jupyter.magics import actor_arguments, class_update
from nbactors.jupyter.magics.cell_code import CellFailed, execute, parse
from nbactors.jupyter.magics.magic_line import is_variable, parsed

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@magics_class
class ActorMagics(Magics):
    """The magic that defines an actor class in a cell."""

    @magic_arguments()
    @actor_arguments.declared
    @no_var_expand
    @cell_magic
    def actor(self, line: str, cell: str) -> None:
        """Make the class that this cell defines an actor class, under its own name.

        The cell defines one class, and may contain any other code. With a VARIABLE the options for names and lifetime
        apply to that actor; without, they are the defaults of the class. If the cell fails, or if the class is refused,
        its name leads to what it led to before.

        ::

            %%actor counter
            class Counter:
                def __init__(self):
                    self.value = 0

                def increment(self):
                    self.value += 1
                    return self.value

        and in the next cell `nbactors.get(counter.increment.remote())`. Arguments of the constructor follow `--args`:
        `%%actor --args "start=10" counter`.
        """
        shell = self.shell
        assert shell is not None
        arguments = parsed(self.actor, line)
        options = actor_arguments.options(shell, arguments)
        _check_variable(arguments.variable, arguments.args)
        evaluate = actor_arguments.constructor_call(shell, arguments.args or "")
        own = {key: options.pop(key) for key in actor_arguments.NAMING if key in options and arguments.variable}
        not_updated = ""
        try:
            tree, filename = parse(shell, cell)
            class_name = _class_name(tree)
            with _kept_if_refused(shell, class_name):
                execute(shell, tree, filename)
                actor_class = _define(_defined_class(shell.user_ns.get(class_name), class_name), options)
                shell.user_ns[class_name] = actor_class
                if arguments.update:
                    not_updated = class_update.update(shell, actor_class, cell)
        except CellFailed:
            return
        if not_updated:
            raise UsageError(not_updated)
        if not arguments.update:
            class_update.tell_of_old(shell, actor_class, cell, arguments.variable)
        elif class_update.is_one_of(shell.user_ns.get(arguments.variable), actor_class):
            return
        if arguments.variable:
            before = shell.user_ns.get(arguments.variable)
            had_state = class_update.is_one_of(before, actor_class)
            handle = _instance(actor_class, own, arguments.variable, evaluate)
            shell.user_ns[arguments.variable] = handle
            if had_state and handle != before:
                name = arguments.variable
                print(f"{name} is a new actor, without the state of the one before. %%actor --update {name} keeps it")
            # Not returned: IPython's history would keep the actor alive.
            ActorCard(handle)


@contextmanager
def _kept_if_refused(shell: InteractiveShell, name: str) -> Iterator[None]:
    """Have a name lead to what it led to before if the block raises: a plain class would replace an actor class."""
    names = shell.user_ns
    had, before = name in names, names.get(name)
    try:
        yield
    except BaseException:
        if had:
            names[name] = before
        else:
            names.pop(name, None)
        raise


def _define(cls: type, options: dict[str, Any]) -> ActorClass[Any]:
    """Make the class of the cell an actor class."""
    try:
        return nbactors.remote(**options)(cls) if options else nbactors.remote(cls)
    except (TypeError, ValueError) as error:
        raise UsageError(f"%%actor: {error}") from None


def _instance(
    actor_class: ActorClass[Any], naming: dict[str, Any], variable: str, evaluate: Callable[[], Arguments]
) -> Any:
    """Create the actor of the VARIABLE, with the options for names and lifetime, which only it gets."""
    try:
        named = actor_class.options(**naming) if naming else actor_class
        args, kwargs = evaluate()
        _check_constructor(actor_class.__wrapped__, variable, args, kwargs)
        return named.remote(*args, **kwargs)
    except (TypeError, ValueError) as error:  # --args raises, an argument cannot be pickled, or the name is taken
        raise UsageError(
            f"%%actor: {actor_class.__name__} is an actor class now, but {variable} was not made: {error}"
        ) from None


def _check_variable(variable: str | None, args: str | None) -> None:
    if variable is None and args is not None:
        raise UsageError(
            f"%%actor: --args {args} is for an instance, so a variable for it is needed; write "
            f"%%actor --args {args} VARIABLE"
        )
    if variable is not None and not is_variable(variable):
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
    """Check that the class's name still stands for a plain class after the cell."""
    if isinstance(value, type):
        return value
    raise UsageError(
        f"%%actor: {name} is {type(value).__name__} by now, not a class; %%actor does what a decorator would do, "
        "so leave out @remote"
    )


def _check_constructor(cls: type, variable: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Check that the constructor takes the arguments, before a process is started for the actor."""
    try:
        inspect.signature(cls).bind(*args, **kwargs)
    except TypeError as error:
        name = cls.__name__
        raise UsageError(
            f"%%actor: {name} is an actor class now, but {variable} was not made, since its constructor takes other "
            f'arguments ({error}); write %%actor --args "..." {variable}, or {variable} = {name}.remote(...) in the '
            "next cell"
        ) from None
    except ValueError:  # a constructor written in C may have no signature
        pass
