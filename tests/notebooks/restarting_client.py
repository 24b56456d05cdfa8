"""Runs a notebook as a reader does who is told to restart the kernel half-way."""

from __future__ import annotations

from typing import Any

from jupyter_client.utils import ensure_async
from nbclient import NotebookClient

RESTART = "after-restart"
"""The tag of cells before which the kernel is restarted."""


class RestartingClient(NotebookClient):  # type: ignore[misc] # nbclient's own types differ from release to release
    """Restarts the kernel before each cell with that tag; nothing else differs."""

    async def async_execute_cell(self, cell: Any, cell_index: int, *args: Any, **kwargs: Any) -> Any:
        if RESTART in cell.metadata.get("tags", []):
            self.kc.stop_channels()
            await ensure_async(self.km.restart_kernel(now=True))
            self.kc = self.km.client()
            self.kc.start_channels()
            await ensure_async(self.kc.wait_for_ready(timeout=60))
        return await super().async_execute_cell(cell, cell_index, *args, **kwargs)

    execute_cell = None  # the blocking form would go past this one
