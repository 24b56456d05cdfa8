"""The public API of actors: `ActorClass`, `ActorHandle`, `ActorMethod`, `method` and `exit_actor`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, NoReturn, TypeVar, Union, cast, overload

from nbactors import engine
from nbactors.definitions.actor_class import (
    BACKPRESSURE,
    EVENTS,
    GROUP,
    NUM_RETURNS,
    RETRIED,
    RETRIES,
    TIMEOUT,
    actor_meta,
    check_group,
    constructor_signature,
    is_generator,
    with_options,
)
from nbactors.definitions.importable import address_of, load
from nbactors.engine.placement import check_place
from nbactors.options import ActorOptions, CallOptions
from nbactors.options.checks import closest
from nbactors.options.num_returns import check_generates
from nbactors.views import description

if TYPE_CHECKING:
    from typing_extensions import Never

    from nbactors.dag import ClassMethodNode, ClassNode
    from nbactors.definitions.metadata import ActorMeta, MethodMeta
    from nbactors.definitions.signature import Signature
    from nbactors.engine import ActorLink
    from nbactors.object_ref import ObjectRef
    from nbactors.object_ref_generator import ObjectRefGenerator
    from nbactors.ray_names.id_classes import ActorID
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
    """Raised by a `class` statement that has an actor class among its bases."""


class ActorMethod:
    """A method of an actor: the value of `handle.method`. It keeps the actor alive if the handle does. Any thread."""

    # `remote` compares the number of arguments with copies of two fields of the signature: two comparisons per call.
    __slots__ = ("_actor", "_hold", "_link", "_maximum", "_meta", "_minimum", "_options")

    def __init__(
        self,
        link: ActorLink,
        meta: MethodMeta,
        actor: ActorMeta,
        options: CallOptions | None = None,
        hold: object = None,
    ) -> None:
        self._link = link
        self._hold = hold
        self._meta = meta
        self._actor = actor
        self._options = options
        self._minimum, self._maximum = meta.signature.minimum, meta.signature.maximum

    def remote(self, /, *args: Any, **kwargs: Any) -> Any:
        """Submit a call of the method, and return without waiting for it.

        An ObjectRef among the arguments is replaced by its value before the method runs; an ObjectRef inside a list or
        another object is not. Example: `ref = counter.add.remote(5)`. Source: Ray's page "Actors".

        Returns:
            An ObjectRef; for ``num_returns`` above 1 a list of ObjectRefs, for 0 None. For a generator an
            ObjectRefGenerator.

        Raises:
            PendingCallsLimitExceeded: `max_pending_calls` calls of this process are pending already.
            TypeError: The arguments do not fit the method, or cannot be pickled.
        """
        if kwargs or not self._minimum <= len(args) <= self._maximum:
            self._check(args, kwargs)
        return self._link.call(self._meta, args, kwargs, self._options, self._hold)

    def bind(self, /, *args: Any, **kwargs: Any) -> ClassMethodNode | tuple[ClassMethodNode, ...]:
        """Describe a call for a graph, without making it. Arguments may be nodes of the graph; see `nbactors.dag`.

        Example: `counter.add.bind(double.bind(2)).execute()`.

        Returns:
            A node; for ``num_returns`` above 1 a tuple with a node for each result, as in Ray.

        Raises:
            TypeError: The arguments do not fit the method.
        """
        from nbactors.dag.class_node import ClassMethodNode, ClassMethodOutputNode  # noqa: PLC0415 - few use it

        self._check(args, kwargs)
        node = ClassMethodNode(self, self._meta.name, args, kwargs)
        given = self._options.num_returns if self._options is not None else None
        count = self._meta.num_returns if given is None else given
        return tuple(ClassMethodOutputNode(node, index) for index in range(count)) if count > 1 else node

    def options(self, **options: Any) -> ActorMethod:
        """Return a copy of this method with options for its calls.

        Example: `counter.add.options(timeout_s=5).remote(1)`. Source: Ray's page "ray.method".

        Args:
            **options: ``num_returns``: the number of references that a call returns, or for a generator "streaming" or
                "dynamic". ``name``: the call's name in listings. ``concurrency_group``: the group that runs the call.
                ``timeout_s``: seconds from the submission until a call that has not ended is cancelled.

        Raises:
            TypeError: An option is unknown, or its value has a wrong type.
            ValueError: A value is not allowed, the group is unknown, or this version does not serve the option.
        """
        parsed = CallOptions.parse(options)
        label = f"{self._actor.class_name}.{self._meta.name}"
        check_generates(parsed.num_returns, self._meta.generates, label)
        check_group(parsed.concurrency_group or "", self._actor.groups, label)
        return ActorMethod(self._link, self._meta, self._actor, parsed, self._hold)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse a direct call, since a method runs in the actor's process.

        Raises:
            TypeError: Always. The message shows the correct call.
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
        handle: ActorHandle[Any] = ActorHandle(self._link, self._actor, self._hold)
        return _rebuild_method, (handle, self._meta.name, self._options)

    @property
    def __signature__(self) -> inspect.Signature:
        """The method's parameters, for `inspect.signature` and for completion."""
        return self._meta.signature.inspectable()

    def __repr__(self) -> str:
        return description.method(self._meta, self._actor).text

    def _repr_html_(self) -> str:
        return description.method(self._meta, self._actor).html()


