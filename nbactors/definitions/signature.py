"""`Signature`: the parameters of a function as plain data, so that a handle can be pickled with it."""

from __future__ import annotations

import ast
import enum
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_UNLIMITED = 1 << 30
_SHOWN_DEFAULT = 40
"""Most characters of a default value that is shown. A default may be a table of a million rows."""
_PLAIN = frozenset({str, int, float, complex, bytes, bool, type(None)})


class Signature(NamedTuple):
    """The names and kinds of a function's parameters, and which have defaults; no default values, no annotations.

    Attributes:
        positional: Names of the parameters that take positional arguments, in order.
        positional_only: Number of the positional parameters that cannot be given by keyword.
        required: Number of the positional parameters without a default.
        keyword_only: Names of the keyword-only parameters.
        required_keywords: Names of the keyword-only parameters without a default.
        var_positional: Whether there is ``*args``.
        var_keyword: Whether there is ``**kwargs``.
        display: The parameter list for people, such as ``(x, *, key=1)``.
        minimum, maximum: A call without keywords is correct if its number of arguments lies in this range. If a keyword
            is required, the range is empty: then minimum is larger than maximum.
    """

    positional: tuple[str, ...]
    positional_only: int
    required: int
    keyword_only: tuple[str, ...]
    required_keywords: tuple[str, ...]
    var_positional: bool
    var_keyword: bool
    display: str
    minimum: int
    maximum: int

    @classmethod
    def of(cls, function: Callable[..., Any], skip_self: bool) -> Signature:
        """Return the signature of a function. Called when the function or its class becomes remote.

        Args:
            function: A callable. If `inspect.signature` does not support it, the result is `ANYTHING`.
            skip_self: Leave the first parameter out.
        """
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # some functions written in C have no signature
            return ANYTHING
        if skip_self and parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
        return cls._from_parameters(parameters)

    @classmethod
    def _from_parameters(cls, parameters: Sequence[inspect.Parameter]) -> Signature:
        def named(*kinds: Any, required: bool = False) -> tuple[str, ...]:
            return tuple(p.name for p in parameters if p.kind in kinds and not (required and p.default is not p.empty))

        only, either = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
        keyword = inspect.Parameter.KEYWORD_ONLY
        positional = named(only, either)
        required = len(named(only, either, required=True))
        required_keywords = named(keyword, required=True)
        var_positional = bool(named(inspect.Parameter.VAR_POSITIONAL))
        maximum = _UNLIMITED if var_positional else len(positional)
        return cls(
            positional=positional,
            positional_only=len(named(only)),
            required=required,
            keyword_only=named(keyword),
            required_keywords=required_keywords,
            var_positional=var_positional,
            var_keyword=bool(named(inspect.Parameter.VAR_KEYWORD)),
            display=str(inspect.Signature([_shown(p) for p in parameters])),
            minimum=1 if required_keywords else required,
            maximum=0 if required_keywords else maximum,
        )

    def inspectable(self) -> inspect.Signature:
        """Return an `inspect.Signature` made from `display`. Its defaults are texts for people, not the values."""
        tree = ast.parse(f"def f{self.display}: pass").body[0]
        assert isinstance(tree, ast.FunctionDef)
        given = tree.args
        empty, kinds = inspect.Parameter.empty, inspect.Parameter
        named: list[tuple[ast.arg, Any]] = [(arg, kinds.POSITIONAL_ONLY) for arg in given.posonlyargs]
        named += [(arg, kinds.POSITIONAL_OR_KEYWORD) for arg in given.args]
        defaults: list[ast.expr | None] = [None] * (len(named) - len(given.defaults)) + list(given.defaults)
        if given.vararg:
            named.append((given.vararg, kinds.VAR_POSITIONAL))
            defaults.append(None)
        named += [(arg, kinds.KEYWORD_ONLY) for arg in given.kwonlyargs]
        defaults += given.kw_defaults
        if given.kwarg:
            named.append((given.kwarg, kinds.VAR_KEYWORD))
            defaults.append(None)
        return inspect.Signature(
            [
                inspect.Parameter(arg.arg, kind, default=empty if value is None else _Shown(ast.unparse(value)))
                for (arg, kind), value in zip(named, defaults, strict=True)
            ]
        )

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any], label: str) -> None:
        """Check a call's arguments. Called by `.remote()`, on the caller's thread.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments. Their names may be any text.
            label: The function's name, for the error.

        Raises:
            TypeError: The arguments do not fit. The message begins like those of Python and Ray.
        """
        if not kwargs and self.minimum <= len(args) <= self.maximum:
            return
        problem = self._problem(len(args), kwargs)
        if problem:
            raise TypeError(f"{problem}. The signature is {label}{self.display}")

    def _problem(self, given: int, kwargs: dict[str, Any]) -> str:
        if given > len(self.positional) and not self.var_positional:
            return "too many positional arguments"
        by_keyword = self.positional[self.positional_only :]
        for name in self.positional[:given]:
            if name in kwargs and name in by_keyword:
                return f"multiple values for argument {name!r}"
        for index in range(given, self.required):
            name = self.positional[index]
            if index < self.positional_only or name not in kwargs:
                return f"missing a required argument: {name!r}"
        for name in self.required_keywords:
            if name not in kwargs:
                return f"missing a required argument: {name!r}"
        if self.var_keyword:
            return ""
        for name in kwargs:
            if name not in by_keyword and name not in self.keyword_only:
                if name in self.positional:
                    return f"{name!r} parameter is positional only, but was passed as a keyword"
                return f"got an unexpected keyword argument {name!r}"
        return ""


class _Shown(str):
    """Text whose `repr` is the text itself; stands for a default value in an `inspect.Signature`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _shown(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return the parameter for `display`: without annotation, with a short text as its default."""
    default = parameter.default
    if default is parameter.empty:
        return parameter.replace(annotation=parameter.empty)
    # `inspectable` parses this text. The repr of a user's class may be invalid Python, so "..." replaces it.
    text = "..."
    if type(default) in _PLAIN:
        text = repr(default)
    elif isinstance(default, enum.Enum) and default.name:
        text = f"{type(default).__name__}.{default.name}"
    return parameter.replace(annotation=parameter.empty, default=_Shown(text if len(text) <= _SHOWN_DEFAULT else "..."))


NOTHING = Signature((), 0, 0, (), (), False, False, "()", 0, 0)
"""The signature of a function without parameters."""

ANYTHING = Signature((), 0, 0, (), (), True, True, "(*args, **kwargs)", 0, _UNLIMITED)
"""The signature of a function that takes any arguments."""
