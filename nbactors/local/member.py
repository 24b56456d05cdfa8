"""A session or worker process as a member of the local engine: everything that it keeps, tied together."""

from __future__ import annotations

import itertools
import os
import resource
import socket
import sys
from collections.abc import Callable
from operator import attrgetter
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.exceptions import hints, reasons
from nbactors.frontend import calling_cell
from nbactors.local import current, installation
from nbactors.local.connections.node_link import NodeLink
from nbactors.local.connections.peers import Peers
from nbactors.local.objects.references import References
from nbactors.local.objects.streams import Streams
from nbactors.local.objects.values import Values
from nbactors.local.objects.waiting import Waiting
from nbactors.local.reactor import background
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.store.segments import SegmentStore
from nbactors.local.submitting.actors import Actors
from nbactors.local.submitting.call_life import QUEUED, SENT, WAITING
from nbactors.local.submitting.replies import Replies
from nbactors.local.submitting.tasks import Tasks
from nbactors.local.wire import failures, messages, os_bytes

if TYPE_CHECKING:
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.wire.cancel_mode import CancelMode
    from nbactors.runtime_env import RuntimeEnv

TRIM_S = 10.0
"""Free segments are kept this long for the next large value."""

MAX_DESCRIPTORS = 1 << 16

FLUSH_S = 2.0
"""How long a leaving process tries to get rid of what it has to send."""

_NUMBER = attrgetter("number")


