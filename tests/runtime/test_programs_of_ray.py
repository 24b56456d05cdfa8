"""What programs that were written for Ray pass and read, in whole sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nbactors as ray

PROGRAM = """
import nbactors as ray
@ray.remote
def speak():
    print("spoken")
for _ in range(2):
    ray.init(num_cpus=1{more})
    ray.get(speak.remote())
    ray.shutdown(True)
"""


def run(more: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program with two sessions, in which a task prints a line."""
    code = PROGRAM.format(more=more)
    environ = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)


@pytest.mark.usefixtures("own_directory")
def test_the_address_of_a_cluster_in_the_environment_is_told_once() -> None:
    told = run(RAY_ADDRESS="ray://head:10001").stderr
    assert told.count("<string>:7: UserWarning: RAY_ADDRESS='ray://head:10001' has no effect") == 1
    assert "call init(address=" in told
    assert "RAY_ADDRESS" not in run(RAY_ADDRESS="auto").stderr
    assert "RAY_ADDRESS" not in run(', address="local"', RAY_ADDRESS="ray://head:10001").stderr


@pytest.mark.usefixtures("own_directory")
def test_a_variable_decides_whether_output_is_shown() -> None:
    assert run().stdout.count("spoken") == 2
    assert run(RAY_LOG_TO_DRIVER="0").stdout.count("spoken") == 0
    assert run(", log_to_driver=True", RAY_LOG_TO_DRIVER="0").stdout.count("spoken") == 2


def test_the_warning_about_keywords_points_to_the_users_line(own_directory: Path) -> None:
    with pytest.warns(UserWarning, match=r"dashboard_host \(there is no dashboard") as told:
        context = ray.init(num_cpus=1, dashboard_host="0.0.0.0")
    assert [warning.filename for warning in told] == [__file__]
    info = context.address_info
    assert (info["node_ip_address"], info["webui_url"], info["redis_address"]) == ("127.0.0.1", "", None)
    assert Path(info["session_dir"]).is_relative_to(own_directory)
    assert Path(info["raylet_socket_name"]).is_socket()
    assert "session_dir" not in repr(context)
    with pytest.warns(UserWarning, match=r"put\(_tensor_transport='nccl'\) has no effect"):
        ref = ray.put(1, _tensor_transport="nccl")
    assert ray.get(ray.put(2, _tensor_transport="object_store"), _use_object_store=True) == 2
    assert ray.get(ref, _use_object_store=True) == 1
    with pytest.raises(RuntimeError, match="init twice"):
        ray.init(address=info["address"])
    ray.shutdown(True)
    assert not ray.is_initialized()


REPEATED = """
import nbactors as ray
@ray.remote
class Speaker:
    def speak(self, number):
        print(f"step {number}")
ray.init(num_cpus=1)
speakers = [Speaker.options(num_cpus=0).remote() for _ in range(3)]
for number, speaker in enumerate(speakers):
    ray.get(speaker.speak.remote(number))
ray.get(speakers[0].speak.remote(7))
ray.shutdown()
"""


@pytest.mark.usefixtures("own_directory")
@pytest.mark.parametrize(
    ("variable", "ends"),
    [
        ("0", ["step 0", "step 1", "step 2", "step 7"]),
        ("1", ["step 0", "step 7", "step 2 [repeated 2x across workers]"]),
    ],
)
def test_a_variable_decides_whether_equal_lines_are_gathered(variable: str, ends: list[str]) -> None:
    environ = {**os.environ, "RAY_DEDUP_LOGS": variable}
    result = subprocess.run([sys.executable, "-c", REPEATED], env=environ, capture_output=True, text=True, check=True)
    assert [line.partition(") ")[2] for line in result.stdout.splitlines()] == ends