def _rebuild_method(handle: ActorHandle[Any], name: str, options: CallOptions | None) -> ActorMethod:
    return ActorMethod(handle._link, handle._meta.methods[name], handle._meta, options, handle._hold)


class ActorHandle(Generic[T]):
    """A handle to an actor. Example: `ref = handle.increment.remote()` calls the method `increment`. Any thread.

    An actor that is not detached lives as long as a process has a handle to it that is not weak, or a call through such
    a handle has not ended. The handles of `get_actor` and of `get_runtime_context().current_actor` are weak, and so are
    all copies of them. Through a weak handle, calls fail with `ActorDiedError` when the actor has ended. All handles to
    one actor are equal. Source: Ray's page "Actors".
    """

    _link: ActorLink
    _meta: ActorMeta
    _hold: object

    def __init__(self, link: ActorLink, meta: ActorMeta, hold: object = None) -> None:
        self._link = link
        self._meta = meta
        self._hold = hold

    def __getattr__(self, name: str) -> ActorMethod:
        meta: ActorMeta | None = self.__dict__.get("_meta")
        if meta is not None:
            meta = self._link.latest_meta(meta)
        found = meta.methods.get(name) if meta is not None else None
        if meta is not None and found is None and name == "stack":
            return partial(_stack, self)  # type: ignore[return-value] # not a method of the actor
        if meta is None or found is None:
            raise AttributeError(_no_attribute(meta, name))
        made = ActorMethod(self._link, found, meta, None, self._hold)
        # Later accesses find the method in `__dict__`. This makes no reference cycle: the method has no handle.
        self.__dict__[name] = made
        return made

    def __dir__(self) -> list[str]:
        return list(self._link.latest_meta(self._meta).methods)

    def _update(self, meta: ActorMeta) -> None:
        """Take the metadata of the actor's new class, and drop the methods of the old class. Called by `update`."""
        kept = {"_link": self._link, "_meta": meta, "_hold": self._hold}
        self.__dict__.clear()
        self.__dict__.update(kept)

    @property
    def _actor_id(self) -> ActorID:
        from nbactors.ray_names import id_classes  # noqa: PLC0415 - few programs use it

        return id_classes.ActorID(self._link.actor_id)

    @property
    def _ray_actor_id(self) -> ActorID:
        return self._actor_id

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
        return self._link.reduce(self._meta, self._hold)

    def __copy__(self) -> ActorHandle[T]:
        return self

    def __deepcopy__(self, memo: object) -> ActorHandle[T]:
        return self


if TYPE_CHECKING:

    class _TypedHandle(ActorHandle[T]):
        def __getattr__(self, name: str) -> Never: ...

    ActorProxy = Union[_TypedHandle[T], type[T]]  # noqa: UP007 - Ray's form of it
    """The static type of a handle: for type checkers the user's class, whose `@method` methods have `.remote`."""
else:
    ActorProxy = Union[ActorHandle[T], type[T]]  # noqa: UP007


_IN_METADATA = (
    "num_cpus",
    "num_gpus",
    "memory",
    "resources",
    "label_selector",
    "accelerator_type",
    "runtime_env",
    "scheduling_strategy",
)


