"""`RuntimeContext`: ids, names and resources of the driver, task or actor in which the calling code runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors import engine
from nbactors.actor import ActorHandle

if TYPE_CHECKING:
    from nbactors.engine import RuntimeFacts
    from nbactors.ray_names.id_classes import PlacementGroupID
    from nbactors.runtime_env import RuntimeEnv


class RuntimeContext:
    """Ids, names and resources of the calling code. Ids are hexadecimal text. Any thread of a driver, task or actor.

    Each property and method looks up its answer anew, so the process has one object for all code.
    Example: `get_runtime_context().get_actor_id()`. Source: Ray's page "ray.runtime_context.RuntimeContext".
    """

    def _facts(self) -> RuntimeFacts:
        return engine.current().runtime_facts()

    def get(self) -> dict[str, Any]:
        """Return a dict of the namespace and of those ids that the calling code has."""
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
        """Return the id of this process."""
        return self._facts().worker_id.hex()

    @property
    def task_id(self) -> str | None:
        """The id of the running call; None in a driver."""
        return self.get_task_id()

    def get_task_id(self) -> str | None:
        """Return the id of the running call; None in a driver."""
        return self._facts().task_id.hex() or None

    def get_task_name(self) -> str | None:
        """Return the name of the running call: of `options(name=)`, or else of its function. None in a driver."""
        return self._facts().task_name or None

    def get_task_function_name(self) -> str | None:
        """Return the name of the running call's function with its module; None in a driver."""
        return self._facts().function_name or None

    @property
    def actor_id(self) -> str | None:
        """The actor's id; None outside an actor."""
        return self.get_actor_id()

    def get_actor_id(self) -> str | None:
        """Return the actor's id; None outside an actor."""
        return self._facts().actor_id.hex() or None

    def get_actor_name(self) -> str | None:
        """Return the actor's name, "" for an actor without a name; None outside an actor."""
        facts = self._facts()
        return facts.actor_name if facts.actor_id else None

    @property
    def namespace(self) -> str:
        """The session's namespace."""
        return self._facts().namespace

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether this process replaces one of the actor that has crashed.

        Raises:
            AssertionError: The caller does not run in an actor.
        """
        facts = self._facts()
        if not facts.actor_id:
            raise AssertionError("This property is only available in an actor: the caller is a driver or a task.")
        return facts.was_restarted

    def is_canceled(self) -> bool:
        """Return whether `cancel` was called for the running call. A long call asks this, and returns early if so.

        Raises:
            RuntimeError: The caller is a driver, or an async actor, whose cancelled calls get asyncio.CancelledError.
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
        """Return the amounts of resources that the worker holds: by default {"CPU": 1.0} in a task, {} in an actor.

        Raises:
            AssertionError: The caller is a driver, which holds no resources.
        """
        facts = self._facts()
        if facts.is_driver:
            raise AssertionError("This method is only available when the process is a worker: a driver holds nothing.")
        return dict(facts.assigned_resources)

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """Return the ids of the accelerators that the worker holds, such as {"GPU": ["0"]}; {"GPU": []} in a driver."""
        return {"GPU": [str(gpu) for gpu in self._facts().gpu_ids]}

    def get_node_labels(self) -> dict[str, str]:
        """Return the node's labels: those of `init(labels=)`, its id, and the kind of its GPUs if there are some."""
        return engine.current().node_labels()

    def get_placement_group_id(self) -> str | None:
        """Return the id of the placement group that the calling actor or task runs in; None for none."""
        return engine.current().current_group().hex() or None

    @property
    def current_placement_group_id(self) -> PlacementGroupID:
        """The id of the placement group that the caller runs in, as an object: a nil id for none."""
        from nbactors.ray_names.id_classes import PlacementGroupID  # noqa: PLC0415 - few programs use it

        return PlacementGroupID(engine.current().current_group() or PlacementGroupID.nil().binary())

    @property
    def should_capture_child_tasks_in_placement_group(self) -> bool:
        """Whether actors and tasks that the caller creates without a strategy run in its placement group, too."""
        return engine.current().captures_children()

    @property
    def runtime_env(self) -> RuntimeEnv:
        """The runtime_env that the caller runs with: that of the session, or of a worker, merged with the session's.

        It has "env_vars", "working_dir" and "py_modules". Packages are installed before a worker starts, and a setup
        hook has run: both are left out.
        """
        from nbactors.runtime_env import RuntimeEnv  # noqa: PLC0415 - few programs use it

        found = RuntimeEnv()
        found.update(engine.current().runtime_env())  # not checked again: the worker runs with it already
        return found

    def get_runtime_env_string(self) -> str:
        """Return `runtime_env` as JSON."""
        import json  # noqa: PLC0415 - few programs use it

        return json.dumps(engine.current().runtime_env())

    def get_session_name(self) -> str:
        """Return the name of the node, the same in all its sessions: "session_" and the node's id.

        In Ray it names the start of the cluster, too. After a crash of the node, the next node has another name.
        """
        return f"session_{self.get_node_id()}"

    def get_temp_dir(self) -> str:
        """Return the path of the node's directory, which has its sockets and logs: see NBACTORS_DIR in the README."""
        return engine.current().directory()

    @property
    def gcs_address(self) -> str:
        """Empty: there is no cluster, and so no server that knows its state. `init()` finds the node by itself."""
        engine.current()
        return ""

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Do the same as `get_accelerator_ids`. This is Ray's older name for it."""
        return self.get_accelerator_ids()

    @property
    def current_actor(self) -> ActorHandle[Any]:
        """A weak handle to the actor that runs the calling code: an actor does not keep itself alive.

        Raises:
            RuntimeError: The caller does not run in an actor.
        """
        current = engine.current()
        if not current.runtime_facts().actor_id:
            raise RuntimeError("This method is only available in an actor.")
        return ActorHandle(*current.current_actor())

    def __repr__(self) -> str:
        return f"RuntimeContext({', '.join(f'{name}={value!r}' for name, value in self.get().items())})"


_context = RuntimeContext()


def get_runtime_context() -> RuntimeContext:
    """Return the runtime context of the calling code; open a session if none is open. Any thread.

    Example: `get_runtime_context().namespace`. Source: Ray's page "ray.runtime_context.get_runtime_context".
    """
    engine.current()
    return _context
