"""The IPython shell of a worker. Imports IPython: only for those who use it."""

from __future__ import annotations

import types
from typing import Any, Protocol

from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


class Sender(Protocol):
    """Sends what is displayed to the cell that made the call. Any thread."""

    def show(self, data: Any, metadata: Any, transient: Any, update: bool) -> None:
        """Show a bundle, or replace what was shown with the same display_id."""

    def clear(self, wait: bool) -> None:
        """Clear what the cell shows."""


class CellPublisher(DisplayPublisher):  # type: ignore[misc] # untyped
    """Sends what is displayed to the notebook. Any thread."""

    sender: Sender

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *_: Any,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **__: Any,
    ) -> None:
        """See the base class."""
        self.sender.show(data, metadata, transient, update)

    def clear_output(self, wait: bool = False) -> None:
        """See the base class."""
        self.sender.clear(wait)


class WorkerShell(InteractiveShell):  # type: ignore[misc] # untyped
    """Runs magics and formats what is displayed; it keeps no history, and leaves the process's hooks alone."""

    display_pub_class = CellPublisher

    def init_sys_modules(self) -> None:
        """Leave `__main__` as it is: what user code has pickled there is found by it."""

    def init_virtualenv(self) -> None:
        """The process runs in the right environment."""


def make(sender: Sender) -> WorkerShell:
    """Make the process's shell. Any thread, once."""
    config = Config()
    config.HistoryManager.enabled = False
    shell: WorkerShell = WorkerShell.instance(config=config, user_module=types.ModuleType("__main__"))
    shell.display_pub.sender = sender
    return shell
