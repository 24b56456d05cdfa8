"""What Ray tells of a failed constructor: the traceback of its own code, and in it what the host has raised."""

from __future__ import annotations

import re

_HEAD = re.compile(r"ray::(?P<name>[^\n]*?)\(\) \(pid=(?P<pid>\d+)")


def call_and_trace(text: str) -> str:
    """Return the name of the call, and the traceback of the user's code below it; empty if the host has raised nothing.

    Args:
        text: What Ray tells, which begins with the name of the call or has it in the first line.
    """
    head = _HEAD.search(text.partition("\n")[0])
    if head is None:
        return ""
    call = re.escape(f"ray::{head['name']}() (pid={head['pid']})")
    found = re.search(rf"^nbactors\.exceptions\.(?:\w+\.)*RayTaskError(?:\(\w+\))?: (?={call}\n)", text, re.MULTILINE)
    return text[found.end() :].rstrip() if found is not None else ""
