"""The modes of `cancel`, and the effect of each mode on a running call."""

from __future__ import annotations

from enum import Enum


class CancelMode(str, Enum):
    """The mode of a cancel.

    In every mode, a call that has not started never starts, an asyncio call gets CancelledError at its next `await`,
    and a generator yields no more. The modes differ in their effect on code that runs without awaiting, and on calls
    that this code has made:

        ===========  =======================================  =========================  =======================
        mode         a task that runs                         an actor's plain method    calls that it has made
        ===========  =======================================  =========================  =======================
        CANCEL       KeyboardInterrupt, once: it may go on    goes on                    CANCEL
        INTERRUPT    KeyboardInterrupt, until it ends         KeyboardInterrupt, ditto   INTERRUPT
        TIMEOUT      as INTERRUPT; its error tells the time   as INTERRUPT               CANCEL
        MEMORY       as INTERRUPT; its error tells the use    as INTERRUPT               CANCEL
        FORCE        its process is ended                     refused by `cancel`        CANCEL
        ===========  =======================================  =========================  =======================

    MEMORY is no caller's mode: a worker that watches its memory cancels its own calls so.
    """

    CANCEL = "cancel"
    INTERRUPT = "interrupt"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    FORCE = "force"

    @classmethod
    def of(cls, force: bool, interrupt: bool) -> CancelMode:
        """Return the mode that the flags of `cancel` ask for."""
        return cls.FORCE if force else cls.INTERRUPT if interrupt else cls.CANCEL

    @property
    def interrupts_methods(self) -> bool:
        """Whether KeyboardInterrupt is raised in a running plain method of an actor."""
        return self in (CancelMode.INTERRUPT, CancelMode.TIMEOUT, CancelMode.MEMORY)

    @property
    def ends_process(self) -> bool:
        """Whether the process of a running task is killed."""
        return self is CancelMode.FORCE

    @property
    def only_asks(self) -> bool:
        """Whether a running task may catch KeyboardInterrupt and go on, as in Ray."""
        return self is CancelMode.CANCEL

    @property
    def of_children(self) -> CancelMode:
        """The mode for cancelling the calls that the cancelled call has made."""
        return self if self is CancelMode.INTERRUPT else CancelMode.CANCEL
