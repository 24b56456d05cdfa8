"""The line magics `%actors`, `%kill`, `%cancel` and `%attach`: they list and end actors and calls."""

from __future__ import annotations

import difflib
import keyword
import re
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

import nbactors
from nbactors.actor import ActorHandle
from nbactors.jupyter.magics.actor_table import Roster
from nbactors.jupyter.magics.magic_line import is_variable, parsed, unquoted, variables
from nbactors.util import calls, state
from nbactors.util.panels import Panel, panel

_REFERENCES = (nbactors.ObjectRef, nbactors.ObjectRefGenerator)


@magics_class
class ControlMagics(Magics):
    """The magics that list actors, end them, and end calls."""

    @magic_arguments()
    @argument("--all", action="store_true", help="Also actors of other sessions, and dead ones.")
    @argument("--stacks", action="store_true", help="Also print the stack of each actor's process.")
    @argument("--live", action="store_true", help="A panel that goes on, with buttons; see `nbactors.panel`.")
    @line_magic
    def actors(self, line: str) -> Roster | Panel:
        """Show this session's actors and the detached ones.

        The column "calls here" counts the calls of this session. The column "namespace" is empty for actors of this
        session's namespace. Starts nothing, and asks no actor, so it also shows actors that are stuck.
        """
        arguments = parsed(self.actors, line)
        if arguments.live:
            if arguments.all or arguments.stacks:
                raise UsageError("%actors: --live takes no other option: the panel has a button for each stack")
            return panel()
        rows = _living_or_all(arguments.all)
        hint = "No actors." if arguments.all else "No actors of this session, and no detached ones."
        assert self.shell is not None
        held = [(name, value._link) for name, value in variables(self.shell) if type(value) is ActorHandle]
        handles = {link.actor_id.hex(): name for name, link in held}
        unread = {link.actor_id.hex(): link.facts().unread for _, link in held}
        own = nbactors.get_runtime_context().namespace if nbactors.is_initialized() else ""
        tasks = state.list_tasks(limit=state.MANY) if rows else ()
        roster = Roster(rows, calls.pending_calls(), handles, unread, hint, tasks, own)
        if arguments.stacks:
            _print_stacks(rows)
        return roster

    @magic_arguments()
    @argument("actors", nargs="+", metavar="NAME|VARIABLE", help="A variable with a handle or handles, or a name.")
    @argument("--namespace", help="Where names are looked up; by default this session's, then the others.")
    @line_magic
    def kill(self, line: str) -> None:
        """End actors at once. Their pending calls fail, and all later ones.

        A word is looked up as a variable first, then as an actor's name. `handle.__ray_terminate__.remote()` ends an
        actor when it has run its earlier calls.
        """
        arguments = parsed(self.kill, line)
        # All words are looked up first, so that a misspelt one kills no actor.
        found = [self._find(unquoted(word), arguments.namespace) for word in arguments.actors]
        for handle, label in dict(pair for pairs in found for pair in pairs).items():
            if not _lives(handle):
                print(f"Dead already: {label}")
                continue
            try:
                nbactors.kill(handle)
            except nbactors.exceptions.RayError as error:
                raise UsageError(f"%kill: {label}: {error}") from None
            print(f"Killed {label}")

    @magic_arguments()
    @argument(
        "references",
        nargs="*",
        metavar="VARIABLE",
        help="A reference, a generator, or a list of these. None given: all pending calls of this session.",
    )
    @argument("--force", action="store_true", help="End the processes of tasks; not for calls of actors.")
    @argument("--interrupt", action="store_true", help="Raise KeyboardInterrupt in running plain methods of actors.")
    @line_magic
    def cancel(self, line: str) -> None:
        """Cancel calls; returns at once. Calls that have not begun never run.

        A running task gets KeyboardInterrupt, an async method CancelledError. A plain method goes on without
        `--interrupt`.
        """
        arguments = parsed(self.cancel, line)
        if arguments.force and arguments.interrupt:
            raise UsageError("%cancel: --force ends processes and --interrupt spares them; give one of them")
        if not arguments.references:
            pending = calls.pending_calls()
            count = calls.cancel_all(force=arguments.force, interrupt=arguments.interrupt)
            print(f"Cancelled {_count(count, 'pending call')} of this session" if count else "No call is pending")
            if any(call["plain"] and call["sent"] for call in pending) and not arguments.interrupt:
                print("Plain methods that run already go on; %cancel --interrupt stops them, too")
            return
        given = [ref for word in arguments.references for ref in self._references(word)]
        # The same calls may be in several lists.
        wanted = list({id(ref): ref for ref in given}.values())
        endings = [ref.completed() if isinstance(ref, nbactors.ObjectRefGenerator) else ref for ref in wanted]
        unended = [ref for ref, ending in zip(wanted, endings, strict=True) if not ending.done()]
        for ref in unended:
            try:
                nbactors.cancel(ref, force=arguments.force, interrupt=arguments.interrupt)
            except (ValueError, nbactors.exceptions.RayError) as error:
                raise UsageError(f"%cancel: {error}") from None
        ended = len(wanted) - len(unended)
        print(
            f"Cancelled {_count(len(unended), 'pending call')}" + (f"; {ended} had ended already" if ended else "")
            if unended
            else "Nothing to cancel: " + ("it has ended already" if ended == 1 else "all have ended already")
        )

    @magic_arguments()
    @argument("name", metavar="NAME", help="The actor's name.")
    @argument("variable", nargs="?", metavar="VARIABLE", help="The variable for its handle; by default its name.")
    @argument("--namespace", help="Where the name is looked up; this session's by default.")
    @line_magic
    def attach(self, line: str) -> None:
        """Bind a living actor to a variable by its name, for instance a detached one after a restart of the kernel.

        The handle is weak, as that of `get_actor`: an actor that is not detached ends without its creator's handle.
        """
        arguments = parsed(self.attach, line)
        assert self.shell is not None
        name = unquoted(arguments.name)
        variable = arguments.variable or _identifier(name)
        if not is_variable(variable):
            raise UsageError(f"%attach: {variable!r} is no variable name; write %attach NAME [VARIABLE]")
        present = self.shell.user_ns.get(variable)
        if not arguments.variable and present is not None and not isinstance(present, ActorHandle):
            raise UsageError(
                f"%attach: the variable {variable} holds {type(present).__name__} already; name another one: "
                f"%attach {arguments.name} VARIABLE"
            )
        try:
            handle = nbactors.get_actor(name, arguments.namespace and unquoted(arguments.namespace))
        except (TypeError, ValueError):
            raise UsageError(f"%attach: {_unknown_name(name, arguments.namespace)}") from None
        self.shell.user_ns[variable] = handle
        print(f"Attached {variable}")
        # Not returned: IPython's history would keep the actor alive.
        display(handle)

    def _find(self, word: str, namespace: str | None) -> list[tuple[ActorHandle[Any], str]]:
        """Return the actors that a word on the line of `%kill` means, each with a label."""
        assert self.shell is not None
        value = self.shell.user_ns.get(word)
        handles = list(value.values()) if isinstance(value, dict) else value if _is_collection(value) else [value]
        if handles and all(isinstance(handle, ActorHandle) for handle in handles):
            # A copy of a weak handle, which the history holds, is a strong one.
            return [(handle.__copy__(), f"{word}: {handle!r}") for handle in handles]
        rows = [row for row in _named() if row["name"] == word and namespace in (None, row["ray_namespace"])]
        if nbactors.is_initialized():
            own = nbactors.get_runtime_context().namespace
            rows = [row for row in rows if row["ray_namespace"] == own] or rows
        if len(rows) > 1:
            where = ", ".join(repr(row["ray_namespace"]) for row in rows)
            raise UsageError(f"%kill: {word} is an actor's name in the namespaces {where}; say --namespace")
        if not rows:
            kinds = f"; the variable {word} holds {type(value).__name__}" if value is not None else ""
            holders = [name for name, held in variables(self.shell) if isinstance(held, ActorHandle) and _lives(held)]
            raise UsageError(f"%kill: {_unknown_name(word, namespace, holders)}{kinds}")
        row = rows[0]
        handle = nbactors.get_actor(word, row["ray_namespace"] or None)
        return [(handle, f"{word}: {row['class_name']}, pid {row['pid']}")]

    def _references(self, word: str) -> list[Any]:
        """Return the references and generators in a variable."""
        assert self.shell is not None
        names = self.shell.user_ns
        if word not in names:
            held = [name for name, value in variables(self.shell) if _holds_references(value)]
            raise UsageError(f"%cancel: there is no variable {word!r}{_close(word, held)}")
        value = names[word]
        if not _holds_references(value):
            raise UsageError(
                f"%cancel: {word} holds {type(value).__name__}, neither a reference, nor a generator of references, "
                "nor a list of these" + ("; %kill ends actors" if isinstance(value, ActorHandle) else "")
            )
        return [value] if isinstance(value, _REFERENCES) else list(value.values() if isinstance(value, dict) else value)


