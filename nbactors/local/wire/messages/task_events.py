"""Messages about task events: which calls wait, run and have ended, and what actors become.

Each session and worker reports its calls to the node at a pace (`TaskReport`). The node keeps a table of the latest
ones, and numbers its changes. A reader asks for the changes after a number (`Follow`), and gets them as soon as there
are any (`TaskNews`). So the node keeps nothing for a reader that does not ask, and a slow reader costs nothing.

All times are seconds of the monotonic clock, which all processes of the machine share; 0 stands for "not yet".
"""

from typing import Annotated

from msgspec import Meta

from nbactors.local.wire.messages.message import Count, Message, Name, Pid, ProcessId

MAX_ERROR_TEXT = 2000
"""Characters of an error's text that the node keeps with a call."""

MAX_ROWS = 5000
"""Most rows in one message."""

TaskId = Annotated[bytes, Meta(max_length=24)]
Text = Annotated[str, Meta(max_length=MAX_ERROR_TEXT)]


class Wait(Message, tag=146, frozen=True):
    """A wait in "ray.get" or "ray.wait". `end` is 0 while it lasts. See also `DriverWaits`."""

    kind: Name
    start: float
    end: float


class TaskRow(Message, tag=140, frozen=True):
    """One call: a task, a method call or the construction of an actor.

    Attributes:
        task_id: The caller's process id and the call's number; for a construction see `ids.creation_task_id`.
        state: A state of Ray's `TaskStatus`.
        name: The name from `options(name=)`, else `function`.
        function: The function's name, or class and method.
        kind: "NORMAL_TASK", "ACTOR_TASK" or "ACTOR_CREATION_TASK".
        actor_id: Empty for a task.
        parent: The id of the call that has made this call; empty if a driver has made it.
        origin: See `Call`.
        awaited: The argument or resources that the call waits for, as text.
        submitted, arrived, started, ended: The times at which the caller has made the call, the worker has read it, the
            call has begun and has ended.
        error_type: As in Ray's `ErrorType`; empty if the call has not failed.
        error: The text of the error.
        worker, pid: The process that runs the call; empty and 0 if none does. The caller gives them for an ended call
            whose answer it has read, without `arrived` and `started`.
        waits: The waits of the call.
        job: The call's session; filled in by the node.
        attempt: How often the call was tried before; filled in by the node.
        seq: The number of the row's last change; filled in by the node.
        cell_id: The front end's id of the cell in `origin`; filled in by the node, empty if no process has told it.
    """

    task_id: TaskId
    state: Name
    name: Name
    function: Name
    kind: Name
    actor_id: ProcessId
    parent: TaskId
    origin: Count
    awaited: Name
    submitted: float
    arrived: float
    started: float
    ended: float
    error_type: Name = ""
    error: Text = ""
    worker: ProcessId = b""
    pid: Pid = 0
    waits: Annotated[list[Wait], Meta(max_length=1000)] = []  # noqa: RUF012 - msgspec copies it for each message
    job: Annotated[bytes, Meta(max_length=4)] = b""
    attempt: Count = 0
    seq: Count = 0
    cell_id: Name = ""


Rows = Annotated[list[TaskRow], Meta(max_length=MAX_ROWS)]


class ActorTotals(Message, tag=169, frozen=True):
    """How many calls of one actor have ended in each way. `seq` is the number of the last change, of the node."""

    actor_id: ProcessId
    finished: Count
    failed: Count
    cancelled: Count
    seq: Count = 0


class TaskReport(Message, tag=141, frozen=True):
    """Process to node: its calls since its last report.

    Attributes:
        at: The time of the report.
        live: The calls that wait or run here, in place of those of the last report; None if they are the same.
        ended: The calls that have ended here.
        unlisted: How many short calls of each function have ended here that are not in `ended`.
        waits: The waits of the driver's own code.
        finished: How many calls of `unlisted` have not failed: of the worker's actor, if it hosts one.
        failures: How many calls of `unlisted` have failed, by actor; `finished` is 0 in each.
        cells: The front end's ids of cells, by origin; each is told once.
    """

    at: float
    live: Rows | None
    ended: Rows
    unlisted: Annotated[dict[Name, Count], Meta(max_length=1000)]
    waits: Annotated[list[Wait], Meta(max_length=1000)]
    finished: Count = 0
    failures: Annotated[list[ActorTotals], Meta(max_length=1000)] = []  # noqa: RUF012 - as above
    cells: Annotated[dict[Count, Name], Meta(max_length=1000)] = {}  # noqa: RUF012 - as above


class ActorMoment(Message, tag=142, frozen=True):
    """A change of an actor's state, which has Ray's name in `state`. `process_id` and `pid`: of its worker then."""

    actor_id: bytes
    class_name: str
    name: str
    state: str
    at: float
    process_id: bytes
    pid: int
    job: bytes
    seq: int


class DriverWaits(Message, tag=145, frozen=True):
    """Waits of the code of one driver, and moves of values of any process, such as "spill 1.0 MiB"."""

    process_id: bytes
    pid: int
    waits: list[Wait]
    seq: int


class Follow(Message, tag=143, frozen=True):
    """Ask for the changes of calls and actors after `after`; answered by `TaskNews` as soon as there is one.

    Attributes:
        node_id: The node that has given the number `after`. Another node answers with a snapshot.
        after: The number of the last change that the asker knows, 0 for a snapshot.
        wait_s: Seconds after which the answer comes without a change.
    """

    rid: Count
    node_id: Annotated[bytes, Meta(max_length=64)]
    after: Count
    wait_s: Annotated[float, Meta(ge=0, le=30)]


class TaskNews(Message, tag=144, frozen=True):
    """Answer to `Follow`.

    Attributes:
        node_id, seq: To ask for the next changes with.
        is_snapshot: Whether `tasks`, `actors` and `waits` are the beginning of all that the node knows: the asker
            forgets what it has had before.
        tasks: The changed calls, in the order of their last changes.
        removed: The ids of calls that the node has forgotten.
        actors: Changes of actors.
        waits: Waits of drivers.
        unlisted: How many calls of each function have ended that have no row.
        is_complete: Whether there is no later change now.
        totals: How many calls of each changed actor have ended, those without a row and forgotten ones included.
    """

    rid: int
    node_id: bytes
    seq: int
    is_snapshot: bool
    tasks: list[TaskRow]
    removed: list[bytes]
    actors: list[ActorMoment]
    waits: list[DriverWaits]
    unlisted: dict[str, int]
    is_complete: bool
    totals: list[ActorTotals]
