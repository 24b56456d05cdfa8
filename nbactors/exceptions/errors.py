"""The public errors, each with its text. Import them from `nbactors.exceptions`."""

from __future__ import annotations

from nbactors.exceptions.task_error import RayError, RayTaskError


class CrossLanguageError(RayError):
    """An error from another language. Never raised here: for `except` clauses written for Ray."""


class TaskCancelledError(RayError):
    """The task was cancelled.

    Attributes:
        task_id: Hexadecimal id of the task, or None.
        error_message: More about why, or None.
    """

    def __init__(self, task_id: str | None = None, error_message: str | None = None) -> None:
        super().__init__(task_id, error_message)
        self.task_id = task_id
        self.error_message = error_message

    def __str__(self) -> str:
        which = f"Task: {self.task_id}" if self.task_id else "This task or its dependency"
        return f"{which} was cancelled. {self.error_message or ''}".rstrip()


class CallTimeoutError(TaskCancelledError, TimeoutError):
    """A call did not end within the `timeout_s` that it was given, and was cancelled. nbactors's own.

    Attributes:
        task_id: Hexadecimal id of the task, or None.
        phase: "queued" if it had not begun by then, so that it never runs; "running" if it had begun.
        timeout_s: The seconds that it was given.
        error_message: More about how it was cancelled, or None.
    """

    def __init__(self, task_id: str | None, phase: str, timeout_s: float, error_message: str | None = None) -> None:
        # Not by super(): TimeoutError is an OSError, which takes two arguments for an errno and its text.
        Exception.__init__(self, task_id, phase, timeout_s, error_message)
        self.task_id = task_id
        self.error_message = error_message
        self.phase = phase
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        which = f"Task: {self.task_id}" if self.task_id else "This task"
        given = f"the {self.timeout_s:g} s of its timeout_s"
        if self.phase == "queued":
            return (
                f"{which} was cancelled: it was still queued after {given}, and has not run. What it waited for took "
                "longer (earlier calls, its arguments, resources): give it more time, or for an actor let more calls "
                "run at once (max_concurrency)."
            )
        return (
            f"{which} was cancelled: it was still running after {given}. What it has done until then stays done. "
            f"{self.error_message or 'Give it more time.'}"
        )


class LocalRayletDiedError(RayError):
    """The node daemon died while the call was under way."""

    def __str__(self) -> str:
        return super().__str__() or (
            "The node daemon died. Its log tells why: `nbactors status` names the directory; init() starts a new one."
        )


class WorkerCrashedError(RayError):
    """The worker process died while it ran the task. The message tells the cause as far as it is known."""

    def __str__(self) -> str:
        return super().__str__() or (
            "The worker died unexpectedly while executing this task. Its last output, if any, stands above; "
            "out of memory and crashes in compiled extensions are the usual causes."
        )


class RayActorError(RayError):
    """An actor is dead or not available, so that a call to it failed.

    Attributes:
        actor_id: The actor's id in hexadecimal digits, or None.
        error_msg: The whole message.
        actor_init_failed: Whether the constructor raised.
        preempted: False: a single machine preempts nothing.
    """

    BASE_ERROR_MSG = "The actor experienced an error before finishing this task."

    def __init__(
        self,
        actor_id: str | bytes | None = None,
        error_msg: str = BASE_ERROR_MSG,
        actor_init_failed: bool = False,
        preempted: bool = False,
    ) -> None:
        super().__init__(actor_id, error_msg, actor_init_failed, preempted)
        self.actor_id = _hex(actor_id)
        self.error_msg = error_msg
        self.actor_init_failed = actor_init_failed
        self.preempted = preempted

    def __str__(self) -> str:
        return self.error_msg


