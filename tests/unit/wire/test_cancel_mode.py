"""The effects of the modes of a cancel."""

from __future__ import annotations

import msgspec
import pytest

from nbactors.local.wire.cancel_mode import CancelMode

CANCEL, INTERRUPT, TIMEOUT, MEMORY, FORCE = CancelMode


@pytest.mark.parametrize(
    ("mode", "only_asks", "interrupts_methods", "ends_process", "of_children"),
    [
        (CANCEL, True, False, False, CANCEL),
        (INTERRUPT, False, True, False, INTERRUPT),
        (TIMEOUT, False, True, False, CANCEL),
        (MEMORY, False, True, False, CANCEL),
        (FORCE, False, False, True, CANCEL),
    ],
)
def test_each_mode_does_what_its_table_says(
    mode: CancelMode, only_asks: bool, interrupts_methods: bool, ends_process: bool, of_children: CancelMode
) -> None:
    assert mode.only_asks is only_asks
    assert mode.interrupts_methods is interrupts_methods
    assert mode.ends_process is ends_process
    assert mode.of_children is of_children


@pytest.mark.parametrize(
    ("force", "interrupt", "mode"),
    [(False, False, CANCEL), (False, True, INTERRUPT), (True, False, FORCE), (True, True, FORCE)],
)
def test_the_flags_of_cancel_choose_the_mode(force: bool, interrupt: bool, mode: CancelMode) -> None:
    assert CancelMode.of(force, interrupt) is mode


def test_a_mode_is_sent_by_its_name() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(TIMEOUT), type=CancelMode) is TIMEOUT
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value"):
        msgspec.msgpack.decode(msgspec.msgpack.encode("softly"), type=CancelMode)
