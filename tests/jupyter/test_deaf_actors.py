"""Panels of actors whose native code keeps the GIL, so that they answer nothing: they delay no other panel."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from live_kernel import LiveKernel

pytestmark = [pytest.mark.slow]

DEAF = 8
"""Asked one after the other, each for a second, so many would delay an update by this many seconds."""

CLASS = """
@ray.remote
class Deaf:
    def sleep(self, path):
        import ctypes
        from pathlib import Path
        Path(path).touch()
        ctypes.PyDLL(None).sleep(600)  # keeps the GIL
@ray.remote
class Live:
    def run(self, path): until(path)
"""


@pytest.fixture
def kernel() -> Iterator[LiveKernel]:
    kernel = LiveKernel()
    kernel.open(CLASS)
    yield kernel
    kernel.close()
    kernel.stop()


def changes(kernel: LiveKernel, panel: str) -> list[dict[str, Any]]:
    """Return the fields that the kernel has sent to a panel's views, in order."""
    found = [content for _, kind, content in kernel.messages if kind == "comm_msg" and content["comm_id"] == panel]
    sent = [content["data"]["content"] for content in found if content["data"]["method"] == "custom"]
    return [news["fields"] for news in sent if news["kind"] == "changes"]


def test_deaf_actors_delay_neither_the_cell_nor_the_panel_of_a_live_one(kernel: LiveKernel, tmp_path: Any) -> None:
    kernel.run(
        f"deaf = [Deaf.remote() for _ in range({DEAF})]; live = Live.remote()\n"
        f"sleeping = [each.sleep.remote({str(tmp_path)!r} + f'/{{i}}') for i, each in enumerate(deaf)]\n"
        f"for i in range({DEAF}): until({str(tmp_path)!r} + f'/{{i}}')\n"
        "ray.get(live.__ray_ready__.remote())"
    )
    began = monotonic()
    cell = kernel.run("for each in [*deaf, live]: display(each)")
    assert monotonic() - began < DEAF / 2
    panels = kernel.panels(cell)
    for panel in panels:
        kernel.tell(panel, {"kind": "hello"})
        kernel.tell(panel, {"kind": "look", "visible": True})
    kernel.until(lambda: any("cpu" in fields for fields in changes(kernel, panels[-1])))
    asked = monotonic()
    kernel.run("refs = [live.run.remote('/nowhere')]")
    kernel.until(lambda: any(fields.get("mark") == "busy" for fields in changes(kernel, panels[-1])))
    assert monotonic() - asked < DEAF / 2
    deaf = panels[:-1]
    kernel.until(lambda: all("does not answer" in str(changes(kernel, panel)) for panel in deaf))
    kernel.run("for each in deaf: ray.kill(each)")