class ActorDiedError(RayActorError):
    """The actor is dead: its process ended, or its constructor raised.

    Args:
        cause: The whole message; or the constructor's `RayTaskError`, as in Ray.
        actor_id: The actor's id.
        kind: How it ended, in one word (`creation_failed`, `killed`, `crashed`, `exit`, …).
    """

    BASE_ERROR_MSG = "The actor died unexpectedly before finishing this task."

    def __init__(
        self, cause: str | RayTaskError | None = None, actor_id: str | bytes | None = None, kind: str = ""
    ) -> None:
        text = cause if isinstance(cause, str) else self.BASE_ERROR_MSG
        if isinstance(cause, RayTaskError):
            text = f"The actor died because of an error raised in its creation task, {cause}"
            kind = kind or "creation_failed"
        super().__init__(actor_id, text, kind == "creation_failed")
        self.args = (cause, actor_id, kind)
        self.kind = kind

    @staticmethod
    def from_task_error(task_error: RayTaskError) -> ActorDiedError:
        """Return the error of an actor whose constructor raised."""
        return ActorDiedError(task_error)


class ActorUnavailableError(RayActorError):
    """The actor cannot be reached now, but may be later. The call may or may not have run."""

    def __init__(self, error_message: str, actor_id: str | bytes | None = None) -> None:
        super().__init__(
            actor_id,
            f"The actor {_hex(actor_id)} is unavailable: {error_message}. The task may or may not have been executed "
            "on the actor.",
        )
        self.args = (error_message, actor_id)


class RaySystemError(RayError):
    """The runtime itself failed, or was not there."""

    def __init__(self, client_exc: object, traceback_str: str | None = None) -> None:
        super().__init__(client_exc, traceback_str)
        self.client_exc = client_exc
        self.traceback_str = traceback_str

    def __str__(self) -> str:
        tail = f"\ntraceback: {self.traceback_str}" if self.traceback_str else ""
        return f"System error: {self.client_exc}{tail}"


class AuthenticationError(RayError):
    """Another user's process. The sockets of nbactors are open to the user who started it only."""


class UserCodeException(RayError):
    """Ray Data wraps errors of user code in it. Never raised here: for `except` clauses written for Ray."""


class ObjectStoreFullError(RayError):
    """There is no room for the value, neither in shared memory nor on disk."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}\nThe objects that are still referred to fill the object store. Delete references "
            "that are no longer needed (`del ref`), or give it more room: init(object_store_memory=BYTES)."
        )


class OutOfDiskError(RayError):
    """The disk that values are spilled to is full."""

    def __str__(self) -> str:
        return f"{super().__str__()}\nThe disk that values are spilled to is full: `df` shows it. Free some space."


class OutOfMemoryError(RayError):
    """The machine ran out of memory, and the task or actor was ended."""


class NodeDiedError(RayError):
    """The node daemon has ended, and with it all actors and tasks."""


class ObjectLostError(RayError):
    """The value of a reference is gone.

    Attributes:
        object_ref_hex: The object's id.
        owner_address: The id of the process that owned it, or None.
        call_site: The place in the code where the reference was made, or empty.
        detail: The cause as far as it is known, or empty.
    """

    _why = "All copies of it have been lost."

    def __init__(
        self, object_ref_hex: str, owner_address: bytes | None = None, call_site: str = "", detail: str = ""
    ) -> None:
        super().__init__(object_ref_hex, owner_address, call_site, detail)
        self.object_ref_hex = object_ref_hex
        self.owner_address = owner_address
        self.call_site = call_site
        self.detail = detail

    def __str__(self) -> str:
        parts = [f"Failed to retrieve object {self.object_ref_hex}. {self._why}"]
        if self.detail:
            parts.append(self.detail)
        if self.call_site:
            parts.append(f"The ObjectRef was created at: {self.call_site}")
        return "\n".join(parts)


class ObjectFetchTimedOutError(ObjectLostError):
    """The value's owner did not send it in time."""

    _why = "Its owner did not send it in time."


