"""The `nbactors` command line, on a real node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import SAY_READY, TIMEOUT_S, nbactors, program

from nbactors import speedups
from nbactors.testing import eventually
from nbactors.util.state import node_status

pytestmark = pytest.mark.slow

TALKER = """
@ray.remote
class Talker:
    def say(self, *lines):
        for line in lines:
            print(line)

ray.init(num_cpus=2, namespace="shop", log_to_driver=False)
talker = Talker.options(name="talker", num_cpus=1).remote()
ray.get(talker.say.remote("one", "two", "three"))
"""


def test_help_lists_the_commands() -> None:
    shown = nbactors("--help")
    assert shown.returncode == 0
    for command in ("status", "stop", "logs", "microbenchmark"):
        assert f"\n  {command} " in shown.stdout


def test_help_imports_no_command() -> None:
    script = "import sys; from nbactors.cli.group import main; main(['--help'], standalone_mode=False); "
    script += "sys.exit(str({'nbactors.cli.status', 'nbactors.cli.microbenchmark', 'numpy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.stderr == "set()\n"


def test_the_version_is_the_package_s() -> None:
    import nbactors as package

    assert package.__version__ in nbactors("--version").stdout


def test_an_unknown_command_is_refused() -> None:
    refused = nbactors("statsu")
    assert refused.returncode == 2
    assert "No such command 'statsu'" in refused.stderr


def test_every_command_says_that_no_node_runs() -> None:
    status = nbactors("status")
    assert (status.returncode, "No node runs" in status.stdout) == (3, True)
    assert nbactors("status", "--json").stdout == "null\n"
    stop = nbactors("stop")
    assert (stop.returncode, "nothing to stop" in stop.stdout) == (0, True)
    logs = nbactors("logs", "talker")
    assert (logs.returncode, "No node runs" in logs.stderr) == (3, True)
    assert node_status() is None


def test_status_shows_what_runs() -> None:
    with program(TALKER):
        status = nbactors("status")
        assert status.returncode == 0, status.stderr
        assert "1 session, 1 worker, 1 actor" in status.stdout
        (row,) = [line for line in status.stdout.splitlines() if line.startswith("talker")]
        assert row.split()[1:3] == ["Talker", "alive"]
        assert row.split()[4:] == ["shop", "1", "CPU"]
        found = json.loads(nbactors("status", "--json").stdout)
        assert found["actors"][0]["name"] == "talker"
        assert found["compiled"] == (speedups.compiled is not None)
        assert ("by the compiled part" in status.stdout) == found["compiled"]


def test_status_says_why_calls_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBACTORS_SPEEDUPS", "0")
    with program(TALKER):
        assert "by the steps in Python; NBACTORS_SPEEDUPS is 0." in nbactors("status").stdout
        assert not json.loads(nbactors("status", "--json").stdout)["compiled"]


STORING = """
ray.init(num_cpus=2, namespace="shop", object_store_memory=20 << 20)
refs = [ray.put(bytes(3 << 20)) for _ in range(10)]
"""


def test_status_shows_the_object_store() -> None:
    with program(STORING):
        lines = nbactors("status").stdout.splitlines()
        found = json.loads(nbactors("status", "--json").stdout)["object_stores"]
        for row in found:
            assert 0 < row["held"] <= 20 << 20
            assert row["held"] + row["spilled"] >= 30 << 20
        assert [row["namespace"] for row in found] == ["", "shop"]
        assert found[1]["limit"] == 20 << 20 < found[0]["limit"]
        (own,) = [line for line in lines if line.startswith("shop (pid ")]
        assert own.endswith("20.0 MiB")


def test_logs_shows_what_was_printed() -> None:
    with program(TALKER):
        assert nbactors("logs", "talker").stdout == "one\ntwo\nthree\n"
        assert nbactors("logs", "Talker", "-n", "1").stdout == "three\n"
        assert nbactors("logs", "talker", "-n", "0").stdout == ""
        missing = nbactors("logs", "walker")
        assert missing.returncode == 1
        assert "no actor is called 'walker'; `nbactors list --all`" in missing.stderr


def test_logs_follows_until_the_actor_ends() -> None:
    source = TALKER + SAY_READY + "sys.stdin.readline()\nray.get(talker.say.remote('four'))\ndel talker\n"
    # The first "ready" is the one in `source`; the second comes when the actor has been let go.
    with program(source) as driver:
        command = [sys.executable, "-m", "nbactors.cli", "logs", "--follow", "-n", "1", "talker"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as logs:
            assert logs.stdout is not None
            assert driver.stdin is not None
            assert logs.stdout.readline() == "three\n"
            driver.stdin.write("go on\n")
            driver.stdin.flush()
            assert logs.stdout.readline() == "four\n"
            assert logs.wait(TIMEOUT_S) == 0


CRASHER = """
import os

@ray.remote(max_restarts=-1, max_task_retries=-1, name="crasher")
class Crasher:
    def say(self, *words):
        print(*words, flush=True)

    def crash(self):
        print("crashes", flush=True)
        os._exit(1)

crasher = Crasher.remote()
ray.get(crasher.say.remote("begins"))
"""


def test_logs_shows_what_the_process_before_the_last_restart_has_printed() -> None:
    source = "crasher.crash.options(max_task_retries=0).remote()\nray.get(crasher.say.remote('goes on'))\n"
    with program(CRASHER + source):
        assert nbactors("logs", "crasher").stdout == "begins\ncrashes\ngoes on\n"
        assert nbactors("logs", "crasher", "-n", "2").stdout == "crashes\ngoes on\n"


def test_logs_follows_an_actor_through_its_restarts() -> None:
    source = (
        f"{SAY_READY}"
        "for i in range(2):\n"
        "    sys.stdin.readline()\n"
        "    crasher.crash.options(max_task_retries=0).remote()\n"
        "    ray.get(crasher.say.remote('goes on', i))\n"
        "sys.stdin.readline()\n"
        "del crasher\n"
    )
    with program(CRASHER + source) as driver:
        command = [sys.executable, "-m", "nbactors.cli", "logs", "--follow", "crasher"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as logs:
            assert logs.stdout is not None
            assert driver.stdin is not None
            assert logs.stdout.readline() == "begins\n"
            for i in range(2):
                driver.stdin.write("go on\n")
                driver.stdin.flush()
                assert [logs.stdout.readline() for _ in range(2)] == ["crashes\n", f"goes on {i}\n"]
            driver.stdin.write("end\n")
            driver.stdin.flush()
            assert logs.wait(TIMEOUT_S) == 0


@pytest.mark.parametrize("force", [False, True])
def test_stop_ends_detached_actors_too(force: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source = f"""
@ray.remote
class Keeper:
    def ready(self):
        return True

    def __ray_shutdown__(self):
        open({str(mark)!r}, "w").close()

ray.init(namespace="shop")
keeper = Keeper.options(name="keeper", lifetime="detached").remote()
ray.get(keeper.ready.remote())
"""
    with program(source):
        pass
    status = node_status()
    assert status is not None
    assert [actor["name"] for actor in status["actors"]] == ["keeper"]
    stop = nbactors("stop", *(["--force"] if force else []))
    assert (stop.returncode, stop.stdout) == (0, "Stopped.\n"), stop.stderr
    assert mark.exists() is not force
    assert eventually(lambda: node_status() is None)
