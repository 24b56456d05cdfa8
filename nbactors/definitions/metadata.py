"""What the runtime knows of a class, a method or a function without having it: picklable, by plain pickle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbactors.definitions.signature import Signature
from nbactors.options.checks import UNLIMITED
from nbactors.options.num_returns import DYNAMIC, STREAMING

__all__ = ["DYNAMIC", "STREAMING", "UNLIMITED", "ActorMeta", "FunctionMeta", "MethodMeta"]


class MethodMeta(NamedTuple):
    """One method of an actor class.

    Attributes:
        name: As called on the handle.
        signature: Without self.
        num_returns: What `@method(num_returns=)` declared; by default STREAMING for generators and 1 otherwise.
        doc: The docstring, for help.
        generates: Whether it is a generator function, `async` or not.
        group: The concurrency group that `@method(concurrency_group=)` declared; empty for the default one.
        backpressure: How many yielded objects may wait for their reader; UNLIMITED by default.
    """

    name: str
    signature: Signature
    num_returns: int = 1
    doc: str = ""
    generates: bool = False
    group: str = ""
    backpressure: int = UNLIMITED


class ActorMeta(NamedTuple):
    """One actor class, as its handles see it.

    Attributes:
        class_name: `__name__` of the class.
        module: `__module__` of the class.
        methods: Public and dunder methods by name, `__ray_ready__`, `__ray_call__` and `__ray_terminate__` included.
        is_async: Whether one method at least is `async def`, so that all run on event loops.
        groups: The names of its concurrency groups, without the default one.
        in_order: Whether calls of one submitter run in the order of submission.
        max_pending_calls: How many calls one process may have under way; UNLIMITED by default.
    """

    class_name: str
    module: str
    methods: dict[str, MethodMeta]
    is_async: bool = False
    groups: tuple[str, ...] = ()
    in_order: bool = True
    max_pending_calls: int = UNLIMITED


class FunctionMeta:
    """One remote function. Compared by identity: an engine caches its pickled form by it.

    Attributes:
        function: The user's function.
        name: `__name__`, for titles and errors.
        signature: The function's.
        generates: Whether it is a generator function.
        export: The engine's cache, whatever it is; None at first.
    """

    __slots__ = ("export", "function", "generates", "name", "signature")

    def __init__(
        self, function: Callable[..., Any], name: str, signature: Signature, generates: bool = False, export: Any = None
    ) -> None:
        self.function = function
        self.name = name
        self.signature = signature
        self.generates = generates
        self.export = export
