"""Texts about an actor for the tables and panels, made from a row of `list_actors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbactors import byte_sizes


def state(row: Mapping[str, Any]) -> str:
    """Return an actor's state as people read it, such as "pending creation"."""
    words: str = row["state"].lower().replace("_", " ")
    return words


def state_and_lifetime(row: Mapping[str, Any]) -> str:
    """Return an actor's state, and whether it is detached, such as "alive, detached"."""
    return state(row) + (", detached" if row["is_detached"] else "")


def resources(row: Mapping[str, Any]) -> str:
    """Return what an actor holds, such as "1 CPU, 2.0 GiB memory", or needs before it can start; empty for nothing."""
    amounts = sorted(row["required_resources"].items())
    text = ", ".join(f"{byte_sizes.amount(name, value)} {name}" for name, value in amounts)
    return f"needs {text}" if text and row["state"] == "PENDING_CREATION" and not row["pid"] else text
