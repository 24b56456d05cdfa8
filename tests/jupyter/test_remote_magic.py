"""`%%remote` in a real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
from ipython_cells import run_cells
from live_kernel import WIDGET, LiveKernel

pytestmark = pytest.mark.slow


def line(kernel: LiveKernel, cell: str) -> str:
    """Return the last state of the line under a cell, empty while it is a widget."""
    updates = [update["data"] for update in kernel.of(cell, "update_display_data")]
    return updates[-1]["text/plain"] if updates and WIDGET not in updates[-1] else ""


def ended(kernel: LiveKernel, cell: str, state: str) -> None:
    kernel.until(lambda: f": {state}  " in line(kernel, cell))


def test_the_value_lands_under_the_cell(kernel: LiveKernel) -> None:
    kernel.run("base = 40\ndef add(x):\n    return base + x")
    cell = kernel.run("%%remote\nimport math\nadd(math.isqrt(4))")
    kernel.run("1")
    ended(kernel, cell, "done")
    kernel.until(lambda: len(kernel.of(cell, "display_data")) == 2)
    live, value = kernel.of(cell, "display_data")
    assert WIDGET in live["data"]
    assert value["data"] == {"text/plain": "42"}


def test_a_rich_value_keeps_its_looks(kernel: LiveKernel) -> None:
    cell = kernel.run("%%remote\nclass Bold:\n    def _repr_html_(self):\n        return '<b>bold</b>'\nBold()")
    kernel.until(lambda: len(kernel.of(cell, "display_data")) == 2)
    assert kernel.of(cell, "display_data")[1]["data"]["text/html"] == "<b>bold</b>"


def test_a_semicolon_hides_the_value(kernel: LiveKernel) -> None:
    cell = kernel.run("%%remote -o quiet\n41 + 1;")
    ended(kernel, cell, "done")
    result = kernel.run("ray.get(quiet)")
    assert kernel.of(result, "execute_result")[0]["data"]["text/plain"] == "42"
    assert len(kernel.of(cell, "display_data")) == 1


def test_the_reference_is_bound_at_once_and_names_do_not_leak(kernel: LiveKernel) -> None:
    kernel.run("x = 1")
    kernel.run("%%remote -o result\nx = x + 1\nleaked = 5\n[x, leaked]")
    after = kernel.run("type(result).__name__, ray.get(result), x, 'leaked' in globals()")
    assert kernel.of(after, "execute_result")[0]["data"]["text/plain"] == "('ObjectRef', [2, 5], 1, False)"


def test_variables_have_their_values_of_the_time_of_submission(kernel: LiveKernel) -> None:
    kernel.run("given = [1]; hidden = 7")
    kernel.run("%%remote -o seen -i hidden\ntime.sleep(0.3)\n[given, eval('hidden')]")
    after = kernel.run("given.append(2); ray.get(seen)")
    assert kernel.of(after, "execute_result")[0]["data"]["text/plain"] == "[[1], 7]"


def test_a_remote_cell_may_await_and_run_shell_commands(kernel: LiveKernel) -> None:
    kernel.run("%%remote -o both\nimport asyncio\nawait asyncio.sleep(0)\nout = !echo hello\nlist(out)")
    after = kernel.run("ray.get(both)")
    assert kernel.of(after, "execute_result")[0]["data"]["text/plain"] == "['hello']"


def test_an_exception_shows_with_the_lines_of_the_cell(kernel: LiveKernel) -> None:
    cell = kernel.run("%%remote --name broken\n\ndef divide(x):\n    return 1 / x\n\ndivide(0)")
    kernel.until(lambda: kernel.of(cell, "error"))
    ended(kernel, cell, "failed")
    (error,) = kernel.of(cell, "error")
    assert error["ename"] == "RayTaskError(ZeroDivisionError)"
    text = "\n".join(error["traceback"])
    assert text.startswith("broken (pid=")
    assert "line 6\n    divide(0)" in text
    assert "line 4, in divide\n    return 1 / x" in text
    assert "nbactors/" not in text


def test_a_running_cell_is_cancelled_by_its_button(kernel: LiveKernel) -> None:
    cell = kernel.run("%%remote\ntime.sleep(60)")
    kernel.until(lambda: "running" in str(kernel.messages))
    kernel.press(cell, what="cancel_line")
    ended(kernel, cell, "cancelled")
    assert kernel.of(cell, "error") == []


def test_the_second_click_ends_the_process_of_a_cell_that_does_not_stop(kernel: LiveKernel) -> None:
    deaf = "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass"
    cell = kernel.run(f"%%remote\n{deaf}")
    kernel.until(lambda: "running" in str(kernel.messages))
    kernel.press(cell, what="cancel_line")
    kernel.until(lambda: "'button': 'Kill'" in str(kernel.messages))
    kernel.press(cell, what="cancel_line")
    ended(kernel, cell, "cancelled")
    assert kernel.of(cell, "error") == []


def test_no_message_tells_the_time_of_a_running_cell(kernel: LiveKernel, tmp_path: Path) -> None:
    path = tmp_path / "go"
    cell = kernel.run(f"%%remote\nuntil({str(path)!r})")
    kernel.until(lambda: "since" in kernel.text(cell) and kernel.of(cell, "update_display_data"))
    before = len(kernel.messages)
    kernel.run("time.sleep(2.5)")
    kinds = [kind for _, kind, _ in kernel.messages[before:]]
    assert [kind for kind in kinds if kind in ("comm_msg", "update_display_data")] == []
    path.touch()
    ended(kernel, cell, "done")


def test_a_cell_that_waits_for_resources_is_queued(kernel: LiveKernel) -> None:
    cell = kernel.run("%%remote -o never --num-cpus 3\ntime.sleep(60)")
    second = kernel.run("%%remote -o queued --num-cpus 3\n1")
    kernel.until(lambda: kernel.of(second, "display_data"))
    assert "queued" in kernel.of(second, "display_data")[0]["data"]["text/plain"]
    kernel.run("ray.cancel(queued); ray.cancel(never)")
    ended(kernel, second, "cancelled")
    ended(kernel, cell, "cancelled")


def test_a_variable_that_cannot_be_sent_is_named(kernel: LiveKernel) -> None:
    kernel.run("import threading\nlock = threading.Lock()")
    cell = kernel.start("%%remote\nlock")
    kernel.until(lambda: kernel.of(cell, "idle"))
    assert "the variable 'lock' cannot be sent to a worker: cannot pickle an object of type 'lock'" in kernel.text(cell)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("%%remote -o 2x\n1", "is no variable name"),
        ("%%remote -o class\n1", "-o 'class' is no variable name"),
        ("%%remote --name 'open\n1", "No closing quotation"),
        ("%%remote -i missing\n1", "-i names missing, which the notebook does not have"),
        ("%%remote\nreturn 1", "'return' outside function (line 2 of the cell)"),
    ],
)
def test_mistakes_are_explained_in_one_line(kernel: LiveKernel, code: str, told: str) -> None:
    cell = kernel.start(code)
    kernel.until(lambda: kernel.of(cell, "idle"))
    assert told in kernel.text(cell)


def test_without_ipywidgets_a_plain_line_is_updated() -> None:
    kernel = LiveKernel("ipywidgets")
    try:
        kernel.open()
        cell = kernel.run("%%remote\n'value'")
        ended(kernel, cell, "done")
        assert not [kind for _, kind, _ in kernel.messages if kind.startswith("comm")]
    finally:
        kernel.stop()


def test_a_remote_cell_runs_in_a_terminal_too() -> None:
    _, started, value = run_cells(
        "import nbactors as ray; ray.init(num_cpus=1)", "%%remote -o result\n6 * 7", "ray.get(result)"
    )
    assert "runs in the background" in started.output
    assert "42" in value.output
