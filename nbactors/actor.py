"""Actors as the user sees them: `ActorClass`, `ActorHandle`, `ActorMethod`, `method` and `exit_actor`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, NoReturn, TypeVar, Union, cast, overload

from nbactors import engine
from nbactors.definitions.actor_class import (
    BACKPRESSURE,
    GROUP,
    NUM_RETURNS,
    actor_meta,
    check_group,
    constructor_signature,
    is_generator,
    with_options,
)
from nbactors.definitions.importable import address_of, load
from nbactors.engine.placement import check_node
from nbactors.options import ActorOptions, CallOptions
from nbactors.options.checks import closest
from nbactors.options.num_returns import check_generates
from nbactors.views import description

if TYPE_CHECKING:
    from typing_extensions import Never

    from nbactors.definitions.metadata import ActorMeta, MethodMeta
    from nbactors.definitions.signature import Signature
    from nbactors.engine import ActorLink
    from nbactors.object_ref import ObjectRef
    from nbactors.object_ref_generator import ObjectRefGenerator
    from nbactors.remote_method import MethodDecorator, P, R, RemoteMethod, V

__all__ = [
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "ActorProxy",
    "actor_meta",
    "exit_actor",
    "method",
    "rebuild_handle",
]

T = TypeVar("T")


class ActorClassInheritanceException(TypeError):
    """A class was derived from an actor class."""


class ActorMethod:
    """A method of an actor, as `handle.method` gives it. Holds what ties to the actor, but not the handle."""

    # Read on every call: the fields of `_meta.signature` are copied so that a call costs two comparisons.
    __slots__ = ("_actor", "_link", "_maximum", "_meta", "_minimum", "_options")

    def __init__(self, link: ActorLink, meta: MethodMeta, actor: ActorMeta, options: CallOptions | None = None) -> None:
        self._link = link
        self._meta = meta
        self._actor = actor
        self._options = options
        self._minimum, self._maximum = meta.signature.minimum, meta.signature.maximum

    def remote(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method; returns at once.

        Any thread. An ObjectRef among the arguments is replaced by its value before the method runs.

        Returns:
            An ObjectRef; a list of them for ``num_returns`` over 1; None for 0; an ObjectRefGenerator for a generator.

        Raises:
            PendingCallsLimitExceeded: As many calls are under way as `max_pending_calls` allows.
            TypeError: The arguments do not fit the method, or cannot be pickled.
        """
        if kwargs or not self._minimum <= len(args) <= self._maximum:
            self._check(args, kwargs)
        return self._link.call(self._meta, args, kwargs, self._options)

    def options(self, **options: Any) -> ActorMethod:
        """Return this method with options for the calls made with it.

        Args:
            **options: ``num_returns``: how many references a call gives, or "streaming" or "dynamic" for a generator.
                ``name``: what the call is called in listings. ``concurrency_group``: where it runs. ``timeout_s``:
                seconds in which it must end, or else it is cancelled.

        Raises:
            TypeError: An unknown option, or a value of a wrong type.
            ValueError: A wrong value, an unknown group, or an option that this version does not serve.
        """
        parsed = CallOptions.parse(options)
        label = f"{self._actor.class_name}.{self._meta.name}"
        check_generates(parsed.num_returns, self._meta.generates, label)
        check_group(parsed.concurrency_group or "", self._actor.groups, label)
        return ActorMethod(self._link, self._meta, self._actor, parsed)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a method runs in the actor's process.

        Raises:
            TypeError: Always; it shows the right call.
        """
        name = self._meta.name
        raise TypeError(
            f"Actor methods cannot be called directly. Instead of running 'object.{name}()', "
            f"try 'object.{name}.remote()'."
        )

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._meta.signature.check(args, kwargs, f"{self._actor.class_name}.{self._meta.name}")

    @property
    def __doc__(self) -> str:  # type: ignore[override] # a method's own docstring, for `handle.method?`
        meta = self._meta
        return f"{self._actor.class_name}.{meta.name}.remote{meta.signature.display}\n\n{meta.doc}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_method, (ActorHandle(self._link, self._actor), self._meta.name, self._options)

    @property
    def __signature__(self) -> inspect.Signature:
        """What `inspect.signature` and completers see: the method's own parameters."""
        return self._meta.signature.inspectable()

    def __repr__(self) -> str:
        return description.method(self._meta, self._actor).text

    def _repr_html_(self) -> str:
        return description.method(self._meta, self._actor).html()


