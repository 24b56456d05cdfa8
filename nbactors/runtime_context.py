"""`RuntimeContext`: where the calling code runs. Follows Ray's class of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors import engine
from nbactors.actor import ActorHandle

if TYPE_CHECKING:
    from nbactors.engine import RuntimeFacts


class RuntimeContext:
    """Ids, names and resources of the calling code: driver, task or actor. Any thread.

    Ids are hexadecimal text. Each answer is read anew, so that one object serves wherever it is used.
    """

    def _facts(self) -> RuntimeFacts:
        return engine.current().runtime_facts()

    def get(self) -> dict[str, Any]:
        """Return the ids that there are, and the namespace, in a dict."""
        facts = self._facts()
        found = {
            "job_id": facts.job_id.hex(),
            "node_id": facts.node_id.hex(),
            "namespace": facts.namespace,
            "task_id": facts.task_id.hex(),
            "actor_id": facts.actor_id.hex(),
        }
        return {name: value for name, value in found.items() if value or name == "namespace"}

    @property
    def job_id(self) -> str:
        """The session's id."""
        return self.get_job_id()

    def get_job_id(self) -> str:
        """Return the session's id."""
        return self._facts().job_id.hex()

    @property
    def node_id(self) -> str:
        """The node's id."""
        return self.get_node_id()

    def get_node_id(self) -> str:
        """Return the node's id."""
        return self._facts().node_id.hex()

    def get_worker_id(self) -> str:
        """Return the process's id."""
        return self._facts().worker_id.hex()

    @property
    def task_id(self) -> str | None:
        """The running call's id; None in a driver."""
        return self.get_task_id()

    def get_task_id(self) -> str | None:
        """Return the running call's id; None in a driver."""
        return self._facts().task_id.hex() or None

    def get_task_name(self) -> str | None:
        """Return the running call's name (`options(name=)` or its function's); None in a driver."""
        return self._facts().task_name or None

    def get_task_function_name(self) -> str | None:
        """Return the running call's function, with its module; None in a driver."""
        return self._facts().function_name or None

    @property
    def actor_id(self) -> str | None:
        """The actor's id; None outside an actor."""
        return self.get_actor_id()

    def get_actor_id(self) -> str | None:
        """Return the actor's id; None outside an actor."""
        return self._facts().actor_id.hex() or None

    def get_actor_name(self) -> str | None:
        """Return the actor's name, "" if it has none; None outside an actor."""
        facts = self._facts()
        return facts.actor_name if facts.actor_id else None

    @property
    def namespace(self) -> str:
        """The session's namespace."""
        return self._facts().namespace

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether the actor has been restarted: False, since this version restarts none.

        Raises:
            AssertionError: The caller is no actor.
        """
        if not self._facts().actor_id:
            raise AssertionError("This property is only available in an actor: the caller is a driver or a task.")
        return False

    def is_canceled(self) -> bool:
        """Return whether `cancel` was called for the running call; a long one looks at it and returns early.

        Raises:
            RuntimeError: The caller is a driver; or an async actor, where asyncio.CancelledError tells it.
        """
        current = engine.current()
        facts = current.runtime_facts()
        if facts.is_driver:
            raise RuntimeError("This method is only available when the process is a worker: nobody cancels a driver.")
        if facts.actor_id and current.current_actor()[1].is_async:
            raise RuntimeError(
                "This method is not supported in an async actor: there a cancelled call gets asyncio.CancelledError at "
                "its next `await`."
            )
        return facts.is_canceled

    def get_assigned_resources(self) -> dict[str, float]:
        """Return what the worker holds, by default {"CPU": 1.0} for a task and {} for an actor.

        Raises:
            AssertionError: The caller is a driver, which holds nothing.
        """
        facts = self._facts()
        if facts.is_driver:
            raise AssertionError("This method is only available when the process is a worker: a driver holds nothing.")
        return dict(facts.assigned_resources)

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """Return the accelerators that the worker holds, such as {"GPU": ["0"]}; in a driver none."""
        return {"GPU": [str(gpu) for gpu in self._facts().gpu_ids]}

    def get_node_labels(self) -> dict[str, str]:
        """Return the node's labels: Ray's own one, with its id."""
        return {"ray.io/node-id": self.get_node_id()}

    def get_placement_group_id(self) -> str | None:
        """Return None: the caller is in no placement group."""
        return None

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Return the same as `get_accelerator_ids`, under its older name."""
        return self.get_accelerator_ids()

    @property
    def current_actor(self) -> ActorHandle[Any]:
        """A handle to the actor that the caller runs in.

        Raises:
            RuntimeError: It runs in none.
        """
        current = engine.current()
        if not current.runtime_facts().actor_id:
            raise RuntimeError("This method is only available in an actor.")
        return ActorHandle(*current.current_actor())

    def __repr__(self) -> str:
        return f"RuntimeContext({', '.join(f'{name}={value!r}' for name, value in self.get().items())})"


_context = RuntimeContext()


def get_runtime_context() -> RuntimeContext:
    """Return the context of the calling code. Starts the runtime if none runs."""
    engine.current()
    return _context
