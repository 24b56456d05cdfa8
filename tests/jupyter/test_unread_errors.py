"""Failed calls whose errors no code reads, in a real kernel."""

from __future__ import annotations

from time import monotonic

import pytest
from live_kernel import LiveKernel

from nbactors.jupyter.failures.unread_errors import EVERY_S

pytestmark = pytest.mark.slow

SETUP = """
import os
@ray.remote
class Loader:
    def bad(self, text="no data file"):
        raise ValueError(text)
    def odd(self):
        raise KeyError("odd")
    def load(self):
        return 1
    def crash(self):
        os._exit(1)
    def pass_on(self, other):
        other.bad.remote("from inside")
l = Loader.remote()
_ = ray.get(l.load.remote())
"""

DROPPED = "✗ Loader.bad failed, and no code can read the error:\nray::Loader.bad() (pid="


def test_a_dropped_failure_shows_under_its_cell_with_its_traceback(kernel: LiveKernel) -> None:
    cell = kernel.run("l.bad.remote();")
    other = kernel.run("time.sleep(0.1)")
    kernel.until(lambda: kernel.text(cell))
    text = kernel.text(cell)
    assert text.startswith(DROPPED)
    assert "Cell In[" in text.split("\n")[2]
    assert text.endswith("ValueError: no data file")
    assert not kernel.text(other)


def test_a_dropped_call_to_an_actor_that_has_crashed_before_is_no_news(kernel: LiveKernel) -> None:
    kernel.run("ray.wait([l.crash.remote()]);")
    cell = kernel.run("l.load.remote();")
    later = kernel.run("Loader.remote().bad.remote();")
    kernel.until(lambda: kernel.text(later).startswith(DROPPED))
    assert not kernel.text(cell)


def test_it_shows_while_the_cell_still_runs(kernel: LiveKernel) -> None:
    cell = kernel.start("l.bad.remote()\nwhile True: time.sleep(0.01)")
    kernel.until(lambda: kernel.text(cell).startswith(DROPPED))
    assert not kernel.of(cell, "idle")
    kernel.interrupt()
    kernel.until(lambda: kernel.of(cell, "idle"))


def test_a_thousand_failures_are_one_display(kernel: LiveKernel) -> None:
    begun = monotonic()
    cell = kernel.run("for i in range(1_000): l.bad.remote(f'row {i}')\nl.odd.remote();")
    kernel.until(lambda: "1000 calls of Loader.bad failed" in kernel.text(cell) and "odd" in kernel.text(cell))
    text = kernel.text(cell)
    assert "calls of Loader.bad failed, and no code can read the error. The first error:\nray::Loader.bad()" in text
    assert "ValueError: row 0\n✗ Loader.odd failed" in text
    assert len(text.split("\n")) < 20
    assert len(kernel.of(cell, "display_data")) == 1
    assert len(kernel.of(cell, "update_display_data")) <= (monotonic() - begun) / EVERY_S + 2


def test_a_held_failure_is_only_counted_after_its_cell(kernel: LiveKernel) -> None:
    cell = kernel.start("kept = l.bad.remote()\nray.wait([kept])\nprint('waited', flush=True)\ntime.sleep(1.5)")
    kernel.until(lambda: kernel.of(cell, "idle"))
    assert kernel.text(cell) == "waited\n"
    kernel.until(lambda: "1 failed" in kernel.text(cell))
    assert kernel.text(cell).endswith("✗ 1 failed, not read: 1 × Loader.bad: ValueError: no data file")
    assert kernel.reply("ray.get(kept)")["ename"] == "RayTaskError(ValueError)"
    kernel.until(lambda: kernel.text(cell).endswith("1 failed, read"))
    kernel.run("del kept")
    kernel.run("last = l.bad.remote(); ray.wait([last]); del last")
    kernel.until(lambda: kernel.text(kernel.messages[-1][0]).startswith(DROPPED))
    assert kernel.text(cell).endswith("1 failed, read")


def test_a_held_failure_that_is_dropped_later_shows_under_its_own_cell(kernel: LiveKernel) -> None:
    cell = kernel.run("kept = l.bad.remote()")
    kernel.until(lambda: "1 failed, not read" in kernel.text(cell))
    kernel.run("del kept")
    kernel.until(lambda: kernel.text(cell).startswith(DROPPED))
    assert "not read" not in kernel.text(cell)


