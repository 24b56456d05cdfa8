"""`Errands`: a thread that does what finalizers and bars ask for, in their order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Errands:
    """Runs functions one after another on a thread of its own. It never ends, as its process does."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], object]] = SimpleQueue()
        threading.Thread(target=self._run, name="nbactors-errands", daemon=True).start()

    def put(self, errand: Callable[[], object]) -> None:
        """Have a function run. Any thread, finalizers included: the queue takes no lock of Python's."""
        self._waiting.put(errand)

    def _run(self) -> None:
        while True:
            try:
                self._waiting.get()()
            except (Exception, SystemExit):  # noqa: BLE001 - the session has ended, or this worker is about to
                pass
