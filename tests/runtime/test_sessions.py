"""Sessions that come while the node is about to leave, and processes that are forked from a session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

SESSION = """
import nbactors as ray
ray.init()
assert ray.cluster_resources()["CPU"] > 0
ray.shutdown()
"""


@pytest.mark.slow
def test_a_session_that_meets_a_leaving_node_starts_the_next() -> None:
    """Nodes that leave at once: nearly every session meets one that is about to close its socket."""
    directory = f"/tmp/nbt-{os.getpid()}-leaving"
    environ = {**os.environ, "NBACTORS_DIR": directory, "NBACTORS_LINGER_S": "0"}
    sessions = "\n".join(["import os, time", *[SESSION for _ in range(15)]])
    running = [subprocess.Popen([sys.executable, "-c", sessions], env=environ) for _ in range(2)]
    try:
        assert [process.wait(60) for process in running] == [0, 0]
    finally:
        subprocess.run([sys.executable, "-m", "nbactors.cli", "stop", "--force"], env=environ, check=False)
        shutil.rmtree(directory, ignore_errors=True)


def test_a_forked_child_has_no_session_and_harms_the_parent_s_not() -> None:
    import nbactors as ray

    ray.init(num_cpus=2)
    try:

        @ray.remote
        class Echo:
            def say(self, word: str) -> str:
                return word

        echo = Echo.remote()
        assert ray.get(echo.say.remote("before")) == "before"
        ref = ray.put("kept")
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            said = "nothing"
            try:
                assert not ray.is_initialized()
                with pytest.raises(ray.exceptions.RayActorError, match="was forked from one with a session"):
                    echo.say.remote("from the child")
                del echo, ref
                said = "fine"
            finally:
                os.write(writer, said.encode())
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 100) == b"fine"
        os.close(reader)
        os.waitpid(pid, 0)
        assert ray.get(echo.say.remote("after")) == "after"
        assert ray.get(ref) == "kept"
    finally:
        ray.shutdown()
