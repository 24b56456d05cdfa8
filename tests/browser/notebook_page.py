"""A notebook in a page of JupyterLab, as its user sees it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from nbactors.testing import eventually

if TYPE_CHECKING:
    from lab_server import LabServer
    from playwright.sync_api import CDPSession, Locator, Page

SESSION = """%load_ext nbactors
import nbactors as ray
ray.init(num_cpus=2)"""
"""The first cell of most notebooks."""

OPEN_S = 60.0
"""Seconds for the page, and the kernel that it starts."""

SHOWN_S = 20.0
"""Seconds for what is to show."""

PICTURES = Path(__file__).parents[2] / "build" / "browser"

_KERNEL_STATUS = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status ?? ''"

_CELLS = "window.jupyterapp.shell.currentWidget.content"


class NotebookPage:
    """A notebook that is open in a page.

    Args:
        page: The browser's page.
        server: Serves the notebook.
        name: The notebook's file name.
        cells: The code of its cells.
        app: "lab" for JupyterLab, "notebook" for Notebook 7.
    """

    def __init__(self, page: Page, server: LabServer, name: str, cells: list[str], app: str = "lab") -> None:
        self.server = server
        self._name = name
        self._app = app
        self._tools: CDPSession | None = None
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(code) for code in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        self.path: Path = server.notebooks / name
        nbformat.write(notebook, self.path)
        self.page = page
        self.open()

    def open(self, page: Page | None = None) -> None:
        """Open the notebook in its page or in another one, and wait for its kernel."""
        if page is not None:
            self.page = page
        if self._app == "lab":
            # `reset`: without the tabs of notebooks that were open before.
            self.page.goto(self.server.url(f"lab/tree/{self._name}", "reset&"))
        else:
            self.page.goto(self.server.url(f"notebooks/{self._name}"))
        self._wait_until_open()

    def reload(self) -> None:
        """Reload the page, and wait until the notebook shows again."""
        self.page.reload()
        self._wait_until_open()

    def _wait_until_open(self) -> None:
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=OPEN_S * 1000)
        eventually(lambda: self.page.evaluate(_KERNEL_STATUS) in ("idle", "busy"), timeout_s=OPEN_S)

    def run(self, number: int, *, wait: bool = True) -> None:
        """Run a cell, counted from 0; wait for its end unless told not to."""
        self.page.evaluate(
            f"(number) => {{ {_CELLS}.deselectAll(); {_CELLS}.activeCellIndex = number;"
            " window.jupyterapp.commands.execute('notebook:run-cell'); }",
            number,
        )
        if wait:
            self.await_prompt(number)

    def prompt(self, number: int) -> str:
        """Return the prompt of a cell: the number of its execution, or "*" while it runs."""
        return str(self.page.evaluate(f"(number) => {_CELLS}.widgets[number].prompt ?? ''", number))

    def await_prompt(self, number: int, timeout_s: float = OPEN_S) -> None:
        """Wait until a cell shows the number of its execution, which it does at its end."""
        self.page.wait_for_function(
            f"(number) => /^[0-9]+$/.test({_CELLS}.widgets[number].prompt ?? '')", arg=number, timeout=timeout_s * 1000
        )

    def cpu_s(self) -> float:
        """Return the seconds for which the page's main thread has worked since the first call of this method."""
        if self._tools is None:
            self._tools = self.page.context.new_cdp_session(self.page)
            self._tools.send("Performance.enable")
        metrics = {row["name"]: row["value"] for row in self._tools.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    def restart(self) -> None:
        """Restart the kernel by the menu, and wait until the new one is idle."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.statusChanged.connect("
            "(_, status) => { window.hasRestarted ||= status === 'restarting'; })"
        )
        self.page.evaluate("() => { window.jupyterapp.commands.execute('kernelmenu:restart'); }")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.wait_for_function("() => window.hasRestarted", timeout=OPEN_S * 1000)
        eventually(lambda: self.page.evaluate(_KERNEL_STATUS) == "idle", timeout_s=OPEN_S)

    def is_busy(self) -> bool:
        """Return whether the page shows the kernel as busy."""
        return bool(self.page.evaluate(_KERNEL_STATUS) == "busy")

    def end_kernel(self) -> None:
        """End the kernel. The page stays."""
        self.server.end_kernels()

    def save(self) -> None:
        """Save the notebook as it is now."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def saved(self) -> Any:
        """Return the notebook as it is saved."""
        return nbformat.read(self.path, as_version=4)

    def output(self, number: int) -> Locator:
        """Return the area under a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-Cell-outputArea")

    def look_at(self, number: int) -> None:
        """Scroll until the end of the output under a cell is on the screen: a panel shows changes only there."""
        self.output(number).locator(".jp-OutputArea-child").last.scroll_into_view_if_needed()

    def text(self, number: int) -> str:
        """Return what shows under a cell."""
        return self.output(number).inner_text()

    def await_text(self, number: int, pattern: str) -> str:
        """Wait until what shows under a cell has a match of a regular expression; return all that shows."""
        found = ""

        def is_shown() -> bool:
            nonlocal found
            found = self.text(number)
            return re.search(pattern, found) is not None

        try:
            eventually(is_shown, timeout_s=SHOWN_S)
        except TimeoutError:
            raise AssertionError(f"no {pattern!r} under cell {number}, but: {found}") from None
        return found

    def size(self, number: int) -> tuple[float, float]:
        """Return the width and the height, in pixels, of the first panel or HTML element under a cell."""
        first = self.output(number).locator(".nba > *, .jp-RenderedHTMLCommon > div").first
        height = self.output(number).locator(".jp-OutputArea-output").first
        content, box = first.bounding_box(), height.bounding_box()
        assert content is not None
        assert box is not None
        return content["width"], box["height"]

    def keep_picture(self, name: str) -> None:
        """Keep a picture of the page in `build/browser`."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{self.path.stem}-{name}.png")

    def overflow(self, number: int) -> int:
        """Return by how many pixels the outputs of a cell are wider than their area."""
        return int(
            self.output(number).evaluate(
                "(area) => Math.max(0, ...[...area.querySelectorAll('.jp-OutputArea-output')]"
                ".map((output) => output.scrollWidth - output.clientWidth))"
            )
        )
