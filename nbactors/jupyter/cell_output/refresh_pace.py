"""When the static form of a widget is refreshed, which the notebook stores for readers without widgets.

JupyterLab draws the widget anew with each refresh, and keeps the earlier drawing as long as the page shows the cell. So
the refreshes become rarer with the age of the display: the static form is current or at most a fifth of its age old.
"""

from __future__ import annotations

SOONEST_S = 2.0
"""Seconds from the first state, and from each refresh, to the next refresh at the earliest."""

SHARE = 0.25
"""The time from one refresh to the next, as a share of the age that the display has at the first of them."""


class RefreshPace:
    """The times of the refreshes of one display. Pure: the caller passes the time, in seconds.

    Args:
        now: The time of the first state, which is the static form now.
    """

    def __init__(self, now: float) -> None:
        self._began = self._refreshed = now
        self._is_stale = False

    def change(self) -> None:
        """Note that the static form is no longer the present state."""
        self._is_stale = True

    def refresh(self, now: float) -> None:
        """Note that the static form is the present state."""
        self._refreshed = now
        self._is_stale = False

    @property
    def due_at(self) -> float | None:
        """The time of the next refresh; None while the static form is the present state."""
        if not self._is_stale:
            return None
        return self._refreshed + max(SOONEST_S, SHARE * (self._refreshed - self._began))
