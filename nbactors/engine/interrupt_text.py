"""What an interrupted wait tells the user: for how many calls it waited, and what becomes of them."""

from __future__ import annotations

_KEEP = 'init(on_interrupt="detach") lets such calls go on'


def waited_for(count: int) -> str:
    """Return how many calls an interrupted thread has waited for, in words."""
    return f"waited for {count} call{'s' if count != 1 else ''}"


def cancelled(count: int, running: int) -> str:
    """Return which of `count` awaited calls were cancelled: the running ones."""
    which = "it still ran and was" if count == 1 else f"{running} still ran and {'was' if running == 1 else 'were'}"
    return f"{which} cancelled"


def of_cancelled(count: int, running: int) -> str:
    """Return the text of an interrupt that cancels the running ones of `count` awaited calls."""
    if not running:
        return f"{waited_for(count)}; all had ended"
    return with_hint([waited_for(count), cancelled(count, running)])


def of_uncancelled(count: int, running: int) -> str:
    """Return the text of an interrupt that cancels none of `count` awaited calls."""
    waited = waited_for(count)
    if not running:
        return f"{waited}; all had ended"
    which = "it still runs" if count == 1 else f"{running} still run{'s' if running == 1 else ''}"
    return f'{waited}; {which}; cancel(ref) ends a call, and with init(on_interrupt="cancel") an interrupt does'


def with_hint(parts: list[str]) -> str:
    """Return these parts of a text, and how calls go on in spite of an interrupt."""
    return "; ".join([*parts, _KEEP])
