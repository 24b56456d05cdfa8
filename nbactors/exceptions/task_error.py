"""`RayTaskError`: a user's exception that was raised in another process. Import it from `nbactors.exceptions`.

`RayError`, the base of all errors, is here as well, since `errors` needs both.

`get` raises an instance of both RayTaskError and the user's own type (`as_instanceof_cause`), so that
`except ValueError` works across processes. Its text is the traceback of the other process.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_MAX_CHAIN = 64
_SIMPLE = frozenset(
    {ArithmeticError, AssertionError, Exception, IndexError, KeyError, LookupError, NotImplementedError, OverflowError}
    | {RecursionError, RuntimeError, TypeError, ValueError, ZeroDivisionError}
)
"""Types whose instances are made anew from any `args`, and which have no state of their own in C."""
_ATOMS = frozenset({bool, bytes, float, int, str, type(None)})
_OWN = frozenset({"cause", "function_name", "traceback_str", "pid", "_chain", "_own_args"})
_NOT_COPIED = frozenset({"__dict__", "__weakref__", "__traceback__", "__context__", "__cause__", "args"})


class RayError(Exception):
    """Base of every error that Ray, and so nbactors, defines."""


class RemoteFrame(NamedTuple):
    """One of the user's frames in another process, when a call failed there.

    Attributes:
        filename, line, function: The place in the code.
        variables: The shortened reprs of the local variables, by name.
        first, source: The source lines around the place, from line number `first` on; empty if the process had no
            source.
    """

    filename: str
    line: int
    function: str
    variables: dict[str, str]
    first: int
    source: list[str]


class RayTaskError(RayError):
    """A task, an actor's method or its constructor raised.

    Attributes:
        function_name: The called function or method, such as ``Counter.increment``.
        traceback_str: The traceback there, as text.
        cause: The user's exception.
        pid: The number of the process that raised it.
        frames: The frames of the failed call for a debugger, outermost first; empty unless a notebook's cell called.
    """

    function_name: str
    traceback_str: str
    cause: BaseException
    pid: int
    frames: Sequence[RemoteFrame] = ()

    def __init__(self, function_name: str, traceback_str: str, cause: BaseException, pid: int = 0) -> None:
        super().__init__(function_name, traceback_str, cause, pid)
        self.function_name = function_name
        self.traceback_str = traceback_str
        self.cause = cause
        self.pid = pid
        self._chain: list[_Link] | None = None

    def portable(self, dumps: Callable[[Any], Any], loads: Callable[[Any], Any]) -> RayTaskError:
        """Return an equal error that is certain to survive pickling; called by the worker before it sends the error.

        An exception that cannot be pickled whole (for an attribute that cannot, or for an `__init__` that does not take
        `args`) is sent as its type and those of its `args` and attributes that can be pickled. The text tells what is
        missing.

        Args:
            dumps: Pickles a value, and raises if it cannot.
            loads: Unpickles a result of `dumps`.
        """
        chain = [link._replace(error=_survivor(link.error, dumps, loads)) for link in _chain_of(self.cause)]
        lost = [link.error.lost for link in chain if isinstance(link.error, _Remains) and link.error.lost]
        text = "\n".join([self.traceback_str.rstrip("\n"), *lost]) if lost else self.traceback_str
        result = RayTaskError(self.function_name, text, self.cause, self.pid)
        if self.frames:
            result.frames = self.frames
        result._chain = chain
        return result

    def as_instanceof_cause(self) -> RayTaskError:
        """Return an exception that is also an instance of the user's type; called by `get`, which raises it.

        Where that type cannot be subclassed it is this RayTaskError itself, and a warning is logged. It is this error,
        too, where the user's exception is no `Exception`: code that handles an interrupt of its own process must not
        take a KeyboardInterrupt of another one for it.
        """
        user = self.cause
        while isinstance(user, RayTaskError):  # a task that passed on the error of another task
            user = user.cause
        if isinstance(self, (_Dual, type(user))) or not isinstance(user, Exception):
            return self
        try:
            return _make_dual(self, user)
        except Exception as error:  # noqa: BLE001 - the user's metaclass, __init_subclass__ or __new__ may raise anything
            import logging  # noqa: PLC0415 - 5 ms that only this rare case pays for

            logging.getLogger("nbactors").warning(
                "User exception type %r in RayTaskError can't be subclassed! This exception is raised as RayTaskError "
                "only; its `.cause` is the user's exception. (%s: %s)",
                type(user).__qualname__,
                type(error).__name__,
                error,
            )
            return self

    def __str__(self) -> str:
        header = f"ray::{self.function_name}() (pid={self.pid})"
        lines = self.traceback_str.rstrip().split("\n")
        return "\n".join(header if line.startswith("Traceback (most recent call last)") else line for line in lines)

    def __reduce__(self) -> tuple[Any, ...]:
        chain = self._chain or _chain_of(self.cause)
        state = {name: value for name, value in self.__dict__.items() if name not in _OWN}
        return _rebuild, (self.function_name, self.traceback_str, [tuple(link) for link in chain], self.pid, state)


class _Dual(RayTaskError):
    """Base of the classes that derive from the user's type as well."""

    _plain: RayTaskError

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_dual, (self._plain, self.__dict__.get("__notes__"))


_duals: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()
"""The classes that derive from the user's types, by the id of that type, which lives as long as the class. Nothing here
keeps a class of which no error lives: a notebook defines its exceptions again and again."""


