"""What stands behind `.remote` for people who ask: the parameters and the docstring of the user's own function."""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from typing import Any

from nbactors.actor import ActorClass, ActorMethod
from nbactors.remote_function import RemoteFunction


@dataclass(frozen=True)
class RemoteCall:
    """Something that can be called by `.remote`.

    Attributes:
        signature: Of the user's function; of a class, what its constructor takes.
        doc: Its docstring, "" if it has none.
        code: The class or the function itself, None where it is not in this process.
    """

    signature: inspect.Signature
    doc: str
    code: Any


def of(thing: Any) -> RemoteCall | None:
    """Return what a method of a handle, an actor class, a remote function, or the `.remote` of one of these, calls.

    None for everything else. Runs no code of the user's.
    """
    is_bound = type(thing) is types.MethodType and getattr(thing, "__name__", "") == "remote"
    owner: Any = thing.__self__ if is_bound else thing
    if type(owner) is ActorMethod:
        return RemoteCall(owner.__signature__, owner._meta.doc, None)
    if type(owner) not in (ActorClass, RemoteFunction):
        return None
    code = owner.__wrapped__
    try:
        signature = inspect.signature(code)
    except (TypeError, ValueError):  # a class of an extension may not tell
        return None
    docs = [code.__doc__, code.__init__.__doc__ if type(owner) is ActorClass and "__init__" in vars(code) else None]
    return RemoteCall(signature, "\n\n".join(inspect.cleandoc(doc) for doc in docs if doc), code)
