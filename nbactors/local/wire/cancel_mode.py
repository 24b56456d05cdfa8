"""How a call is cancelled, and what that does to it in each state that it may be in."""

from __future__ import annotations

from enum import Enum


class CancelMode(str, Enum):
    """What `cancel` asks for.

    A call that has not begun never begins, whatever the mode; an asyncio call gets CancelledError where it awaits; a
    generator yields no more. The modes differ in what they do to code that runs without awaiting, and to what it has
    called:

    ===========  =======================================  =========================  =======================
    mode         a task that runs                         an actor's plain method    calls that it has made
    ===========  =======================================  =========================  =======================
    CANCEL       KeyboardInterrupt, once: it may go on    goes on                    CANCEL
    INTERRUPT    KeyboardInterrupt, until it ends         KeyboardInterrupt, ditto   INTERRUPT
    TIMEOUT      as INTERRUPT; its error tells the time   as INTERRUPT               CANCEL
    FORCE        its process is ended                     refused by `cancel`        CANCEL
    ===========  =======================================  =========================  =======================
    """

    CANCEL = "cancel"
    INTERRUPT = "interrupt"
    TIMEOUT = "timeout"
    FORCE = "force"

    @classmethod
    def of(cls, force: bool, interrupt: bool) -> CancelMode:
        """Return the mode that the flags of `cancel` ask for."""
        return cls.FORCE if force else cls.INTERRUPT if interrupt else cls.CANCEL

    @property
    def interrupts_methods(self) -> bool:
        """Whether KeyboardInterrupt is raised in an actor's plain method that runs."""
        return self in (CancelMode.INTERRUPT, CancelMode.TIMEOUT)

    @property
    def ends_process(self) -> bool:
        """Whether the process of a task that runs is ended."""
        return self is CancelMode.FORCE

    @property
    def only_asks(self) -> bool:
        """Whether a task that runs may make of it what it wants, as in Ray."""
        return self is CancelMode.CANCEL

    @property
    def of_children(self) -> CancelMode:
        """How the calls are cancelled that it has made."""
        return self if self is CancelMode.INTERRUPT else CancelMode.CANCEL