def _make_dual(error: RayTaskError, user: BaseException) -> RayTaskError:
    kind = type(user)
    dual_type: Any = _duals.get(id(kind))
    if dual_type is None:
        name = f"RayTaskError({kind.__name__})"
        dual_type = type(name, (_Dual, kind), {"__module__": "nbactors.exceptions", "__slots__": ()})
        _duals[id(kind)] = dual_type
    try:
        dual = dual_type.__new__(dual_type, *user.args)
    except Exception:  # noqa: BLE001 - the user's own __new__ takes other arguments
        dual = BaseException.__new__(dual_type)
    _copy_state(user, dual)
    BaseException.args.__set__(dual, user.args)  # type: ignore[attr-defined] # the user's class may have an own `args`
    own = {
        "function_name": error.function_name,
        "traceback_str": error.traceback_str,
        "cause": error.cause,
        "pid": error.pid,
        "frames": error.frames,
        "_chain": None,
        "_plain": error,
    }
    dual.__dict__.update(own)
    dual.__cause__ = user.__cause__
    return dual  # type: ignore[no-any-return]


def _copy_state(source: BaseException, target: BaseException) -> None:
    """Copy attributes, those of slots and of C structures (`OSError.errno`) included."""
    target.__dict__.update(getattr(source, "__dict__", {}))
    for kind in type(source).__mro__:
        if kind is BaseException:
            break
        for name, member in vars(kind).items():
            if isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType) and name not in _NOT_COPIED:
                try:
                    setattr(target, name, getattr(source, name))
                except (AttributeError, TypeError):  # read-only, or never set
                    continue


class _Link(NamedTuple):
    """One exception of a chain. `cause` and `context` are indexes into the chain, -1 for none."""

    error: Any
    cause: int
    context: int
    suppress: bool
    notes: Sequence[str] | None


def _chain_of(first: BaseException) -> list[_Link]:
    """Return an exception and all that its `__cause__` and `__context__` lead to, itself first."""
    found = [first]
    places = {id(first): 0}
    for error in found:
        for other in (error.__cause__, error.__context__):
            if other is not None and id(other) not in places and len(found) < _MAX_CHAIN:
                places[id(other)] = len(found)
                found.append(other)

    def place(error: BaseException | None) -> int:
        return -1 if error is None else places.get(id(error), -1)

    return [
        _Link(e, place(e.__cause__), place(e.__context__), e.__suppress_context__, getattr(e, "__notes__", None))
        for e in found
    ]


class _Remains(NamedTuple):
    """The parts that can be sent of an exception that cannot be pickled whole. `lost` tells what is missing."""

    kind: type[BaseException]
    args: tuple[Any, ...]
    state: dict[str, Any]
    lost: str


def _survivor(error: BaseException, dumps: Callable[[Any], Any], loads: Callable[[Any], Any]) -> Any:
    def survives(value: Any) -> bool:
        try:
            loads(dumps(value))
        except Exception:  # noqa: BLE001 - the user's `__reduce__` and `__init__` may raise anything
            return False
        return True

    if _is_simple(error) or survives(error):
        return error
    text = f"{type(error).__module__}.{type(error).__qualname__}: {text_of(error)}"
    if not survives(type(error)):
        return RayError(f"The exception cannot be sent to another process, since its type cannot be pickled: {text}")
    attributes = getattr(error, "__dict__", {})
    args = tuple(arg if survives(arg) else repr(arg) for arg in error.args)
    state = {name: value for name, value in attributes.items() if survives(value)}
    missing = [f".{name}" for name in attributes if name not in state]
    missing += [f".args[{place}]" for place, arg in enumerate(error.args) if arg is not args[place]]
    lost = f"{', '.join(missing)} of this {type(error).__qualname__} could not be pickled, so it is missing here."
    remains = _Remains(type(error), args, state, lost if missing else "")
    try:
        _revive(remains)
    except Exception:  # noqa: BLE001 - as above
        return RayError(f"The exception cannot be rebuilt in another process: {text}")
    return remains


def _is_simple(error: BaseException) -> bool:
    """Return whether an exception is certain to survive pickling: to look costs less than to try."""
    return type(error) in _SIMPLE and not error.__dict__ and all(type(arg) in _ATOMS for arg in error.args)


def text_of(error: BaseException) -> str:
    """Return the text of an exception, also of one whose own `__str__` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's own __str__
        return "(its __str__ raises)"


def _revive(remains: _Remains) -> BaseException:
    kind = remains.kind
    try:
        error = kind.__new__(kind, *remains.args)
    except Exception:  # noqa: BLE001 - the user's own __new__
        error = BaseException.__new__(kind)
    error.args = remains.args
    error.__dict__.update(remains.state)
    return error


def _rebuild(
    function_name: str, traceback_str: str, chain: list[tuple[Any, ...]], pid: int, state: dict[str, Any]
) -> RayTaskError:
    links = [_Link(*link) for link in chain]
    errors = [_revive(link.error) if isinstance(link.error, _Remains) else link.error for link in links]
    for error, link in zip(errors, links, strict=True):
        if link.context >= 0:
            error.__context__ = errors[link.context]
        if link.cause >= 0:
            error.__cause__ = errors[link.cause]
        error.__suppress_context__ = link.suppress
        if link.notes and not hasattr(error, "__notes__"):
            error.__dict__["__notes__"] = list(link.notes)
    result = RayTaskError(function_name, traceback_str, errors[0], pid)
    result.__dict__.update(state)
    if any(isinstance(link.error, _Remains) for link in links):
        result._chain = links  # so that it is sent on unchanged
    return result


def _rebuild_dual(plain: RayTaskError, notes: list[str] | None) -> RayTaskError:
    result = plain.as_instanceof_cause()
    if notes:
        result.__dict__["__notes__"] = notes
    return result


RayError.__module__ = RayTaskError.__module__ = "nbactors.exceptions"