class ActorClass(Generic[T]):
    """A class whose instances are actors, each in its own process. Created by `remote`. Any thread.

    Class attributes, class methods and static methods work as on the user's class. An attribute that is set is set on
    the user's class. Source: Ray's page "Actors".
    """

    __nbactors_decoration__ = True  # see nbactors.definitions.importable

    # Private names begin with two underscores, so that they never hide an attribute of the user's class.
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
        """Return an actor class for a class; called by `remote`.

        Raises:
            TypeError, ValueError: An option is wrong, or the class cannot be an actor class with these options.
        """
        parsed = ActorOptions.parse(options)
        return cls(wrapped, parsed, actor_meta(wrapped), constructor_signature(wrapped))

    def remote(self, /, *args: Any, **kwargs: Any) -> ActorProxy[T]:
        """Create an actor with the constructor's arguments, and return its handle without waiting for the actor.

        If the constructor raises an error, the calls of methods fail with its traceback. Example: `Counter.remote(0)`.

        Raises:
            TypeError: The arguments do not fit the constructor, or cannot be pickled.
            ValueError: The actor's name is taken.
            ActorUnschedulableError: The scheduling strategy demands a node that does not exist.
        """
        current = engine.current()
        options = self.__options
        if options.get_if_exists and options.name is not None:
            try:  # before the check of the arguments, which are ignored if the actor exists
                found = current.get_actor(options.name, options.namespace, weak=False)
            except ValueError:
                pass  # there is no such actor; if another process creates it now, create_actor finds it
            else:
                return cast("ActorProxy[T]", ActorHandle(*found))
        self.__constructor.check(args, kwargs, self.__meta.class_name)
        if options.scheduling_strategy is not None:
            label = self.__meta.class_name
            check_place(options.scheduling_strategy, current, "actor", options.placement(), label)
        made = current.create_actor(self.__meta, self.__wrapped__, options, args, kwargs)
        return cast("ActorProxy[T]", ActorHandle(*made))

    def bind(self, /, *args: Any, **kwargs: Any) -> ClassNode:
        """Describe an actor for a graph, without creating it. Arguments may be nodes of the graph; see `nbactors.dag`.

        Each execution of the graph creates the actor once. Example: `Counter.bind(0).add.bind(5).execute()`.

        Raises:
            TypeError: The arguments do not fit the constructor.
            ValueError: The graph's input is among the arguments.
        """
        from nbactors.dag import ClassNode  # noqa: PLC0415 - few programs use it

        self.__constructor.check(args, kwargs, self.__meta.class_name)
        return ClassNode(self, self.__meta, args, kwargs)

    def options(self, **options: Any) -> ActorClass[T]:
        """Return a copy of this actor class in which these options replace the present ones.

        The options are those of `remote`, except ``concurrency_groups``. Example: `Counter.options(name="counter")`.
        Source: Ray's page "ray.actor.ActorClass.options".

        Raises:
            TypeError: A value has a wrong type.
            ValueError: An option is unknown, has a value that is not allowed, or is not served by this version.
        """
        return type(self)(self.__wrapped__, self.__options.merged(options), self.__meta, self.__constructor)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse a direct call, since it would create the instance in this process.

        In an actor of this class it returns a new instance of the user's class, as the class's own methods may need.

        Raises:
            TypeError: This process runs no actor of this class. The message shows the correct call.
        """
        running = engine.running()
        hosted = running.hosted_class() if running is not None else None
        if hosted is not None and issubclass(hosted, self.__wrapped__):
            return self.__wrapped__(*args, **kwargs)  # type: ignore[misc] # for type checkers it is refused
        name = self.__meta.class_name
        raise TypeError(f"Actors cannot be instantiated directly. Instead of '{name}()', use '{name}.remote()'.")

    def __instancecheck__(self, instance: Any) -> bool:
        """Return whether an object is an instance of the user's class, as the class's own methods may ask.

        Raises:
            TypeError: It is a handle: the actor's instance lives in another process. Ray refuses every object.
        """
        if isinstance(instance, ActorHandle):
            name = self.__meta.class_name
            raise TypeError(
                f"isinstance() arg 2 must be a class: {name} is an actor class, and a handle is no instance of it. Use "
                "isinstance(x, nbactors.actor.ActorHandle); repr(handle) tells the class of its actor"
            )
        return isinstance(instance, self.__wrapped__)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.__wrapped__)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        name = self.__meta.class_name
        raise ActorClassInheritanceException(
            f"Attempted to define a subclass of actor class '{name}'. Inheriting from actor classes is not currently "
            "supported. You can instead inherit from a non-actor base class and make the derived class an actor class "
            "(with @remote). In the class's own methods, type(self) is the class, and super() reaches its base class."
        )

    def __getattr__(self, name: str) -> Any:
        wrapped = self.__dict__.get("__wrapped__")
        # `wrapped` is None during unpickling. A `_repr_` method of the user's class describes instances, not the class.
        if wrapped is None or name.startswith("_repr_"):
            raise AttributeError(name)
        try:
            return getattr(wrapped, name)
        except AttributeError:
            raise AttributeError(f"actor class {wrapped.__name__!r} has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith(("__", _OWN)):
            object.__setattr__(self, name, value)
        else:
            setattr(self.__wrapped__, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__:
            object.__delattr__(self, name)
        else:
            delattr(self.__wrapped__, name)

    def __reduce__(self) -> tuple[Any, ...]:
        address = address_of(self, self.__module__, self.__qualname__)
        if address is not None:
            return load, address
        return _empty, (type(self),), self.__dict__

    @property
    def __ray_metadata__(self) -> Any:
        """What Ray's programs read of an actor class: `modified_class`, the user's class, and some of the options.

        These are as they were given, None where they were not. Ray's further attributes are not there.
        """
        given = self.__options.given
        return SimpleNamespace(
            modified_class=self.__wrapped__,
            class_name=self.__meta.class_name,
            **{name: given.get(name) for name in _IN_METADATA},
        )

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


_OWN = f"_{ActorClass.__name__}__"
"""What the names of an actor class's own attributes begin with; others that begin so are special names of Python's."""


def _empty(kind: type[T]) -> T:
    """Return an instance without attributes. Pickle sets these later, so a class may contain references to itself."""
    return object.__new__(kind)


def rebuild_handle(link: ActorLink, meta: ActorMeta) -> ActorHandle[Any]:
    """Return a weak handle; called while a handle is unpickled."""
    return ActorHandle(link, meta)


def _stack(handle: ActorHandle[Any], timeout: float = 5.0) -> str:
    """Return as text what the actor's process runs now: its calls with their frames, other threads, asyncio tasks.

    The process is not stopped, and answers also while a method blocks. If the actor's class has its own method
    `stack`, `handle.stack` is that method; `nbactors.util.state.stack(handle)` does the same as this function.

    Args:
        handle: A handle to the actor.
        timeout: Limit of the wait in seconds.

    Raises:
        TimeoutError: The process did not answer in time, because code in it keeps the GIL.
        RayActorError: The actor is dead.
        ValueError: The actor has no process yet.
    """
    return engine.current().stack(handle._link, timeout)


def _no_attribute(meta: ActorMeta | None, name: str) -> str:
    text = f"'ActorHandle' object has no attribute {name!r}"
    if meta is None or name.startswith("_"):  # libraries probe such names by `hasattr`, so the long text helps nobody
        return text
    public = sorted(method for method in meta.methods if not method.startswith("_"))
    return (
        f"{text}: {meta.class_name} has no such method.{closest(name, public)} It has {', '.join(public) or 'none'}. "
        "Attributes live in the actor's process: add a method that returns them, or use "
        "handle.__ray_call__.remote(lambda self: ...)"
    )


@overload  # the first four overloads are those of MethodDecorator, where their order is explained
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
    """Annotate a method of an actor class: for type checkers, or to set default options of its calls. Any thread.

    Source: Ray's page "ray.method".

    Args:
        *args: The method, if there are no parentheses.
        **options: ``num_returns``: the number of references that a call returns, or for a generator "streaming" (the
            default) or "dynamic". ``concurrency_group``: the group of the class that runs the method's calls.
            ``_generator_backpressure_num_objects``: the number of yielded values that may wait for a reader.
            ``max_task_retries``: how often a call is run again after a crash of the actor, -1 for any number.
            ``retry_exceptions``: True, or a list of exception classes, to run a call again that raises.
            ``timeout_s``: seconds in which a call must end. ``enable_task_events``: whether calls show in listings and
            timelines; by default the class decides.

    Raises:
        AssertionError: An option is unknown.
        TypeError, ValueError: A value has a wrong type, or is not allowed.

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
        marks = {
            NUM_RETURNS: parsed.num_returns,
            GROUP: parsed.concurrency_group,
            BACKPRESSURE: parsed.backpressure,
            RETRIES: parsed.max_task_retries,
            RETRIED: parsed.retry_exceptions,
            TIMEOUT: parsed.timeout_s,
            EVENTS: parsed.enable_task_events,
        }
        for mark, value in marks.items():
            if value is not None:
                setattr(function, mark, value)
        return function

    return annotate


def exit_actor() -> NoReturn:
    """End the current actor after the calls that its process has received. Called by a method of the actor.

    The function does not return. Example: `nbactors.actor.exit_actor()`. Source: Ray's page "Terminating Actors".

    Raises:
        TypeError: The caller does not run in an actor.
    """
    running = engine.running()
    if running is not None:
        running.exit_actor()
    engine.check_not_forked()
    raise TypeError(
        "exit_actor API is called on a non-actor worker. Call this API inside an actor method if you'd like to exit "
        "the actor gracefully; from outside, use handle.__ray_terminate__.remote() or kill(handle)."
    )