def _living_or_all(everything: bool) -> list[dict[str, Any]]:
    """Return the rows that `%actors` shows."""
    rows: list[dict[str, Any]] = [*state.list_actors(limit=state.MANY, detail=True, ended_sessions=everything)]
    if everything:
        return rows
    job_id = nbactors.get_runtime_context().get_job_id() if nbactors.is_initialized() else None
    return [row for row in rows if row["state"] != "DEAD" and (row["is_detached"] or row["job_id"] == job_id)]


def _print_stacks(rows: list[dict[str, Any]]) -> None:
    """Print the stack of each living actor."""
    for row in rows:
        if row["state"] == "DEAD":
            continue
        try:
            text = state.stack(row["actor_id"])
        except (TimeoutError, ValueError, nbactors.exceptions.RayError) as error:
            text = str(error)
        lines = text.replace("\n", "\n  ")
        print(f"{row['class_name']} {row['name'] or row['actor_id'][:12]}, pid {row['pid']}\n  {lines}\n")


def _named() -> list[dict[str, Any]]:
    return [dict(row) for row in state.list_actors(limit=state.MANY) if row["name"] and row["state"] != "DEAD"]


def _unknown_name(name: str, namespace: str | None, variables: list[str] | None = None) -> str:
    """Return the error text for a name that no living actor has."""
    rows = _named()
    elsewhere = [row["ray_namespace"] for row in rows if row["name"] == name]
    where = f" in the namespace {namespace!r}" if namespace else ""
    if elsewhere and not variables:
        return f"there is no living actor {name!r}{where or ' in this namespace'}; say --namespace {elsewhere[0]}"
    return f"there is no living actor {name!r}{where}{_close(name, [row['name'] for row in rows] + (variables or []))}"


def _close(word: str, known: list[str]) -> str:
    """Return the known words that resemble a word as a hint, else some of the known words."""
    matches = difflib.get_close_matches(word, set(known), n=3, cutoff=0.6)
    if matches:
        return f"; did you mean {' or '.join(matches)}?"
    return f"; there are {', '.join(sorted(set(known))[:10])}" if known else ""


def _lives(handle: ActorHandle[Any]) -> bool:
    return bool(handle._link.facts().state != "dead")


def _is_collection(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _holds_references(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if _is_collection(value) else [value]
    return bool(items) and all(isinstance(item, _REFERENCES) for item in items)


def _identifier(name: str) -> str:
    """Return an actor's name as a valid name of a variable."""
    text = re.sub(r"\W", "_", name)
    if not text or text[0].isdigit():
        text = f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) else text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