class RpcError(RayError):
    """A connection between two processes failed."""


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The value was freed although a reference to it exists: a bug in nbactors."""

    _why = "It was freed although this reference exists, which is a bug in nbactors: please report it."


class ObjectFreedError(ObjectLostError):
    """The value was freed on purpose, while a reference to it existed."""

    _why = "It was freed on purpose while this reference existed."


class OwnerDiedError(ObjectLostError):
    """The process that made the reference (by `.remote()` or `put`) has ended, and the value with it."""

    _why = (
        "The object's owner has exited: the process that first created the ObjectRef by `.remote()` or `put()`. "
        "A value lives no longer than its owner; return it, or put it in a process that lives longer."
    )


class ObjectReconstructionFailedError(ObjectLostError):
    """The value was lost and cannot be computed again."""

    _why = "It cannot be reconstructed."


class GetTimeoutError(RayError, TimeoutError):
    """The timeout of a `get` is over, and not all values were ready."""


class PlasmaObjectNotAvailable(RayError):
    """The value was not available in time."""


class AsyncioActorExit(RayError):
    """An asyncio actor ends on purpose, by `exit_actor()`."""


class RuntimeEnvSetupError(RayError):
    """The runtime_env of a worker could not be set up."""

    def __init__(self, error_message: str | None = None) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return "\n".join(
            ["Failed to set up runtime environment.", *([self.error_message] if self.error_message else [])]
        )


class TaskPlacementGroupRemoved(RayError):
    """The placement group that the task was to run in has been removed."""


class ActorPlacementGroupRemoved(RayError):
    """The placement group that the actor lived in has been removed."""


class PendingCallsLimitExceeded(RayError):
    """More calls are pending than the actor's `max_pending_calls` allows. Wait for some results before calling on."""


class TaskUnschedulableError(RayError):
    """No node can run the task, for instance since it asks for a node that does not exist."""

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return f"The task is not schedulable: {self.error_message}"


class ActorUnschedulableError(RayError):
    """No node can run the actor, for instance since it asks for a node that does not exist."""

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return f"The actor is not schedulable: {self.error_message}"


class ObjectRefStreamEndOfStreamError(RayError):
    """A streaming generator has no more references."""


class StreamingGeneratorReplayInconsistentError(RaySystemError):
    """A streaming generator, run again, gave another number of values than before."""


class OufOfBandObjectRefSerializationException(RayError):
    """An ObjectRef was pickled by hand where that is not allowed. The name is spelled as in Ray."""


class RayChannelError(RaySystemError):
    """A compiled graph's channel failed. Never raised here: for `except` clauses written for Ray."""


class RayChannelTimeoutError(RayChannelError, TimeoutError):
    """A compiled graph's channel timed out. Never raised here: for `except` clauses written for Ray."""


class RayCgraphCapacityExceeded(RaySystemError):
    """A compiled graph's channel is full. Never raised here: for `except` clauses written for Ray."""


class RayDirectTransportError(RaySystemError):
    """A direct tensor transport failed. Never raised here: for `except` clauses written for Ray."""


class UnserializableException(RayError):
    """A task raised an exception that was sent, but could not be rebuilt here. The text has its traceback."""

    def __init__(self, original_stack_trace: str) -> None:
        super().__init__(original_stack_trace)

    def __str__(self) -> str:
        return f"Failed to deserialize exception.\nOriginal exception:\n{self.args[0]}"


class ActorAlreadyExistsError(ValueError, RayError):
    """An actor of that name lives in the namespace already."""

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message


class ActorHandleNotFoundError(ValueError, RayError):
    """A handle of a session that has ended."""

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message


class ForeignCodeError(RuntimeError):
    """A class or function has come by value from a process of another Python version. nbactors's own.

    Args:
        theirs, ours: The versions, major and minor. Bytecode is the same within a minor version.
        name, filename: The name and file of the first such code in the value.
    """

    def __init__(self, theirs: tuple[int, int], ours: tuple[int, int], name: str, filename: str) -> None:
        super().__init__(theirs, ours, name, filename)
        self._facts = theirs, ours, name, filename

    def __str__(self) -> str:
        theirs, ours, name, filename = self._facts
        return (
            f"the code of {name!r} ({filename}) is of Python {theirs[0]}.{theirs[1]}, and this process runs Python "
            f"{ours[0]}.{ours[1]}, which cannot run it: code that travels by value is of one version. Run both "
            "processes with the same version, or put the class or function into a module that both can import, so that "
            "it travels by its name"
        )


class NodeMissingError(Exception):
    """No node runs, or the node left before it answered. nbactors's own."""


def _hex(actor_id: str | bytes | None) -> str | None:
    return actor_id.hex() if isinstance(actor_id, bytes) else actor_id or None


RAY_EXCEPTION_TYPES: list[type[RayError]] = [
    kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, RayError)
]
"""Every class of Ray's in this module."""