class Process:
    """One member. Made once per session or worker.

    Args:
        process_id: 16 bytes.
        directory: The node's private directory.
        store_limit: Bytes of shared memory that this process may use.
        on_control: Handles control messages that are not for actors, tasks or references. The leader's thread.
        on_node_lost: Called when the node is gone. The leader's thread.
    """

    def __init__(
        self,
        process_id: bytes,
        directory: str,
        store_limit: int,
        on_control: Callable[[Any], None],
        on_node_lost: Callable[[str], None],
    ) -> None:
        _raise_descriptor_limit()
        self.process_id = process_id
        self.directory = directory
        self.closed = False
        self.forked = False
        """Whether this is the copy that a forked child has: closed, and no lock of it is to be taken."""
        self.inherited_env: RuntimeEnv | None = None
        """The session's runtime_env, or in a worker its own; children get it too."""
        self.numbers = itertools.count(1)
        self.current_call: Callable[[], Any] | None = None
        """Set in a worker: returns the call that the calling code belongs to, so that it can be cancelled with it."""
        self.job_number = 0
        """In a session, its job id."""
        self.reactor = Reactor("nbactors-io")
        self.store = SegmentStore(self.reactor.discard, store_limit)
        self.references = References(self)
        self.references.borrows = current.inherits()
        self.actors = Actors(self)
        self.values = Values(self.store, self.references, self.actors, self.expect_trim)
        self.tasks = Tasks(self)
        self.replies = Replies(self.values)
        self.streams = Streams(self)
        self.peers = Peers(self)
        self.waiting = Waiting(self)
        self.node: NodeLink
        self._on_control = on_control
        self._on_node_lost = on_node_lost
        self._told_paths: tuple[list[str], str] = ([], "")
        self._trimming = False
        self.peers.handlers.update(
            {
                messages.Reply: self.replies.on_reply,
                messages.Results: self.replies.on_results,
                messages.Yielded: self.replies.on_yielded,
                messages.AskNext: self.streams.on_ask,
                messages.Next: self.streams.on_next,
                messages.PutBack: self.streams.on_put_back,
                messages.CancelObject: lambda c, m: self.references.cancel(
                    m.object_id, m.force, m.recursive, m.interrupt
                ),
                messages.GivenBack: self.tasks.on_given_back,
            }
        )
        self._control: dict[type, Callable[[Any], None]] = {
            messages.ActorUp: self.actors.on_news,
            messages.ActorDown: self.actors.on_news,
            messages.LeaseGranted: self.tasks.on_granted,
            messages.LeaseLost: lambda m: self.tasks.lost(m.process_id, m.text),
            messages.ProcessGone: self.peers.on_process_gone,
            messages.Refused: self.tasks.on_refused,
            messages.ListenAgain: lambda m: self.peers.listen_again(),
        }

    def handle(self, kind: type, handler: Callable[[Any], None]) -> None:
        """Have `handler` take the node's messages of a kind. The leader's thread calls it."""
        self._control[kind] = handler

    def join(self, node: socket.socket, role: str, package_version: str) -> None:
        """Listen for peers, say Hello to the node and begin to read."""
        # First, so that `close` closes the socket also if nothing can listen.
        self.node = NodeLink(self.reactor, node, self._receive_control, self._lose_node)
        self.peers.listen()
        self.node.start(self.process_id, role, package_version)
        current.enter(self)
        background.start(self.reactor)

    def _receive_control(self, message: Any) -> None:
        self._control.get(type(message), self._on_control)(message)

    def _lose_node(self, why: str) -> None:
        if self.closed:
            return
        self.actors.node_lost(why)
        self.tasks.node_lost()
        self.peers.node_lost(why)
        self._on_node_lost(why)

    # ----------------------------------------------------------------------------------------------------- checking

    def check_alive(self) -> None:
        """Raise if this process has left.

        Raises:
            RaySystemError: It has, or it is a forked child of the one that joined.
        """
        if self.forked:
            raise exceptions.RaySystemError(hints.FORKED)
        if self.closed:
            raise exceptions.RaySystemError("the session was shut down while this thread waited")

    def dead_handle_error(self, actor_id: bytes) -> Exception:
        """Return the error for a handle of a session that has ended."""
        if self.forked:
            return exceptions.RayActorError(actor_id, f"Failed to reach actor {actor_id.hex()}: {hints.FORKED}")
        return exceptions.RayActorError(
            actor_id,
            f"Failed to look up actor {actor_id.hex()}: It might be dead or it's from a different cluster. This handle "
            "belongs to a session that has been shut down; create the actor again, or find it with get_actor() if "
            "it is detached.",
        )

    # ---------------------------------------------------------------------------------------------------- describing

    def caller(self) -> tuple[Any, int]:
        """Return the call that the calling code belongs to, None for none, and its origin. Any thread.

        The origin is where calls that are made now come from, see `messages.Call`.
        """
        if self.current_call is not None:
            job = self.current_call()
            return job, job.message.origin if job is not None else 0
        cell = calling_cell.current()
        return None, self.job_number << 32 | cell if cell else 0

    def origin(self) -> int:
        """Return where calls that are made now come from. Any thread."""
        return self.caller()[1]

    def tell_paths(self, sys_path: list[str], cwd: str) -> None:
        """Remember what forkservers were started with."""
        self._told_paths = (sys_path, cwd)

    def environment(self) -> messages.Environment:
        """Return what this session's workers must share with it, and remember it for `changed_paths`.

        Raises:
            OSError: The environment variables are too long to be sent, and much too long to start a program with.
        """
        paths, cwd = importable_paths(), working_directory()
        self.tell_paths(paths, cwd)
        return installation.environment(paths, cwd)

    def changed_paths(self) -> tuple[list[bytes], bytes]:
        """Return `sys.path` and the working directory as they are now if they have changed since, else empty."""
        now = paths, cwd = importable_paths(), working_directory()
        return ([], b"") if now == self._told_paths else (os_bytes.encode_all(paths), os_bytes.encode(cwd))

    def runtime_env(self, env: RuntimeEnv | None) -> messages.RuntimeEnv | None:
        """Return what a new worker is given: the options' runtime_env over the one that this process has inherited."""
        inherited = self.inherited_env
        given = inherited if env is None else env.over(inherited)
        if given is None:
            return None
        return messages.RuntimeEnv(
            os_bytes.encode_variables(given.env_vars),
            os_bytes.encode(given.working_dir),
            os_bytes.encode_all(given.py_modules),
        )

    # ------------------------------------------------------------------------------------------------------ storing

    def expect_trim(self) -> None:
        """Give free segments back once nobody has wanted them for a while. Any thread."""
        if not self._trimming:
            self._trimming = True
            self.reactor.call_later(TRIM_S, self._trim)

    def _trim(self) -> None:
        self._trimming = False
        self.store.trim()

    # ------------------------------------------------------------------------------------------------------ leaving

    def flush(self, timeout: float = FLUSH_S) -> None:
        """Send everything that is buffered, for at most `timeout` seconds. Any thread but the background one."""
        from nbactors.local.reactor.waiter import Waiter  # noqa: PLC0415 - only when leaving

        deadline = monotonic() + timeout
        self.reactor.wait(Waiter(), 0)
        while self.unsent() and monotonic() < deadline:
            self.reactor.wait(Waiter(), 0.005)

    def pending_calls(self) -> list[PendingCall]:
        """Return every call that this process has made and that has not returned. Any thread."""
        return [*self.peers.calls(), *self.actors.queued(), *self.tasks.queued()]

    def latest_calls_first(self) -> list[PendingCall]:
        """Return the pending calls in the order in which to cancel them. Any thread.

        The first ones run, and those behind them wait. Were a running one cancelled first, the next would begin before
        its own cancellation is on its way.
        """
        return sorted(self.pending_calls(), key=_NUMBER, reverse=True)

    def cancel_children(self, parent: Any, mode: CancelMode) -> None:
        """Cancel what a call has called, and so on down; see `messages.Cancel`. Any thread."""
        for call in sorted(parent.children or (), key=_NUMBER, reverse=True):
            call.cancel(mode, True)

    def _abandon_calls(self) -> None:
        """End what waits for answers that will not come: futures have no time-out of their own."""
        error = failures.encode(reasons.session_closed())
        for call in self.pending_calls():
            if call.state in (WAITING, QUEUED, SENT):
                call.fail(error)
        self.references.leave()

    def unsent(self) -> bool:
        """Return whether something still has to go out."""
        return bool(self.peers.unsent()) or self.node.unsent

    def close(self) -> None:
        """Close everything. Pending calls get no answer any more; waiting threads are woken by their time-outs."""
        self.closed = True
        current.leave(self)
        self.reactor.close()
        self._abandon_calls()
        self.node.close()
        self.peers.close()
        self.store.close()

    def forget(self) -> None:
        """In a forked child: drop the copies of the parent's connections without a word to anyone.

        They are closed, or else the node would not see the parent's end as long as the child lives. Locks stay as they
        are: a thread of the parent's that is not here may hold each of them, so nothing here may take one again.
        """
        self.closed = self.forked = True
        self.reactor.forget()
        self.node.forget()
        self.peers.forget()


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system lets us: each large value and each actor takes one or two.

    The usual soft limit of 1,024 is there for programs that use `select`, which see no difference until they have
    more descriptors than that themselves.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS knows a lower limit than it tells
            pass


def importable_paths() -> list[str]:
    """Return `sys.path` with the empty entry spelled out, so that it means the same in another directory.

    Without that entry if the working directory was removed: Python finds nothing by it either.
    """
    texts = [path for path in sys.path if isinstance(path, str)]
    return [path for path in (path or working_directory() for path in texts) if path]


def working_directory() -> str:
    """Return the working directory; empty if it was removed, in which Python goes on as well."""
    try:
        return os.getcwd()
    except OSError:
        return ""
