"""The membership of this process, if it has one: what unpickled references and handles belong to.

It is held here, and made elsewhere: those who need it do not import what it is made of.
"""

from __future__ import annotations

import os
from typing import Any

from nbactors import engine, exceptions

_member: Any = None

_inherits = False
"""Whether this is a forked child: it may have references of the session that it was forked from."""


def member() -> Any:
    """Return the membership of this process: a `nbactors.local.member.Process`.

    Raises:
        RaySystemError: There is none.
    """
    if _member is None:
        engine.current()  # a reference was unpickled before init(): start, as a verb would
    if _member is None:
        raise exceptions.RaySystemError(
            "no local session runs here: call init() before unpickling references or handles"
        )
    return _member


def enter(member: Any) -> None:
    """This is the membership from now on."""
    global _member
    _member = member


def leave(member: Any) -> None:
    """It is over, if it is this one."""
    global _member
    if _member is member:
        _member = None


def inherits() -> bool:
    """Return whether there may be references here of a process that this one was forked from."""
    return _inherits


def _forget_in_child() -> None:
    global _inherits, _member
    if _member is not None:
        _inherits = True
        forgotten, _member = _member, None
        forgotten.forget()


os.register_at_fork(after_in_child=_forget_in_child)
