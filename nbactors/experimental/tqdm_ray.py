"""`tqdm`: a progress bar for tasks, actors and drivers, under the name that it has in Ray.

tqdm's own bars work in tasks and actors, too. This class needs no tqdm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nbactors.util.progress_bar import ShownBar

__all__ = ["safe_print", "tqdm"]


class tqdm:  # noqa: N801 - the name is tqdm's
    """A progress bar. It shows under the calling notebook cell; in a script it prints lines to stderr.

    ::

        for item in tqdm(items, desc="read"):  # in any task, actor or driver
            ...

        bar = ray.remote(tqdm).remote(total=100)  # a bar that several tasks advance
        bar.update.remote(1)

    It starts the runtime if none runs. Any thread. Source: Ray's page "ray.experimental.tqdm_ray".

    Args:
        iterable: What to iterate over. The bar ends with the iteration, or by `close`.
        desc: The text in front of the bar.
        total: How many units there are. Default: the length of `iterable`, if it has one.
        unit: The name of one unit.
        position: No effect: bars show in the order in which they are made.
        flush_interval_s: No effect: a bar shows a change after 0.1 seconds at most.
    """

    def __init__(
        self,
        iterable: Iterable[Any] | None = None,
        desc: str | None = None,
        total: int | None = None,
        unit: str | None = None,
        position: int | None = None,
        flush_interval_s: float | None = None,
    ) -> None:
        del position, flush_interval_s
        if total is None:
            try:
                total = len(iterable)  # type: ignore[arg-type] # that is what is tried
            except TypeError:
                total = None
        self._iterable = iterable
        self._n: float = 0
        self._total: float | None = total
        self._bar = ShownBar(desc or "", total, unit or "it", leave=True)
        self._bar.show()

    @property
    def n(self) -> float:
        """How many units are done. A new value shows with the next `update` or `refresh`."""
        return self._n

    @n.setter
    def n(self, n: float) -> None:
        self._n = n

    @property
    def total(self) -> float | None:
        """How many units there are, None if that is not known. A new value shows with the next change."""
        return self._total

    @total.setter
    def total(self, total: float | None) -> None:
        self._total = total

    def update(self, n: float = 1) -> None:
        """Count `n` more units."""
        self._n += n
        self.refresh()

    def set_description(self, desc: str) -> None:
        """Change the text in front of the bar."""
        self._bar.change(description=desc, n=self._n, total=self._total)

    def refresh(self) -> None:
        """Show the present numbers."""
        self._bar.change(n=self._n, total=self._total)

    def close(self) -> None:
        """End the bar. It stays as it is. A second call does nothing."""
        self.refresh()
        self._bar.close()

    def __iter__(self) -> Iterator[Any]:
        """Iterate, count each item when the next one is asked for, and end the bar.

        Raises:
            ValueError: The bar was made without an iterable.
        """
        if self._iterable is None:
            raise ValueError("No iterable provided")
        return self._items(self._iterable)

    def _items(self, iterable: Iterable[Any]) -> Iterator[Any]:
        try:
            for item in iterable:
                yield item
                self.update(1)
        finally:
            self.close()


def safe_print(*args: Any, **options: Any) -> None:
    """Print as `print` does. Bars and printed lines do not disturb each other here."""
    print(*args, **options)
