"""A worker whose part the test plays: it notes the messages of its caller, and answers when the test says so.

    session, worker = Session(tmp_path, in_background=False), PlayedWorker(tmp_path)
    with tied(session, worker):
        link = worker.become_actor(session)
        ref = session.call(link, "add", 1)
        settle(session, worker)
        worker.reply(worker.take(messages.Call), 2)
        assert session.get(ref) == 2

No thread but the test's takes part, so the steps of a race run in the order of the test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from members import ONE_BY_ONE, Member, Session, settle

from nbactors.local.connections.connection import Connection
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.wire import failures, messages
from nbactors.pickling import pickling

M = TypeVar("M", bound=messages.Message)

PID = 4242
"""The number that the node tells of the worker's process. No signal is ever sent to it: tests replace `os.kill`."""

_NOTED = (
    messages.Construct,
    messages.Call,
    messages.Define,
    messages.Undefine,
    messages.Run,
    messages.Cancel,
    messages.CancelObject,
    messages.Consumed,
    messages.StopStream,
)


class Actor:
    """The class of an actor that never runs: the test answers its calls."""


class PlayedWorker(Member):
    """A worker that runs nothing.

    Attributes:
        caller: The connection of its caller, once a message has come on it.
        got: The messages of its caller that the test has not taken, in the order of arrival.
    """

    caller: Connection

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "worker", in_background=False)
        self.got: list[Any] = []
        self.peers.handlers.update(dict.fromkeys(_NOTED, self._note))

    def _note(self, connection: Connection, message: Any) -> None:
        self.caller = connection
        self.got.append(message)

    def become_actor(self, session: Session, concurrency: Concurrency = ONE_BY_ONE, **meta: Any) -> LocalActorLink:
        """Be the worker of an actor that a session creates, and take its `Construct`.

        Args:
            session: The creator.
            concurrency: How the actor runs its calls.
            **meta: Fields of the actor's `ActorMeta` to replace.
        """
        link = session.prepare(Actor, concurrency=concurrency)
        assert link.meta is not None
        link.configure(link.meta._replace(**meta))
        self.come_up(session, link)
        self.take(messages.Construct)
        return link

    def come_up(self, session: Session, link: LocalActorLink) -> None:
        """Be told of by the node as the worker of an actor."""
        session.node_end.tell(messages.ActorUp(link.actor_id, self.process_id, PID))
        settle(session, self)

    def grant(self, session: Session, lease_id: int = 1) -> messages.RequestLease:
        """Answer a session's next request for a worker with this one, as the node does."""
        settle(session)
        request = session.node_end.expect(messages.RequestLease)
        session.node_end.tell(messages.LeaseGranted(request.rid, lease_id, self.process_id, PID))
        settle(session, self)
        return request

    def die(self, session: Session, text: str = "it was killed by SIGKILL.") -> None:
        """End: the socket closes, and the node tells that the process has gone."""
        self.others.clear()
        session.others.pop(self.process_id, None)
        for connection in self.peers.incoming():
            connection.close("the worker has died")
        session.node_end.tell(messages.ProcessGone(self.process_id, text))
        settle(session)

    def take(self, kind: type[M]) -> M:
        """Return the oldest message of a kind that has come, and take it.

        Raises:
            AssertionError: None has come.
        """
        found = next((message for message in self.got if type(message) is kind), None)
        assert found is not None, f"no {kind.__name__} has come, but {self.got}"
        self.got.remove(found)
        return found  # type: ignore[no-any-return]

    def methods(self) -> list[str]:
        """Return the methods of the calls that have come and were not taken."""
        return [message.method for message in self.got if type(message) is messages.Call]

    def reply(self, call: messages.Call | messages.Run, value: Any = None) -> None:
        """Answer a call with a small value."""
        self.caller.send_now(messages.Reply(call.number, pickling.dumps(value).data))

    def yields(self, call: messages.Call | messages.Run, index: int, value: Any) -> None:
        """Send a value of a generator; `index` counts from 1."""
        self.caller.send_now(messages.Yielded(call.number, index, pickling.dumps(value).data))

    def result(self, call: messages.Call | messages.Run, *values: Any) -> None:
        """Answer a call with several values."""
        self.caller.send_now(messages.Results(call.number, [_value(value) for value in values]))

    def raises(self, call: messages.Call | messages.Run, error: BaseException, retriable: bool = False) -> None:
        """Answer a call with what it has raised."""
        data = failures.encode_task_error("method", f"{type(error).__name__}: {error}\n", error, PID)
        self.caller.send_now(messages.Results(call.number, [messages.Value(data, error=True)], retriable))


def _value(value: Any) -> messages.Value:
    return messages.Value(pickling.dumps(value).data)


class Torn:
    """A listener in which an exception from outside comes once."""

    def __init__(self) -> None:
        self.told = 0

    def ready(self, entry: Any) -> None:
        self.told += 1
        if self.told == 1:
            raise KeyboardInterrupt("torn")
