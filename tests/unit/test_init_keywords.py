"""The keywords of Ray's `init`: which have an effect, and that one warning names the others."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from nbactors.options import InitOptions
from nbactors.options.init_keywords import init_options

RAY_KEYWORDS = [
    "labels",
    "local_mode",
    "include_dashboard",
    "dashboard_host",
    "dashboard_port",
    "job_config",
    "configure_logging",
    "logging_level",
    "logging_format",
    "logging_config",
    "enable_resource_isolation",
    "cgroup_path",
    "system_reserved_cpu",
    "system_reserved_memory",
    "proxy_server_url",
    "_enable_object_reconstruction",
    "_plasma_directory",
    "_object_spilling_directory",
    "_node_ip_address",
    "_driver_object_store_memory",
    "_memory",
    "_redis_username",
    "_redis_password",
    "_temp_dir",
    "_metrics_export_port",
    "_system_config",
    "_tracing_startup_hook",
    "_node_name",
    "_skip_env_hook",
]
"""All keywords of `ray.init` in Ray 2.60 that are not parameters here."""

SILENT: list[dict[str, Any]] = [
    {"include_dashboard": False},
    {"include_dashboard": None, "dashboard_host": "127.0.0.1", "dashboard_port": None},
    {"include_dashboard": False, "dashboard_host": "0.0.0.0", "dashboard_port": 8265},
    {"configure_logging": False, "local_mode": False, "labels": {}, "enable_resource_isolation": False},
    {"_enable_object_reconstruction": True, "_skip_env_hook": True, "_node_ip_address": "127.0.0.1"},
    {"_redis_username": "default", "_redis_password": "5241590000000000"},
    {"_system_config": {"actor_graceful_shutdown_timeout_ms": 500}},
]

TOLD: list[tuple[dict[str, Any], str]] = [
    ({"include_dashboard": True}, r"include_dashboard \(there is no dashboard"),
    ({"dashboard_host": "0.0.0.0"}, r"dashboard_host \(there is no dashboard"),
    ({"dashboard_port": 8265, "_node_name": "a"}, r"dashboard_port \(.*\); _node_name \(there is one node"),
    ({"_temp_dir": "/x"}, r"_temp_dir \(set the environment variable NBACTORS_DIR"),
    ({"_object_spilling_directory": "/x"}, "NBACTORS_SPILL_DIR"),
    ({"_system_config": {"max_io_workers": 4}}, r"_system_config\['max_io_workers'\] \(of its keys only"),
    ({"logging_format": "%(message)s"}, r"logging_format \(configure the logging module"),
    ({"job_config": SimpleNamespace(metadata={"a": "b"})}, r"job_config\.metadata"),
]


@pytest.mark.parametrize("name", RAY_KEYWORDS)
def test_every_keyword_of_ray_is_known(name: str) -> None:
    value = {"_system_config": {}, "local_mode": False, "logging_level": "INFO", "configure_logging": False}.get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert init_options(None, {}, {name: value}) == InitOptions()


@pytest.mark.parametrize("more", SILENT)
def test_what_is_so_anyway_gives_no_warning(more: dict[str, Any], recwarn: pytest.WarningsRecorder) -> None:
    assert init_options(None, {}, more).namespace is None
    assert not recwarn.list


@pytest.mark.parametrize(("more", "text"), TOLD)
def test_what_has_no_effect_gives_one_warning(more: dict[str, Any], text: str) -> None:
    with pytest.warns(UserWarning, match=text) as told:
        init_options(None, {}, more)
    assert len(told) == 1


def test_a_job_config_gives_what_init_itself_does_not(tmp_path: Any) -> None:
    job = SimpleNamespace(ray_namespace="theirs", runtime_env={"working_dir": str(tmp_path)}, metadata={})
    options = init_options(None, {}, {"job_config": job})
    assert options.namespace == "theirs"
    assert options.runtime_env is not None
    assert options.runtime_env.working_dir == str(tmp_path)
    assert init_options(None, {"namespace": "mine"}, {"job_config": job}).namespace == "mine"


@pytest.mark.parametrize(
    ("given", "variable", "shown"),
    [
        (None, "", True),
        (None, "0", False),
        (None, "false", False),
        (None, "1", True),
        (None, "True", True),
        (True, "0", True),
        (False, "1", False),
    ],
)
def test_the_output_of_workers_is_shown_as_given_and_else_as_the_variable_says(
    given: bool | None, variable: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_LOG_TO_DRIVER", variable)
    assert init_options(None, {"log_to_driver": given}, {}).shows_output() is shown


def test_modules_are_not_preloaded_on_a_cluster() -> None:
    with pytest.warns(UserWarning, match=r"preload \(on a cluster each worker imports modules by itself\)"):
        options = init_options("head.example:6379", {"preload": ["numpy"]}, {})
    assert options.engine == "ray"
