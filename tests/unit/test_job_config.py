"""`JobConfig` checks what it is given, and gives it to `init`."""

from __future__ import annotations

from typing import Any

import pytest

from nbactors.job_config import JobConfig
from nbactors.logging_config import LoggingConfig
from nbactors.options.init_keywords import init_options


def test_init_takes_namespace_and_runtime_env() -> None:
    config = JobConfig(ray_namespace="shop", runtime_env={"env_vars": {"MODE": "test"}})
    options = init_options(None, {}, {"job_config": config})
    assert options.namespace == "shop"
    assert options.runtime_env is not None
    assert options.runtime_env.env_vars == {"MODE": "test"}


def test_what_has_no_effect_is_one_warning() -> None:
    config = JobConfig(["-Xmx1g"], metadata={"owner": "ann"})
    with pytest.warns(UserWarning, match=r"job_config\.jvm_options.*job_config\.metadata"):
        options = init_options(None, {}, {"job_config": config})
    assert options.namespace is None


def test_settings_can_be_changed_and_come_from_json() -> None:
    config = JobConfig.from_json({"ray_namespace": "shop", "metadata": {"owner": "ann"}})
    config.set_metadata("team", "data")
    config.set_ray_namespace("store")
    config.set_runtime_env({"env_vars": {}}, validate=True)
    assert (config.ray_namespace, config.runtime_env) == ("store", {"env_vars": {}})
    assert config.metadata == {"owner": "ann", "team": "data"}


@pytest.mark.parametrize("lifetime", ["detached", "non_detached"])
def test_the_lifetime_of_actors_is_an_option_of_the_session(lifetime: str) -> None:
    config = JobConfig()
    config.set_default_actor_lifetime(lifetime)
    assert init_options(None, {}, {"job_config": config}).detaches_actors is (lifetime == "detached")


def test_a_logging_configuration_is_set_once_and_given_to_init() -> None:
    config, text = JobConfig(), LoggingConfig(encoding="TEXT")
    config.ensure_logging_config(None)
    assert config.py_logging_config is None
    config.ensure_logging_config({"encoding": "JSON"})
    config.ensure_logging_config(text)
    assert config.py_logging_config == LoggingConfig(encoding="JSON")
    assert init_options(None, {}, {"job_config": config}).logging_config is config.py_logging_config
    assert init_options(None, {}, {"job_config": config, "logging_config": text}).logging_config is text
    config.set_py_logging_config(None)
    with pytest.raises(TypeError, match="must be a dict or LoggingConfig"):
        config.ensure_logging_config("JSON")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "prefix"), [({}, False), ({"log_prefix": True}, True), ({"log_prefix": False}, False)]
)
def test_lines_have_no_prefix_where_records_tell_their_origin(given: dict[str, Any], prefix: bool) -> None:
    assert init_options(None, given, {"logging_config": LoggingConfig()}).log_prefix is prefix
    assert init_options(None, given, {}).log_prefix is given.get("log_prefix", True)


@pytest.mark.parametrize("value", [{"encoding": "JSON"}, "JSON", 5])
def test_init_takes_no_other_logging_configuration(value: Any) -> None:
    with pytest.raises(TypeError, match="logging_config must be a LoggingConfig or None"):
        init_options(None, {}, {"logging_config": value})


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"runtime_env": ["x"]}, TypeError, "runtime_env must be a dict or None"),
        ({"default_actor_lifetime": "forever"}, ValueError, "default_actor_lifetime must be one of"),
    ],
)
def test_wrong_values_are_refused(given: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        JobConfig(**given)
    assert JobConfig().default_actor_lifetime == "non_detached"
