"""Completion by Tab: options and names on the lines of magics, and the parameters of remote calls.

IPython itself completes the methods of handles, from `dir`.
"""

from __future__ import annotations

import argparse
import re
import types
from collections.abc import Callable, Iterable
from typing import Any

import IPython.core.completer
from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.actor import ActorClass, ActorHandle, ActorMethod
from nbactors.jupyter.help import actor_attributes, remote_call
from nbactors.jupyter.magics.magic_line import variables
from nbactors.remote_function import RemoteFunction
from nbactors.util import state

_CHAIN = re.compile(r"""[^\W\d]\w*(?:\.\w+|\[\s*(?:-?\d+|'[^']*'|"[^"]*")\s*\])*$""")
_STEP = re.compile(r"""\.(\w+)|\[\s*(?:(-?\d+)|'([^']*)'|"([^"]*)")\s*\]""")
_STRINGS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_CALLS = ("remote", "options")


def watch(shell: InteractiveShell) -> None:
    """Complete the parameters of remote calls. Calling it again does nothing. On the main thread."""
    completer = getattr(shell, "Completer", None)
    if completer is None or getattr(shell, "_nbactors_completion", None) is not None:
        return
    shell._nbactors_completion = _RemoteCalls(shell).matches
    completer.custom_matchers.append(shell._nbactors_completion)


def unwatch(shell: InteractiveShell) -> None:
    """Undo `watch`. On the main thread."""
    if getattr(shell, "_nbactors_completion", None) is not None:
        shell.Completer.custom_matchers.remove(shell._nbactors_completion)
        shell._nbactors_completion = None


def complete_magics(shell: InteractiveShell, names: Iterable[str]) -> None:
    """Complete the lines of magics, named with their percent signs, from the declarations of their parsers."""
    lines = {}
    for name in names:
        group = shell.magics_manager.magics["cell" if name.startswith("%%") else "line"]
        magic = group.get(name.lstrip("%"))
        if hasattr(magic, "parser"):
            lines[name] = _Line(shell, magic.parser)
    if not hasattr(IPython.core.completer, "context_matcher"):  # IPython before 8.6
        for name, line in lines.items():
            shell.set_hook("complete_command", lambda _, event, line=line: line.complete(event), str_key=name)
    elif getattr(shell, "Completer", None) is not None:
        matchers = shell.Completer.custom_matchers
        # If the extension is loaded again, the new matcher replaces the earlier one.
        matchers[:] = [matcher for matcher in matchers if not getattr(matcher, "is_of_nbactors", False)]
        matchers += [_matcher(lines), _attribute_matcher(shell)]


def forget_magics(shell: InteractiveShell, names: Iterable[str]) -> None:
    """Undo `complete_magics`. On the main thread."""
    if not hasattr(IPython.core.completer, "context_matcher"):  # IPython before 8.6
        for name in names:
            shell.strdispatchers["complete_command"].strs.pop(name, None)
    elif getattr(shell, "Completer", None) is not None:
        matchers = shell.Completer.custom_matchers
        matchers[:] = [matcher for matcher in matchers if not getattr(matcher, "is_of_nbactors", False)]


def _matcher(lines: dict[str, _Line]) -> Callable[[Any], Any]:
    """Return a matcher for the lines of magics that suppresses all others: jedi would take the lines for Python."""

    @IPython.core.completer.context_matcher()
    def complete_line(context: Any) -> dict[str, Any]:
        written = context.line_with_cursor.split(None, 1)
        line = lines.get(written[0]) if written else None
        if line is None or context.text_until_cursor.strip() == written[0] == context.token:
            return {"completions": [], "suppress": False}
        event = types.SimpleNamespace(symbol=context.token, text_until_cursor=context.text_until_cursor)
        found = [text for text in line.complete(event) if text.startswith(context.token)]
        return {"completions": [IPython.core.completer.SimpleCompletion(text) for text in found], "suppress": True}

    complete_line.is_of_nbactors = True
    matcher: Callable[[Any], Any] = complete_line
    return matcher


def _attribute_matcher(shell: InteractiveShell) -> Callable[[Any], Any]:
    """Return a matcher for `self.` in cells of `%%on`. The notebook's own `self`, if there is one, is another."""

    @IPython.core.completer.context_matcher()
    def complete_self(context: Any) -> dict[str, Any]:
        kept, dot, begun = context.token.rpartition(".")
        names = actor_attributes.completions(shell, context.full_text, context.text_until_cursor) if dot else []
        # As IPython does, private names only if the user has begun one.
        found = [f"{kept}.{name}" for name in names if name.startswith(begun or tuple(set(name[:1]) - {"_"}))]
        return {
            "completions": [IPython.core.completer.SimpleCompletion(text) for text in found],
            "suppress": bool(found),
        }

    complete_self.is_of_nbactors = True
    matcher: Callable[[Any], Any] = complete_self
    return matcher


