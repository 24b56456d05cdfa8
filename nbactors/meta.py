"""What the runtime knows of a class, a method or a function without having it: picklable, by plain pickle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbactors.signature import Signature


@dataclass(frozen=True, slots=True)
class MethodMeta:
    """One method of an actor class.

    Attributes:
        name: As called on the handle.
        signature: Without self.
        num_returns: What `@method(num_returns=)` declared, 1 by default.
        doc: The docstring, for help.
        refusal: Why this version does not serve a call of it; empty if it does.
    """

    name: str
    signature: Signature
    num_returns: int = 1
    doc: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class ActorMeta:
    """One actor class, as its handles see it.

    Attributes:
        class_name: `__name__` of the class.
        module: `__module__` of the class.
        methods: Public and dunder methods by name, `__ray_ready__`, `__ray_call__` and `__ray_terminate__` included.
    """

    class_name: str
    module: str
    methods: dict[str, MethodMeta]


@dataclass(eq=False, slots=True)
class FunctionMeta:
    """One remote function. Compared by identity: an engine caches its pickled form by it.

    Attributes:
        function: The user's function.
        name: `__name__`, for titles and errors.
        signature: The function's.
        export: The engine's cache, whatever it is; None at first.
    """

    function: Callable[..., Any]
    name: str
    signature: Signature
    export: Any = field(default=None)
