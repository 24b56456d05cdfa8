"""`inspect_serializability`: which part of a value cannot be sent. Names as in `ray.util.check_serialize`."""

from __future__ import annotations

from typing import Any, TextIO

from nbactors.util.check_serialize.failure_tree import FailureTree, FailureTuple

__all__ = ["FailureTuple", "inspect_serializability"]


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: TextIO | None = None
) -> tuple[bool, set[FailureTuple]]:
    """Find the parts of a value that cannot be pickled, and print them as a tree. Starts nothing; any thread.

    Parts are the attributes of an object, the items of a list or dict, the global and captured variables of a function,
    and the methods and attributes of a class. Example: `inspect_serializability(model, name="model")`. Source: Ray's
    page "ray.util.inspect_serializability".

    Args:
        base_obj: The value, function or class.
        name: The name that the tree begins with.
        depth: How many levels of parts to look at.
        print_file: Where to print. Default: `sys.stdout`.

    Returns:
        Whether the value can be pickled, and the innermost parts that cannot.
    """
    tree = FailureTree(base_obj, name, depth)
    print("\n".join(tree.lines()), file=print_file)
    return not tree.failures, tree.failures