class _RemoteCalls:
    """The matcher for remote calls. On the main thread, or a subshell's."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def matches(self, text: str) -> list[str]:
        """Return the completions of the word before the cursor: `counter.add.` or, in a call, a parameter."""
        completer = self._shell.Completer
        if "." in text:
            # jedi finds them already.
            return [] if completer.use_jedi else self._calls(text, completer.text_until_cursor)
        before = completer.text_until_cursor
        callee = _open_call(before[: len(before) - len(text)])
        call = remote_call.of(_resolve(callee, self._shell.user_ns)) if callee else None
        if call is None:
            return []
        named = [
            p.name for p in call.signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        ]
        return [f"{name}=" for name in named if name.startswith(text)]

    def _calls(self, text: str, before: str) -> list[str]:
        """Return `counter.add.remote` and `.options`, which IPython's guarded evaluation does not look up.

        The word before the cursor is only the end of the expression: `.add.` of `counters[0].add.`.
        """
        kept, _, begun = text.rpartition(".")
        owner = _CHAIN.search(before[: len(before) - len(begun) - 1])
        if owner is None or type(_resolve(owner[0], self._shell.user_ns)) is not ActorMethod:
            return []
        return [f"{kept}.{name}" for name in _CALLS if name.startswith(begun)]


class _Line:
    """The completer of one magic's line."""

    def __init__(self, shell: InteractiveShell, parser: argparse.ArgumentParser) -> None:
        self._shell = shell
        self._actions = parser._actions
        self._candidates: dict[str, Callable[[], Iterable[str]]] = {
            "NAME": _actor_names,
            "NAME|VARIABLE": lambda: [*self._variables(_is_handles), *_actor_names()],
            "HANDLE": lambda: [*self._variables(lambda value: type(value) is ActorHandle), *_actor_names()],
        }

    def complete(self, event: Any) -> list[str]:
        """Return the words that may stand at the cursor. IPython keeps those that begin like the word there."""
        words = event.text_until_cursor.split()[1:]
        symbol = event.symbol
        if symbol and words:
            words.pop()
        if words and words[-1].startswith("-"):
            action = next((action for action in self._actions if words[-1] in action.option_strings), None)
            if action is not None and action.nargs != 0:
                return self._values(action)
        if symbol.startswith("-"):
            return [option for action in self._actions for option in action.option_strings]
        positional = [value for action in self._actions if not action.option_strings for value in self._values(action)]
        return positional or ([] if symbol else [o for action in self._actions for o in action.option_strings])

    def _values(self, action: argparse.Action) -> list[str]:
        if action.choices:
            return [str(choice) for choice in action.choices]
        if action.dest == "namespace":
            return sorted({row["ray_namespace"] for row in _living() if row["name"]})
        if action.dest == "input":
            return self._variables(lambda value: True)
        if action.dest == "references":
            return self._variables(_is_references)
        return sorted(set(self._candidates.get(str(action.metavar), list)()))

    def _variables(self, fits: Callable[[Any], bool]) -> list[str]:
        return [name for name, value in variables(self._shell) if fits(value)]


def _living() -> list[dict[str, Any]]:
    try:
        return [row for row in state.list_actors(limit=100_000) if row["state"] != "DEAD"]
    except (OSError, RuntimeError):  # the node is ending; a completion never fails
        return []


def _actor_names() -> list[str]:
    return [row["name"] for row in _living() if row["name"]]


def _items(value: Any) -> list[Any]:
    return (
        list(value.values()) if type(value) is dict else list(value) if type(value) in (list, tuple, set) else [value]
    )


def _is_handles(value: Any) -> bool:
    items = _items(value)
    return bool(items) and all(type(item) is ActorHandle for item in items)


def _is_references(value: Any) -> bool:
    items = _items(value)
    return bool(items) and all(type(item) in (nbactors.ObjectRef, nbactors.ObjectRefGenerator) for item in items)


def _open_call(before: str) -> str:
    """Return the expression that is called if the text ends between the parentheses of a call, else ""."""
    plain = _STRINGS.sub(lambda found: "_" * len(found[0]), before)
    depth = 0
    for index in range(len(plain) - 1, -1, -1):
        if plain[index] in ")]}":
            depth += 1
        elif plain[index] in "([{":
            depth -= 1
            if depth < 0:
                found = _CHAIN.search(before[:index]) if plain[index] == "(" else None
                return found[0] if found else ""
    return ""


def _resolve(expression: str, names: dict[str, Any]) -> Any:
    """Look a chain of names up. Return None if that would run code of the user's, or fails."""
    head = re.match(r"\w+", expression)
    if head is None or _CHAIN.fullmatch(expression) is None:
        return None
    value = names.get(head[0])
    for step in _STEP.finditer(expression, head.end()):
        name, index, *keys = step.groups()
        try:
            value = _attribute(value, name) if name else _item(value, index, keys)
        except (AttributeError, LookupError):
            return None
    return value


def _attribute(value: Any, name: str) -> Any:
    if type(value) is types.ModuleType:
        return vars(value)[name]
    if type(value) is ActorHandle or (type(value) in (ActorMethod, ActorClass, RemoteFunction) and name in _CALLS):
        return getattr(value, name)
    raise AttributeError(name)


def _item(value: Any, index: str | None, keys: list[str | None]) -> Any:
    key = next((key for key in keys if key is not None), None)
    if index is not None and type(value) in (list, tuple, dict):
        return value[int(index)]
    if key is not None and type(value) is dict:
        return value[key]
    raise LookupError
