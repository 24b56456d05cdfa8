"""The runtime context: the runtime_env, the names of places, and ids as objects."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest


class Asking:
    """Tells its runtime context."""

    def __init__(self, module: str) -> None:
        import importlib

        self.ray = importlib.import_module(module)

    def env(self) -> tuple[dict[str, Any], str]:
        context = self.ray.get_runtime_context()
        return dict(context.runtime_env), context.get_runtime_env_string()

    def places(self) -> list[Any]:
        context = self.ray.get_runtime_context()
        return [context.get_session_name(), context.get_temp_dir(), context.gcs_address]

    def group(self) -> Any:
        return self.ray.get_runtime_context().current_placement_group_id


class TestRuntimeEnv:
    def test_without_one(self, ray: Any) -> None:
        context = ray.get_runtime_context()
        assert context.runtime_env == {}
        assert context.get_runtime_env_string() == "{}"
        assert type(context.runtime_env).__name__ == "RuntimeEnv"

    def test_of_an_actor(self, ray: Any, module_name: str) -> None:
        given = {"env_vars": {"SHAPE": "round"}}
        env, text = ray.get(ray.remote(Asking).options(runtime_env=given).remote(module_name).env.remote())
        assert env == json.loads(text) == given

    def test_of_a_session_and_merged(self, init: Callable[..., Any], fresh: Any, module_name: str) -> None:
        init(runtime_env={"env_vars": {"SHAPE": "round"}})
        assert json.loads(fresh.get_runtime_context().get_runtime_env_string()) == {"env_vars": {"SHAPE": "round"}}
        asking = fresh.remote(Asking).options(runtime_env={"env_vars": {"SIZE": "big"}}).remote(module_name)
        env, text = fresh.get(asking.env.remote())
        assert env == json.loads(text) == {"env_vars": {"SHAPE": "round", "SIZE": "big"}}


class TestPlaces:
    @pytest.mark.one_node("Ray tells the session's name by the node")
    def test_a_worker_has_those_of_its_driver(self, ray: Any, module_name: str) -> None:
        context = ray.get_runtime_context()
        mine = [context.get_session_name(), context.get_temp_dir(), context.gcs_address]
        assert ray.get(ray.remote(Asking).remote(module_name).places.remote()) == mine

    def test_the_session_has_a_name(self, ray: Any) -> None:
        assert ray.get_runtime_context().get_session_name().startswith("session_")

    def test_the_directory_exists(self, ray: Any) -> None:
        assert os.path.isdir(ray.get_runtime_context().get_temp_dir())

    @pytest.mark.differs("there is no server of the cluster's state, so its address is empty")
    def test_there_is_no_gcs(self, ray: Any) -> None:
        assert ray.get_runtime_context().gcs_address == ""


class TestPlacementGroup:
    def test_nil_outside_a_group(self, ray: Any) -> None:
        found = ray.get_runtime_context().current_placement_group_id
        assert isinstance(found, ray.PlacementGroupID)
        assert found.is_nil()

    def test_in_a_group(self, ray: Any, module_name: str) -> None:
        import importlib

        groups = importlib.import_module(f"{module_name}.util.placement_group")
        place = importlib.import_module(f"{module_name}.util.scheduling_strategies").PlacementGroupSchedulingStrategy
        group = groups.placement_group([{"CPU": 1}])
        actor = ray.remote(Asking).options(scheduling_strategy=place(group)).remote(module_name)
        assert ray.get(actor.group.remote(), timeout=30) == group.id
        groups.remove_placement_group(group)


def test_every_name_of_ray_is_there(ray: Any) -> None:
    wanted = {
        "actor_id", "current_actor", "current_placement_group_id", "gcs_address", "get", "get_accelerator_ids",
        "get_actor_id", "get_actor_name", "get_assigned_resources", "get_job_id", "get_node_id", "get_node_labels",
        "get_placement_group_id", "get_resource_ids", "get_runtime_env_string", "get_session_name",
        "get_task_function_name", "get_task_id", "get_task_name", "get_temp_dir", "get_worker_id", "is_canceled",
        "job_id", "namespace", "node_id", "runtime_env", "should_capture_child_tasks_in_placement_group", "task_id",
        "was_current_actor_reconstructed",
    }  # fmt: skip
    assert wanted <= set(dir(ray.get_runtime_context()))
