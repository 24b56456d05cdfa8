"""`nbactors top` in a real terminal: keys, sizes, a node that goes and comes, and a thousand actors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from command import TIMEOUT_S, nbactors, program
from keeping import BUSY, KEPT
from terminal import Terminal, terminal

from nbactors.cli import exit_codes
from nbactors.util import state

pytestmark = pytest.mark.slow

DOWN, UP, HOME, END, ESCAPE = "\x1b[B", "\x1b[A", "\x1b[H", "\x1b[F", "\x1b"


def names() -> list[str]:
    return sorted(row["name"] for row in state.list_actors() if row["state"] != "DEAD")


def selected(screen: Terminal) -> str:
    """Return the line of the selected actor."""
    return screen.highlighted("worker", "twin", "detached", "fresh")


def test_without_a_terminal_top_is_refused(own_directory: Path) -> None:
    refused = nbactors("top")
    assert (refused.returncode, "`nbactors list`" in refused.stderr) == (exit_codes.WRONG_USAGE, True)
    with terminal("top", TERM="dumb") as screen:
        assert screen.ends() == exit_codes.WRONG_USAGE


def test_no_node_is_a_sentence(own_directory: Path) -> None:
    with terminal("top") as screen:
        assert screen.ends() == exit_codes.NO_NODE
        assert "No node runs" in screen.text()


def test_without_textual_it_says_what_to_install(own_directory: Path) -> None:
    with program(KEPT), terminal("top", PYTHONPATH=_without_textual(own_directory)) as screen:
        assert screen.ends() == exit_codes.FAILED
        assert 'pip install "nbactors[cli]"' in "".join(screen.lines())


def _without_textual(folder: Path) -> str:
    """Return a directory in which textual cannot be imported."""
    (folder / "path").mkdir()
    (folder / "path" / "textual.py").write_text("raise ImportError(name='textual')\n")
    return str(folder / "path")


def test_it_shows_actors_and_calls_and_ends_with_q(own_directory: Path) -> None:
    with program(BUSY), terminal("top") as screen:
        shown = screen.shows("4 actors", "1 busy", "worker", "twin", "detached", "Worker.work", "annex")
        assert re.search(r"worker +work +\d\d:\d\d +1\+0", shown)
        screen.until(lambda text: "MiB" in text)
        screen.press("q")
        assert screen.ends() == 0
        assert "Traceback" not in screen.text()


def test_ctrl_c_ends_it(own_directory: Path) -> None:
    with program(KEPT), terminal("top") as screen:
        screen.shows("worker")
        screen.press("\x03")
        assert screen.ends() == exit_codes.INTERRUPTED


def test_i_interrupts_and_c_cancels(own_directory: Path) -> None:
    with program(BUSY + "more = twin.work.remote()\n"), terminal("top") as screen:
        screen.shows("2 busy", "Worker.work")
        screen.press("i")
        screen.shows("Worker worker: 1 call interrupted", "1 busy")
        screen.press(DOWN)
        screen.until(lambda _: "twin" in selected(screen))
        screen.shows("Worker.work")
        screen.press("c")
        screen.shows("Worker.work: cancelled", "0 busy")


def test_k_asks_before_it_ends(own_directory: Path) -> None:
    with program(KEPT), terminal("top") as screen:
        screen.shows("4 actors")
        screen.press("k")
        screen.shows("End Worker worker", "(y/n)")
        screen.press("n")
        screen.shows("lives on")
        assert len(names()) == 4
        screen.press("k")
        screen.shows("(y/n)")
        screen.press("y")
        screen.shows("3 actors")
        assert "worker" not in names()


def test_a_detached_actor_ends_by_its_typed_name(own_directory: Path) -> None:
    with program(KEPT), terminal("top") as screen:
        screen.shows("4 actors")
        screen.press(DOWN * 3)
        screen.until(lambda _: "detached" in selected(screen))
        screen.press("k")
        screen.shows("type detached to end it")
        screen.press("y\r")
        screen.shows("lives on")
        screen.press("k")
        screen.shows("type detached to end it")
        screen.press("detached\r")
        screen.shows("3 actors")
        assert "detached" not in names()


def test_s_and_l_show_stack_and_log(own_directory: Path) -> None:
    with program(BUSY), terminal("top") as screen:
        screen.shows("1 busy")
        screen.press("s")
        screen.shows("Stack of Worker worker", "in work")
        screen.press("q")
        screen.shows("4 actors")
        screen.press("l")
        screen.shows("Log of Worker worker", "is ready")
        screen.press("q")
        screen.shows("4 actors")


def test_a_silent_actor_holds_up_nothing(own_directory: Path) -> None:
    with program(KEPT), terminal("top") as screen:
        screen.shows("4 actors", "worker")
        (row,) = state.list_actors(filters=[("name", "=", "worker")])
        worker = psutil.Process(row["pid"])
        worker.suspend()
        try:
            screen.press("i")
            screen.shows("Worker worker: the process")
            screen.press("s")
            screen.shows("Stack of Worker worker")
            screen.press("q")
            screen.shows("4 actors")
            screen.press("q")
            assert screen.ends() == 0
            assert "Traceback" not in screen.text()
        finally:
            worker.resume()


def test_the_filter_and_the_order(own_directory: Path) -> None:
    with program(BUSY), terminal("top") as screen:
        screen.shows("4 actors")
        screen.press("/")
        screen.press("twin annex")
        screen.shows("1 of 4 actors")
        screen.press("\r")
        screen.press(ESCAPE)
        screen.shows("4 actors")
        screen.until(lambda text: "1 of 4" not in text)
        screen.press("o")
        screen.shows("NAME▲")
        order = _order(screen)
        assert order == sorted(order)
        screen.press("r")
        screen.shows("NAME▼")
        screen.until(lambda _: _order(screen) == sorted(order, reverse=True))


def _order(screen: Terminal) -> list[str]:
    found = re.findall(r"^(worker|twin|detached) ", screen.text(), re.MULTILINE)
    return [str(name) for name in found]


COMING = (
    KEPT
    + """
