"""A kernel that restarts, dies or is closed: its session's actors end, detached ones are there for the next."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import find_connection_file
from test_kernel import REPLY_S, SETUP, Kernel, is_running

from nbactors.testing.polling import eventually

pytestmark = pytest.mark.slow

ENDS_WITHIN_S = 5

ACTORS = (
    SETUP
    + """
keeper = Counter.options(name="keeper", lifetime="detached").remote()
plain = Counter.remote()
busy = Counter.remote()
pids = ray.get([plain.pid.remote(), busy.pid.remote()])
print("said before the end") if ray.get(keeper.say.remote("said before the end")) else None
ref = busy.sleep.remote(600)
"""
)


FIND = "import nbactors as ray; keeper = ray.get_actor('keeper'); print(ray.get(keeper.increment.remote()))"


def start(path: Path) -> tuple[Kernel, list[int]]:
    """Start a notebook's kernel with a detached actor and two that are not, one of them busy."""
    kernel = Kernel(str(path))
    try:
        kernel.run(ACTORS)
        return kernel, numbers(kernel.run("pids"))
    except BaseException:
        kernel.stop()
        raise


def numbers(text: str) -> list[int]:
    """Return the list that a cell has shown, among what actors print."""
    (found,) = re.findall(r"(?<!In)\[[\d, ]+\]", text)
    return [int(number) for number in found.strip("[]").split(", ")]


def check_ended(pids: list[int]) -> None:
    eventually(lambda: not any(map(is_running, pids)), timeout_s=ENDS_WITHIN_S)


