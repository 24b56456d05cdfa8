"""How Ray's name of a call tells the host of an actor all about it: the class, the method and the calling cell.

The name travels with each call. An argument for these facts would cost Ray as much again as the rest of a small call.
Ray keeps each name that it has seen, about 3 KB in the caller and in the host. So a name has nothing that differs from
call to call.
"""

from __future__ import annotations


def name_of(label: str, cell: int) -> str:
    """Return the name of a call.

    Args:
        label: The class and the method, such as `Counter.add`.
        cell: The number of the calling cell, 0 for none.
    """
    return f"{label} [{cell}]" if cell else label


def read_name(name: str) -> tuple[str, int]:
    """Return the label and the cell that `name_of` has made a name of."""
    label, _, rest = name.partition(" [")
    return label, int(rest[:-1]) if rest else 0
