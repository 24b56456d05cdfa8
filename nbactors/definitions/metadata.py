"""Metadata of actor classes, methods and functions. ActorMeta and MethodMeta can be pickled without cloudpickle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbactors.definitions.signature import Signature
from nbactors.options.checks import UNLIMITED
from nbactors.options.num_returns import DYNAMIC, STREAMING

__all__ = ["DYNAMIC", "STREAMING", "UNLIMITED", "ActorMeta", "FunctionMeta", "MethodMeta"]


class MethodMeta(NamedTuple):
    """Metadata of one method of an actor class.

    Attributes:
        name: The method's name on the handle.
        signature: The parameters without self.
        num_returns: The value of `@method(num_returns=)`; by default STREAMING for generators, otherwise 1.
        doc: The docstring, for help.
        generates: Whether the method is a generator function, `async` or not.
        group: The concurrency group of `@method(concurrency_group=)`; empty for the default group.
        max_task_retries: What `@method(max_task_retries=)` declared; None for the actor's.
        retry_exceptions: What `@method(retry_exceptions=)` declared.
        timeout_s: What `@method(timeout_s=)` declared.
        backpressure: Limit of yielded objects that wait for their reader; UNLIMITED by default.
        has_events: Whether calls have task events; None if neither the method nor the class says so, which means yes.
    """

    name: str
    signature: Signature
    num_returns: int = 1
    doc: str = ""
    generates: bool = False
    group: str = ""
    backpressure: int = UNLIMITED
    max_task_retries: int | None = None
    retry_exceptions: bool | tuple[type[BaseException], ...] = False
    timeout_s: float | None = None
    has_events: bool | None = None


class ActorMeta(NamedTuple):
    """Metadata of one actor class, for its handles.

    Attributes:
        class_name: `__name__` of the class.
        module: `__module__` of the class.
        methods: All methods by name, including `__ray_ready__`, `__ray_call__` and `__ray_terminate__`.
        is_async: Whether at least one method is `async def`, so that all methods run on event loops.
        groups: The names of the concurrency groups, without the default group.
        in_order: Whether calls of one submitter run in the order of submission.
        max_pending_calls: Limit of pending calls of each calling process; UNLIMITED by default.
    """

    class_name: str
    module: str
    methods: dict[str, MethodMeta]
    is_async: bool = False
    groups: tuple[str, ...] = ()
    in_order: bool = True
    max_pending_calls: int = UNLIMITED
    max_task_retries: int = 0


class FunctionMeta:
    """Metadata of one remote function. Compared by identity, since an engine caches the pickled function in it.

    Attributes:
        function: The user's function.
        name: `__name__` of the function, for process titles and errors.
        signature: The function's parameters.
        generates: Whether the function is a generator function.
        export: The engine's cache, of a type that only the engine knows; None at first.
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
