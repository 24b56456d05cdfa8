"""The option `--cluster`: a command asks a Ray cluster instead of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from nbactors.exceptions import RaySystemError

if TYPE_CHECKING:
    from nbactors.cluster.observing.visit import Visit

option = click.option(
    "--cluster", "address", metavar="ADDRESS", help="Ask the Ray cluster at this address (host:port, or auto) instead."
)


@contextmanager
def visit(address: str) -> Iterator[Visit]:
    """Join the cluster at an address within the `with` block; end the command with a sentence if that fails."""
    try:
        from nbactors.cluster.observing.visit import Visit  # noqa: PLC0415 - imports Ray
    except ImportError as error:
        raise click.ClickException(
            f'--cluster needs the package ray, which cannot be imported here ({error}): pip install "nbactors[ray]"'
        ) from None
    try:
        joined = Visit(address)
    except RaySystemError as error:
        raise click.ClickException(str(error.client_exc)) from None
    try:
        yield joined
    finally:
        joined.close()
