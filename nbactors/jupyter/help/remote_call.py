"""The user's function behind `.remote`, with its parameters and docstring, for completion and help."""

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
        signature: The signature of the user's function, or of the class's constructor.
        doc: The docstring, "" if there is none.
        code: The class or the function itself, None where it is not in this process.
    """

    signature: inspect.Signature
    doc: str
    code: Any


def of(thing: Any) -> RemoteCall | None:
    """Return the call behind a method of a handle, an actor class, a remote function, or the `.remote` of one of these.

    Returns None for everything else. Runs no code of the user's.
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
    except (TypeError, ValueError):  # a class of an extension module may have no signature
        return None
    docs = [code.__doc__, code.__init__.__doc__ if type(owner) is ActorClass and "__init__" in vars(code) else None]
    return RemoteCall(signature, "\n\n".join(inspect.cleandoc(doc) for doc in docs if doc), code)
