"""The IPython shell of a worker. This module imports IPython, so only user code that needs a shell imports it."""

from __future__ import annotations

import types
from typing import Any, Protocol

from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


class Sender(Protocol):
    """Sends displays to the calling cell. Any thread. See `ipython_display.Sender`."""

    def show(self, data: Any, metadata: Any, transient: Any, update: bool) -> None: ...
    def clear(self, wait: bool) -> None: ...


class CellPublisher(DisplayPublisher):  # type: ignore[misc] # untyped
    """Hands displays to the sender. Any thread."""

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
        self.sender.show(data, metadata, transient, update)

    def clear_output(self, wait: bool = False) -> None:
        self.sender.clear(wait)


class WorkerShell(InteractiveShell):  # type: ignore[misc] # untyped
    """Runs magics and formats displays. It keeps no history, and leaves the process's hooks alone."""

    display_pub_class = CellPublisher

    def init_sys_modules(self) -> None:
        """Leave `__main__` as it is: unpickling looks up user code there."""

    def init_virtualenv(self) -> None:
        """Do nothing: the process runs in the right environment already."""


def make(sender: Sender) -> WorkerShell:
    """Make the process's shell. Any thread, once."""
    config = Config()
    config.HistoryManager.enabled = False
    shell: WorkerShell = WorkerShell.instance(config=config, user_module=types.ModuleType("__main__"))
    shell.display_pub.sender = sender
    return shell
