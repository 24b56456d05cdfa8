"""The member of this process: the object to which unpickled references and handles belong, if a session runs here.

It is held here and made elsewhere, so that modules which need it do not import all its parts.
"""

from __future__ import annotations

import os
from typing import Any

from nbactors import engine, exceptions

_member: Any = None

_inherits = False
"""Whether this is a forked child of a session, and so may have references that the session owned."""


def member() -> Any:
    """Return the member of this process: a `nbactors.local.member.Process`.

    Raises:
        RaySystemError: No session runs here.
    """
    if _member is None:
        engine.current()  # a reference was unpickled before init(): start a session, as a verb would
    if _member is None:
        raise exceptions.RaySystemError(
            "no local session runs here: call init() before unpickling references or handles"
        )
    return _member


def enter(member: Any) -> None:
    """Make this the member of the process."""
    global _member
    _member = member


def leave(member: Any) -> None:
    """Remove this member, if it is the current one."""
    global _member
    if _member is member:
        _member = None


def inherits() -> bool:
    """Return whether this process may have references of a session from which it was forked."""
    return _inherits


def _before_fork() -> None:
    if _member is not None:
        _member.before_fork()


def _after_fork() -> None:
    if _member is not None:
        _member.after_fork()


def _forget_in_child() -> None:
    global _inherits, _member
    if _member is not None:
        _inherits = True
        forgotten, _member = _member, None
        forgotten.forget()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_forget_in_child)