def more(prefix):
    new = [Worker.options(name=f"{prefix}{i}", num_cpus=0).remote() for i in range(3)]
    ray.get([one.ready.remote() for one in new])
    return new

print("ready", flush=True)
sys.stdin.readline()
fresh = more("fresh")
print("ready", flush=True)
sys.stdin.readline()
ray.kill(worker)
"""
)


def test_the_selection_stays_on_its_row(own_directory: Path) -> None:
    with program(COMING) as driver, terminal("top") as screen:
        assert driver.stdin is not None
        screen.shows("4 actors")
        screen.press("o")  # by name: new actors come above
        screen.shows("NAME▲")
        screen.until(lambda _: "worker" in selected(screen))
        screen.press(UP)
        screen.until(lambda _: "twin" in selected(screen))
        driver.stdin.write("\n")
        driver.stdin.flush()
        screen.shows("7 actors", "fresh0")
        assert "twin" in selected(screen)
        driver.stdin.write("\n")
        driver.stdin.flush()
        screen.shows("6 actors")
        assert "twin" in selected(screen)


@pytest.mark.parametrize("columns", [40, 200])
def test_narrow_and_wide_terminals(own_directory: Path, columns: int) -> None:
    with program(BUSY), terminal("top", columns=columns, rows=20) as screen:
        shown = screen.shows("worker", "work")
        assert ("NAMESPACE" in shown) == (columns == 200)
        screen.resize(100, 24)
        screen.shows("CLASS", "worker", "Quit")
        screen.press("q")
        assert screen.ends() == 0


def test_the_last_state_stays_and_the_next_node_is_found(own_directory: Path) -> None:
    with terminal("top", "--wait") as screen:
        screen.shows("No node runs", "0 actors")
        with program(BUSY):
            text = screen.shows("4 actors", "1 busy")
            screen.until(lambda text: "No node runs" not in text)
            nbactors("stop", "--force")
            text = screen.shows("No node runs: this was the state 00:0")
            assert "worker" in text
        with program(KEPT.replace('name="worker"', 'name="fresh"')):
            screen.until(lambda text: "No node runs" not in text and "fresh" in text)
        screen.press("q")
        assert screen.ends() == 0


def test_a_stopped_node_is_told_with_its_age(own_directory: Path) -> None:
    with program(KEPT), terminal("top") as screen:
        screen.shows("4 actors")
        node = psutil.Process((state.node_status() or {})["pid"])
        node.suspend()
        try:
            screen.shows("The node does not answer: this was the state 00:0")
            screen.press(DOWN)
            screen.until(lambda _: "twin" in selected(screen))
        finally:
            node.resume()
        screen.until(lambda text: "does not answer" not in text)


MANY = """
@ray.remote(num_cpus=1)
class Worker:
    def ready(self):
        return True

ray.init(num_cpus=2, namespace="shop", log_to_driver=False)
actors = [Worker.options(name=f"w{i:04}").remote() for i in range(1000)]
ray.get(actors[0].ready.remote())
"""
"""Most of these actors wait for a CPU, and need no process."""


def test_a_thousand_actors(own_directory: Path) -> None:
    with program(MANY), terminal("top") as screen:
        screen.shows("1000 actors", "w0000")
        screen.press(END)
        assert "w0000" not in screen.shows("w0999")
        screen.press(HOME)
        screen.shows("w0000")
        screen.press("/w0500")
        screen.shows("1 of 1000 actors", "w0500")


def test_the_mouse_selects_rows_and_orders(own_directory: Path) -> None:
    with program(KEPT), terminal("top") as screen:
        screen.shows("4 actors", "detached")
        row = screen.lines().index(next(line for line in screen.lines() if line.startswith("detached"))) + 1
        screen.press(click(3, row))
        screen.until(lambda _: "detached" in selected(screen))
        screen.press(click(3, 2))
        screen.shows("NAME▲")
        assert "detached" in selected(screen)


def click(column: int, row: int) -> str:
    """Return what a terminal sends for a click."""
    return f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"


def test_other_commands_do_not_import_it(own_directory: Path) -> None:
    script = (
        "import sys\n"
        "from nbactors.cli.group import main\n"
        "main(['list', '--json'], standalone_mode=False)\n"
        "sys.exit(str({'textual', 'rich', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert (done.stdout, done.stderr) == ("null\n", "set()\n")