@pytest.mark.parametrize(
    "read",
    [
        "ray.get(ref)",
        "ray.get([ray.put(1), ref])",
        "await ref",
        "ref.future().result()",
        "ray.get(ray.remote(lambda x: x).remote(ref))",
    ],
)
def test_a_failure_that_was_read_is_not_shown(kernel: LiveKernel, read: str) -> None:
    cell = kernel.start(f"ref = l.bad.remote()\ntry: {read}\nexcept ValueError: del ref")
    kernel.until(lambda: kernel.of(cell, "idle"))
    assert not kernel.of(cell, "error")
    later = kernel.run("l.odd.remote();")
    kernel.until(lambda: kernel.text(later))
    assert not kernel.text(cell)


def test_of_a_list_that_is_dropped_the_first_error_shows(kernel: LiveKernel) -> None:
    cell = kernel.run("kept = [l.bad.remote(f'row {i}') for i in range(4)]\nray.wait(kept, num_returns=4)\nNone")
    kernel.run("del kept")
    kernel.until(lambda: "4 calls of Loader.bad failed" in kernel.text(cell))
    assert kernel.text(cell).endswith("ValueError: row 0")


def test_the_count_names_an_error_that_was_not_read(kernel: LiveKernel) -> None:
    cell = kernel.start("kept = [l.bad.remote(f'row {i}') for i in range(4)]\nfor ref in kept: ray.get(ref)")
    kernel.until(lambda: kernel.text(cell))
    assert kernel.text(cell) == "✗ 3 failed, not read: 3 × Loader.bad: ValueError: row 1"


def test_of_a_list_whose_get_fails_all_failures_count_as_read(kernel: LiveKernel) -> None:
    cell = kernel.start("refs = [l.bad.remote(i) for i in range(20)]\ntry: ray.get(refs)\nexcept ValueError: del refs")
    kernel.until(lambda: kernel.of(cell, "idle"))
    later = kernel.run("l.odd.remote();")
    kernel.until(lambda: kernel.text(later))
    assert not kernel.text(cell)


def test_what_the_user_has_ended_is_not_shown(kernel: LiveKernel) -> None:
    cell = kernel.run(
        "@ray.remote\ndef slow(): time.sleep(60)\n"
        "ref = slow.remote(); ray.cancel(ref); ray.wait([ref]); del ref\n"
        "other = Loader.remote(); ray.get(other.load.remote()); ray.kill(other); other.load.remote();"
    )
    later = kernel.run("l.odd.remote();")
    kernel.until(lambda: kernel.text(later))
    assert not kernel.text(cell)


def test_a_failure_of_a_call_that_an_actor_has_made_is_printed(kernel: LiveKernel) -> None:
    cell = kernel.run("caller = Loader.remote(); ray.get(caller.pass_on.remote(l))")
    kernel.until(lambda: "ValueError: from inside" in kernel.text(cell))
    assert "Unhandled error (suppress with 'RAY_IGNORE_UNHANDLED_ERRORS=1'): ray::Loader.bad()" in kernel.text(cell)


def test_an_option_turns_the_reports_off(kernel: LiveKernel) -> None:
    kernel.run("ray.shutdown(); ray.init(num_cpus=4, ignore_unhandled_errors=True)\n" + SETUP)
    cell = kernel.run("l.bad.remote(); ray.get(Loader.remote().pass_on.remote(l)); ray.get(l.load.remote());")
    kernel.run("ray.shutdown(); ray.init(num_cpus=4)\n" + SETUP)
    later = kernel.run("l.odd.remote();")
    kernel.until(lambda: kernel.text(later))
    assert not kernel.text(cell)


def test_views_of_the_actor_count_what_is_not_read(kernel: LiveKernel) -> None:
    kernel.run("kept = [l.bad.remote() for _ in range(2)]; ray.wait(kept, num_returns=2);")
    shown = kernel.run("l")
    assert "2 failed, not read" in kernel.text(shown)
    shown = kernel.run("%actors")
    assert "2 failed, not read" in kernel.text(shown)
    kernel.reply("ray.get(kept)")
    assert "not read" not in kernel.text(kernel.run("l"))