def _rebuild_method(handle: ActorHandle[Any], name: str, options: CallOptions | None) -> ActorMethod:
    return ActorMethod(handle._link, handle._meta.methods[name], handle._meta, options)


class ActorHandle(Generic[T]):
    """A handle to an actor: `handle.method.remote(...)` calls a method of it.

    The actor lives as long as there is a handle to it in any process, or a call under way. Handles of one actor are
    equal, however they came about.
    """

    _link: ActorLink
    _meta: ActorMeta

    def __init__(self, link: ActorLink, meta: ActorMeta) -> None:
        self._link = link
        self._meta = meta

    def __getattr__(self, name: str) -> ActorMethod:
        meta: ActorMeta | None = self.__dict__.get("_meta")
        if meta is not None:
            meta = self._link.latest_meta(meta)
        found = meta.methods.get(name) if meta is not None else None
        if meta is not None and found is None and name == "stack":
            return partial(_stack, self)  # type: ignore[return-value] # not a method of the actor's
        if meta is None or found is None:
            raise AttributeError(_no_attribute(meta, name))
        made = ActorMethod(self._link, found, meta)
        # The next access finds it without coming here. No cycle: it holds the link, not this handle.
        self.__dict__[name] = made
        return made

    def __dir__(self) -> list[str]:
        return list(self._link.latest_meta(self._meta).methods)

    def _update(self, meta: ActorMeta) -> None:
        """The actor's class was changed: forget the methods of the old one."""
        kept = {"_link": self._link, "_meta": meta}
        self.__dict__.clear()
        self.__dict__.update(kept)

    @property
    def _actor_id(self) -> bytes:
        return self._link.actor_id

    def __repr__(self) -> str:
        return description.actor_line(self._link, self._meta)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(description.actor(self._link, self._meta).text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return description.actor(self._link, self._meta).bundle()

    def __hash__(self) -> int:
        return hash(self._link.actor_id)

    def __eq__(self, other: object) -> bool:
        return self._link.actor_id == other._link.actor_id if isinstance(other, ActorHandle) else NotImplemented

    def __reduce__(self) -> tuple[Any, ...]:
        return self._link.reduce(self._meta)

    def __copy__(self) -> ActorHandle[T]:
        return self

    def __deepcopy__(self, memo: object) -> ActorHandle[T]:
        return self


if TYPE_CHECKING:

    class _TypedHandle(ActorHandle[T]):
        def __getattr__(self, name: str) -> Never: ...

    ActorProxy = Union[_TypedHandle[T], type[T]]  # noqa: UP007 - Ray's form of it
    """What type checkers take a handle for: the class, whose methods under `@method` have `.remote`."""
else:
    ActorProxy = Union[ActorHandle[T], type[T]]  # noqa: UP007


class ActorClass(Generic[T]):
    """A class whose instances are actors, each in a process of its own. Made by `remote`.

    Class attributes, class methods and static methods work as on the class itself.
    """

    __nbactors_decoration__ = True  # see nbactors.definitions.importable

    # The names begin with two underscores, so that they never hide an attribute of the user's class.
    def __init__(self, cls: type[T], options: ActorOptions, meta: ActorMeta, constructor: Signature) -> None:
        self.__wrapped__ = cls
        self.__doc__ = cls.__doc__
        self.__name__ = cls.__name__
        self.__qualname__ = cls.__qualname__
        self.__module__ = cls.__module__
        self.__options = options
        self.__meta = with_options(meta, options)
        self.__constructor = constructor

    @classmethod
    def _of(cls, wrapped: type[T], options: dict[str, Any]) -> ActorClass[T]:
        """Make a class an actor class; called by `remote`.

        Raises:
            TypeError, ValueError: Wrong options, or the class cannot be an actor class with them.
        """
        parsed = ActorOptions.parse(options)
        return cls(wrapped, parsed, actor_meta(wrapped), constructor_signature(wrapped))

    def remote(self, /, *args: Any, **kwargs: Any) -> ActorProxy[T]:
        """Create an actor; returns at once.

        An error of the constructor comes with the first call of a method.

        Args:
            *args: For the constructor.
            **kwargs: For the constructor.

        Returns:
            A handle.

        Raises:
            TypeError: The arguments do not fit the constructor, or cannot be pickled.
            ValueError: The actor's name is taken.
        """
        current = engine.current()
        options = self.__options
        if options.get_if_exists and options.name is not None:
            try:  # an actor that exists ignores the arguments, so they are not checked either
                link, meta = current.get_actor(options.name, options.namespace)
            except ValueError:
                pass  # nobody made it yet; if somebody does now, create_actor finds it
            else:
                return cast("ActorProxy[T]", ActorHandle(link, meta))
        self.__constructor.check(args, kwargs, self.__meta.class_name)
        check_node(options.scheduling_strategy, current, "actor")
        link, meta = current.create_actor(self.__meta, self.__wrapped__, options, args, kwargs)
        return cast("ActorProxy[T]", ActorHandle(link, meta))

    def options(self, **options: Any) -> ActorClass[T]:
        """Return this actor class with other options.

        Args:
            **options: As of `remote`, over those that it has.

        Raises:
            TypeError: A value of a wrong type.
            ValueError: A wrong value, an unknown option, or one that this version does not serve.
        """
        return type(self)(self.__wrapped__, self.__options.merged(options), self.__meta, self.__constructor)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: an instance would live in this process.

        Raises:
            TypeError: Always; it shows the right call.
        """
        name = self.__meta.class_name
        raise TypeError(f"Actors cannot be instantiated directly. Instead of '{name}()', use '{name}.remote()'.")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        name = self.__meta.class_name
        raise ActorClassInheritanceException(
            f"Attempted to define a subclass of actor class '{name}'. Inheriting from actor classes is not currently "
            "supported. You can instead inherit from a non-actor base class and make the derived class an actor class "
            "(with @remote)."
        )

    def __getattr__(self, name: str) -> Any:
        wrapped = self.__dict__.get("__wrapped__")
        # None while it is unpickled. And a class that shows its instances in notebooks does not show itself like that.
        if wrapped is None or name.startswith("_repr_"):
            raise AttributeError(name)
        try:
            return getattr(wrapped, name)
        except AttributeError:
            raise AttributeError(f"actor class {wrapped.__name__!r} has no attribute {name!r}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        address = address_of(self, self.__module__, self.__qualname__)
        if address is not None:
            return load, address
        return _empty, (type(self),), self.__dict__

    def __repr__(self) -> str:
        return f"ActorClass({self.__name__})"

    def __description(self) -> description.Description:
        return description.actor_class(
            self.__meta, self.__constructor, self.__wrapped__.__doc__ or "", self.__options.given.items()
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.__description().text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.__description().bundle()


def _empty(kind: type[T]) -> T:
    """Return an instance without attributes: pickle fills it in after what refers back to it is there."""
    return object.__new__(kind)


def rebuild_handle(link: ActorLink, meta: ActorMeta) -> ActorHandle[Any]:
    """Return a handle; called by the engine when one has been received."""
    return ActorHandle(link, meta)


def _stack(handle: ActorHandle[Any], timeout: float = 5.0) -> str:
    """Return what the actor's process does now, as text: its calls and their frames, other threads, asyncio tasks.

    It goes on meanwhile, and answers also while a method blocks. A method `stack` of the actor's own takes precedence;
    `nbactors.util.state.stack(handle)` does the same then.

    Args:
        handle: The actor's.
        timeout: Seconds to wait for the answer.

    Raises:
        TimeoutError: No answer in time: code in the process keeps the GIL.
        RayActorError: The actor is dead.
        ValueError: It has no process yet.
    """
    return engine.current().stack(handle._link, timeout)


def _no_attribute(meta: ActorMeta | None, name: str) -> str:
    text = f"'ActorHandle' object has no attribute {name!r}"
    if meta is None or name.startswith("_"):  # mostly probes: `hasattr` of a library
        return text
    public = sorted(method for method in meta.methods if not method.startswith("_"))
    return (
        f"{text}: {meta.class_name} has no such method.{closest(name, public)} It has {', '.join(public) or 'none'}. "
        "Attributes live in the actor's process: add a method that returns them, or use "
        "handle.__ray_call__.remote(lambda self: ...)"
    )


@overload  # these four as in MethodDecorator
def method(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, V]], /
) -> RemoteMethod[P, Coroutine[Any, Any, V], ObjectRef[V]]: ...
@overload
def method(  # type: ignore[overload-overlap]
    method: Callable[Concatenate[Any, P], Iterator[V]], /
) -> RemoteMethod[P, Iterator[V], ObjectRefGenerator[V]]: ...
@overload
def method(  # type: ignore[overload-overlap]
    method: Callable[Concatenate[Any, P], AsyncIterator[V]], /
) -> RemoteMethod[P, AsyncIterator[V], ObjectRefGenerator[V]]: ...
@overload
def method(method: Callable[Concatenate[Any, P], R], /) -> RemoteMethod[P, R, ObjectRef[R]]: ...
@overload
def method(
    *,
    num_returns: int | Literal["streaming", "dynamic"] | None = None,
    concurrency_group: str | None = None,
    enable_task_events: bool | None = None,
    _generator_backpressure_num_objects: int | None = None,
) -> MethodDecorator: ...
@overload
def method(**options: Any) -> MethodDecorator: ...
def method(*args: Any, **options: Any) -> Any:
    """Annotate a method of an actor class: for type checkers, or with options for its calls.

    Args:
        *args: The method, if used without parentheses.
        **options: ``num_returns``: how many references a call gives; for a generator "streaming", its default, or
            "dynamic". ``concurrency_group``: one of those of the class, in which its calls run.
            ``_generator_backpressure_num_objects``: how many values that a generator yields may wait for their reader.

    Raises:
        AssertionError: An unknown option.
        TypeError, ValueError: A wrong value.

    Example:
        @method(num_returns=2)
        def divmod(self, a, b):
            return a // b, a % b
    """
    if len(args) == 1 and callable(args[0]) and not options:
        return args[0]
    if args:
        raise AssertionError(
            "The @method decorator must be applied using no arguments or with keywords, for example "
            f"'@method(num_returns=2)'. Got: {args[0]!r:.80}"
        )
    parsed = CallOptions.parse_method(options)

    def annotate(function: Callable[..., Any]) -> Callable[..., Any]:
        check_generates(parsed.num_returns, is_generator(function), getattr(function, "__qualname__", "The method"))
        marks = {NUM_RETURNS: parsed.num_returns, GROUP: parsed.concurrency_group, BACKPRESSURE: parsed.backpressure}
        for mark, value in marks.items():
            if value is not None:
                setattr(function, mark, value)
        return function

    return annotate


def exit_actor() -> NoReturn:
    """End the actor whose method calls this, after the calls that it has taken in.

    Does not return: what follows it in the method never runs.

    Raises:
        TypeError: The caller is no actor.
    """
    running = engine.running()
    if running is not None:
        running.exit_actor()
    engine.check_not_forked()
    raise TypeError(
        "exit_actor API is called on a non-actor worker. Call this API inside an actor method if you'd like to exit "
        "the actor gracefully; from outside, use handle.__ray_terminate__.remote() or kill(handle)."
    )
