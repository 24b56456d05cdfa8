"""The line of `%%actor`: its arguments, and their translation to options of `remote`."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable, Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic_arguments import argument

import nbactors
from nbactors.jupyter.magics.magic_line import unquoted

NAMING = ("name", "namespace", "lifetime", "get_if_exists")
_TEXTS = ("name", "namespace", "working_dir", "scheduling_strategy", "memory_limit", "accelerator_type")
_AS_THEY_ARE = (
    *NAMING,
    "num_cpus",
    "num_gpus",
    "memory",
    "memory_limit",
    "max_concurrency",
    "max_pending_calls",
    "max_restarts",
    "max_task_retries",
    "allow_out_of_order_execution",
    "scheduling_strategy",
    "accelerator_type",
)

_ARGUMENTS = (
    argument("variable", nargs="?", metavar="VARIABLE", help="Also create one actor, and bind its handle to this."),
    argument(
        "--args",
        metavar='"EXPRESSION, …"',
        help='What the constructor is given, as between the parentheses of a call: --args "data, rate=0.1". Evaluated '
        "in the notebook after the cell has run.",
    ),
    argument(
        "--update",
        action="store_true",
        help="Have living actors of this class run the new code: their state stays, see nbactors.update. A VARIABLE "
        "that holds one of them keeps it.",
    ),
    argument("--name", help="The actor's name, for get_actor and %%attach."),
    argument("--namespace", help="The namespace of the name; the session's own by default."),
    argument(
        "--lifetime",
        choices=["detached", "non_detached"],
        help="A detached actor outlives the kernel, until it is killed.",
    ),
    argument("--get-if-exists", action="store_true", default=None, help="Take the actor of that name if there is one."),
    argument("--num-cpus", type=float, metavar="N", help="CPUs it holds; by default 1 to be placed, 0 to run."),
    argument("--num-gpus", type=float, metavar="N", help="GPUs it holds; may be a fraction."),
    argument("--memory", type=float, metavar="BYTES", help="Memory that must be free for it, 2e9 for instance."),
    argument(
        "--memory-limit",
        metavar="BYTES",
        help="Memory that it may use, 2GiB for instance: a method that goes beyond gets MemoryError.",
    ),
    argument(
        "--resource",
        action="append",
        metavar="KEY=AMOUNT",
        help="A custom resource it holds; may be given several times.",
    ),
    argument("--max-concurrency", type=int, metavar="N", help="How many of its calls run at once."),
    argument(
        "--concurrency-group",
        action="append",
        metavar="NAME=N",
        help="A group of methods of which N run at once; may be given several times.",
    ),
    argument("--max-pending-calls", type=int, metavar="N", help="How many calls may be under way; -1 for any number."),
    argument(
        "--allow-out-of-order-execution",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="Whether calls may overtake each other.",
    ),
    argument("--max-restarts", type=int, metavar="N", help="How often it is started again after a crash."),
    argument("--max-task-retries", type=int, metavar="N", help="How often a call is run again after a crash."),
    argument(
        "--env",
        action="append",
        metavar="NAME=VALUE",
        help='An environment variable of its process, "NAME=some words" in quotes; may be given several times.',
    ),
    argument("--working-dir", metavar="DIRECTORY", help="Its working directory, which it can import from too."),
    argument("--accelerator-type", metavar="KIND", help="The kind of accelerator that its node must have."),
    argument(
        "--label-selector",
        action="append",
        metavar="LABEL=VALUE",
        help="A label that its node must have; may be given several times.",
    ),
    argument(
        "--fallback-strategy",
        action="append",
        metavar="LABEL=VALUE",
        help="A label that will do where no node has those of --label-selector; may be given several times, the first "
        "one that a node has counts.",
    ),
    argument("--scheduling-strategy", choices=["DEFAULT", "SPREAD"], help="Ray's; on one machine it changes nothing."),
)


def declared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare the arguments of `%%actor` for a magic. A decorator for the place below `@magic_arguments()`."""
    for add in reversed(_ARGUMENTS):
        function = add(function)
    return function