def check_found(kernel: Kernel) -> None:
    """Find the detached actor without naming a namespace, with its state and its log, and end it."""
    kernel.run("import nbactors as ray; keeper = ray.get_actor('keeper')")
    assert kernel.run("ray.get(keeper.increment.remote())") == "1"
    logs = subprocess.run(
        [sys.executable, "-m", "nbactors.cli", "logs", "keeper"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "said before the end" in logs.stdout, logs
    kernel.run("ray.kill(keeper)")


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_detached_actor_is_there_for_the_next_kernel(tmp_path: Path, how: str) -> None:
    kernel, pids = start(tmp_path / "notebook.ipynb")
    try:
        if how == "restart":
            kernel.restart()
        else:
            kernel.kill()
            check_ended(pids)
            kernel.restart()
        check_ended(pids)
        check_found(kernel)
    finally:
        kernel.stop()


def test_closing_the_notebook_ends_its_actors(tmp_path: Path) -> None:
    kernel, pids = start(tmp_path / "notebook.ipynb")
    try:
        kernel._manager.shutdown_kernel()  # asks it, as closing does
        check_ended(pids)
    finally:
        kernel.stop()
    again = Kernel(str(tmp_path / "notebook.ipynb"))
    try:
        check_found(again)
    finally:
        again.stop()


def test_another_notebook_does_not_find_the_actor(tmp_path: Path) -> None:
    kernel, _ = start(tmp_path / "one.ipynb")
    other = Kernel(str(tmp_path / "two.ipynb"))
    try:
        cell = other.start("import nbactors as ray; ray.get_actor('keeper')")
        assert other.finish(cell)[1].startswith("ValueError: Failed to look up actor with name")
        check_found(kernel)
    finally:
        kernel.stop()
        other.stop()


class Server:
    """A real jupyter_server, whose sessions name their notebook."""

    def __init__(self, root: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        environ = {
            **os.environ,
            "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
            "JUPYTER_CONFIG_DIR": str(root / "config"),
        }
        self.runtime = str(root / "runtime")
        self._log = (root / "server.log").open("w")
        arguments = ["--allow-root", f"--port={self._port}", "--port-retries=0", "--IdentityProvider.token=secret"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *arguments, "--no-browser", f"--ServerApp.root_dir={root}"],
            env=environ,
            stdout=self._log,
            stderr=self._log,
        )
        eventually(self._answers, timeout_s=REPLY_S)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("GET", "/api/status"))
        except OSError:
            assert self._process.poll() is None, "the server has ended: see server.log"
            return False

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            method=method,
            headers={"Authorization": "token secret", "Content-Type": "application/json"},
            data=json.dumps(body).encode() if body is not None else None,
        )
        with urllib.request.urlopen(request, timeout=REPLY_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def open(self, path: str) -> Any:
        """Open a notebook: the session, as the server tells of it."""
        kernel = {"name": "python3"}
        return self.ask("POST", "/api/sessions", {"path": path, "name": path, "type": "notebook", "kernel": kernel})

    @contextmanager
    def _client(self, kernel_id: str) -> Iterator[BlockingKernelClient]:
        client = BlockingKernelClient(
            connection_file=find_connection_file(f"kernel-{kernel_id}.json", path=[self.runtime])
        )
        client.load_connection_file()
        client.start_channels(
            hb=False
        )  # whose first beat may be missed while the kernel begins: it would count as dead
        try:
            client.wait_for_ready(timeout=REPLY_S)
            yield client
        finally:
            client.stop_channels()

    def run(self, kernel_id: str, code: str) -> str:
        """Run a cell and return what it printed."""
        text: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            content = message["content"]
            text.append(content.get("text", "") + str(content.get("evalue", "")))

        with self._client(kernel_id) as client:
            client.execute_interactive(code, timeout=REPLY_S, output_hook=collect)
        return "".join(text)

    @contextmanager
    def running(self, kernel_id: str, code: str) -> Iterator[None]:
        """Run a cell that goes on at the end of the `with` block."""
        with self._client(kernel_id) as client:
            client.execute(code)
            yield

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(REPLY_S)
        self._log.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.timeout(120)
def test_the_server_tells_the_kernel_which_notebook_it_is(server: Server) -> None:
    session = server.open("study/model.ipynb")
    kernel_id = session["kernel"]["id"]
    server.run(kernel_id, ACTORS)
    pids = numbers(server.run(kernel_id, "print(pids)"))
    server.ask("POST", f"/api/kernels/{kernel_id}/restart")
    check_ended(pids)
    assert server.run(kernel_id, FIND).splitlines()[-1] == "1"
    # Closed and opened again it is the same notebook.
    server.ask("DELETE", f"/api/sessions/{session['id']}")
    kernel_id = server.open("study/model.ipynb")["kernel"]["id"]
    assert server.run(kernel_id, FIND + "; ray.kill(keeper)").splitlines()[-1] == "2"
    server.ask("DELETE", f"/api/kernels/{kernel_id}")


TRAINING = """
import os, threading, time
from pathlib import Path
import nbactors as ray
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.testing import eventually

@ray.remote
class Trainer:
    def train(self, folder):
        (folder / "begun").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
        (folder / "trained").touch()

def tell():
    "Write a file once this cell waits: an interrupt a moment before would meet nothing to wait for."
    eventually(lambda: INTERRUPTS.sleeper is not None)
    (folder / "waits").touch()

folder = Path({folder!r})
trainer = Trainer.options(name="trainer", lifetime="detached").remote()
ref = trainer.train.remote(folder)
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("verb", "cell"),
    [
        ("restart", "ray.get(ref)"),
        ("restart", "ray.wait([ref])"),
        ("restart", "await ref"),
        ("restart", "%%on trainer\nself.train(folder)"),
        ("shutdown", "ray.get(ref)"),
    ],
)
def test_the_call_of_a_detached_actor_survives_the_kernel_that_waits_for_it(
    server: Server, tmp_path: Path, verb: str, cell: str
) -> None:
    session = server.open("model.ipynb")
    kernel_id = session["kernel"]["id"]
    setup = TRAINING.format(folder=str(tmp_path))
    if cell.startswith("%%"):
        setup = setup.replace("ref = trainer.train.remote(folder)", "%load_ext nbactors")
        cell = cell.replace("trainer", "-i folder trainer")
    else:
        cell = f"threading.Thread(target=tell).start()\n{cell}"
    server.run(kernel_id, setup)
    with server.running(kernel_id, cell):
        eventually(lambda: (tmp_path / "begun").exists())
        if "await" not in cell and "%%" not in cell:
            eventually(lambda: (tmp_path / "waits").exists())
        if verb == "restart":
            server.ask("POST", f"/api/kernels/{kernel_id}/restart")
        else:
            server.ask("DELETE", f"/api/sessions/{session['id']}")
    if verb == "shutdown":
        kernel_id = server.open("model.ipynb")["kernel"]["id"]
    server.run(kernel_id, f"from pathlib import Path; Path({str(tmp_path / 'go')!r}).touch()")
    eventually(lambda: (tmp_path / "trained").exists())
    found = server.run(kernel_id, "import nbactors as ray; ray.kill(ray.get_actor('trainer')); print('found')")
    assert found.endswith("found\n")


def test_a_kernel_without_a_name_finds_the_actor_after_a_restart() -> None:
    kernel = Kernel("")
    try:
        kernel.run(ACTORS)
        kernel.restart()
        check_found(kernel)
    finally:
        kernel.stop()


def test_in_vs_code_the_notebook_s_file_is_the_name() -> None:
    named = "__vsc_ipynb_file__ = '/home/me/study.ipynb'\n"
    kernel = Kernel("")
    try:
        kernel.run(named + ACTORS)
    finally:
        kernel.stop()
    again = Kernel("")
    try:
        again.run(named)
        check_found(again)
    finally:
        again.stop()
