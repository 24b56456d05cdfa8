"""What a worker tells of its calls to any process that asks it. Sent between two processes, without the node."""

from nbactors.local.wire.messages.message import Count, Message, Pid, ProcessId


class AskInspection(Message, tag=165, frozen=True):
    """Any process asks a worker what it does now. Answered by `Inspection`."""


class GroupNow(Message, tag=166, frozen=True):
    """A concurrency group of an actor.

    Attributes:
        name: Empty for the default group.
        size: How many calls it runs at the same time.
        running: The ids of the calls that run in it.
        queued: How many calls wait for it in the worker.
    """

    name: str
    size: Count
    running: list[bytes]
    queued: Count


class CallNow(Message, tag=167, frozen=True):
    """A call that runs or waits in a worker.

    Attributes:
        name: The function's name, or the name from `options(name=)`.
        group: Its concurrency group.
        since: When it has begun to run, or was read, on the monotonic clock.
        arguments: Their names, empty where the signature tells none, and short texts of their values. Empty for a call
            that waits.
        paused: Whether it waits for its user, in `breakpoint()` or `input()`.
    """

    task_id: bytes
    name: str
    group: str
    since: float
    arguments: list[tuple[str, str]]
    paused: bool


class Inspection(Message, tag=168, frozen=True):
    """What a worker does now. Times are on the monotonic clock.

    Attributes:
        cpu_s: Seconds of CPU time, user and system, since the process's start.
        memory: Bytes in RAM, without files and without shared memory.
        at: When the answer was made.
        since: When the process has begun.
        groups: The default group first.
        running: The first calls that run, oldest first.
        queued: The first calls that wait, in order.
    """

    pid: Pid
    process_id: ProcessId
    cpu_s: float
    memory: Count
    at: float
    since: float
    groups: list[GroupNow]
    running: list[CallNow]
    queued: list[CallNow]