def options(shell: InteractiveShell, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the given options as `remote` takes them.

    Variables of the notebook in braces stand for their values: `--name {name}`.

    Raises:
        UsageError: An option is wrong.
    """
    given = vars(arguments)
    for key in _TEXTS:
        if given[key] is not None:
            given[key] = _text(shell, given[key])
    found = {key: given[key] for key in _AS_THEY_ARE if given[key] is not None}
    if arguments.resource:
        found["resources"] = dict(_pair(shell, text, "--resource", "disk=2", float) for text in arguments.resource)
    if arguments.concurrency_group:
        groups = (_pair(shell, text, "--concurrency-group", "io=4", int) for text in arguments.concurrency_group)
        found["concurrency_groups"] = dict(groups)
    if arguments.label_selector:
        found["label_selector"] = dict(
            _pair(shell, text, "--label-selector", "zone=a", str) for text in arguments.label_selector
        )
    if arguments.fallback_strategy:
        pairs = (_pair(shell, text, "--fallback-strategy", "zone=b", str) for text in arguments.fallback_strategy)
        found["fallback_strategy"] = [{"label_selector": {name: value}} for name, value in pairs]
    env: dict[str, Any] = {}
    if arguments.env:
        env["env_vars"] = dict(_pair(shell, text, "--env", "DEBUG=1", str) for text in arguments.env)
    if arguments.working_dir is not None:
        env["working_dir"] = arguments.working_dir
    if env:
        found["runtime_env"] = env
    _check(found)
    return found


def constructor_call(shell: InteractiveShell, text: str) -> Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]:
    """Read `--args`; return a function that evaluates it in the notebook's namespace.

    Raises:
        UsageError: The text cannot stand between the parentheses of a call. The function raises ValueError if an
            expression raises.
    """
    source = unquoted(text)
    wrong = f"%%actor: --args {text} cannot stand between the parentheses of a call"
    try:
        tree = ast.parse(f"__arguments__({source}\n)", filename="<--args>", mode="eval")
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"{wrong}: {reason}; write for instance --args \"1, key='text'\"") from None
    call = tree.body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "__arguments__"):
        raise UsageError(f"{wrong}: its parentheses do not match")

    def evaluate() -> tuple[tuple[Any, ...], dict[str, Any]]:
        def collect(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
            return args, kwargs

        # A mapping of ours has the name `__arguments__`, so that the user's namespace stays as it is.
        names: Mapping[str, Any] = {**shell.user_ns, "__arguments__": collect}
        try:
            result: tuple[tuple[Any, ...], dict[str, Any]] = eval(
                compile(tree, "<--args>", "eval"), shell.user_global_ns, names
            )
        except Exception as error:
            raise ValueError(f"--args {text} raised {type(error).__name__}: {error}") from error
        return result

    return evaluate


def _text(shell: InteractiveShell, text: str) -> str:
    return str(shell.var_expand(unquoted(text), depth=1))


def _pair(
    shell: InteractiveShell, text: str, option: str, example: str, convert: Callable[[str], Any]
) -> tuple[str, Any]:
    """Read NAME=VALUE."""
    key, equals, value = unquoted(text).partition("=")
    try:
        if not (key and equals):
            raise ValueError
        return _text(shell, key), convert(_text(shell, value))
    except ValueError:
        form = {float: "KEY=AMOUNT", int: "NAME=N", str: "NAME=VALUE"}[convert]  # type: ignore[index]
        raise UsageError(f"{option} {text!r} is not {form}; write for instance {option} {example}") from None


class _Anything:
    """Stands for the class of the cell, which is not defined yet."""


def _check(found: Mapping[str, Any]) -> None:
    """Refuse wrong options before the cell runs."""
    try:
        if found:
            nbactors.remote(**found)(_Anything)
    except (TypeError, ValueError) as error:
        raise UsageError(f"%%actor: {error}") from None
