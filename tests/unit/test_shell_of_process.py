"""What the shell of a notebook becomes in another process."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nbactors.in_worker.ipython_display import shell_of_process


def test_where_no_shell_is_yet_a_stand_in_finds_it_later() -> None:
    stands: Any = shell_of_process()
    with pytest.raises(AttributeError, match="history_length: there is no IPython shell here"):
        stands.history_length  # noqa: B018 - it raises
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        assert shell_of_process() is shell
        assert stands.history_length == shell.history_length
        # As in `get_ipython` of a notebook, which is a method of the shell.
        assert InteractiveShell.get_ipython.__get__(stands)().history_length == shell.history_length
    finally:
        InteractiveShell.clear_instance()
