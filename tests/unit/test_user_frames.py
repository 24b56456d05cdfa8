"""Which frames of a traceback are the user's."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import selectors

import cloudpickle
import pytest

import nbactors
from nbactors.exceptions.user_frames import are_users

CELL = "/tmp/ipykernel_1/2.py"
RUNTIME = nbactors.api.__file__
WAIT = selectors.__file__
PARSER = json.decoder.__file__
PICKLER = cloudpickle.__file__
LOOP = asyncio.tasks.__file__
FUTURE = concurrent.futures._base.__file__
LIBRARY = pytest.__file__
RAY = LIBRARY.replace("pytest", "ray", 1)
RAY_COMPILED = "python/ray/_raylet.pyx"


@pytest.mark.parametrize(
    ("frames", "users"),
    [
        ([CELL, RUNTIME, RUNTIME], [CELL]),
        ([CELL, RUNTIME, WAIT], [CELL]),
        ([CELL, RUNTIME, PICKLER, CELL, PARSER, PARSER], [CELL, CELL, PARSER, PARSER]),
        ([CELL, RUNTIME, PICKLER, LIBRARY, PARSER], [CELL, LIBRARY, PARSER]),
        ([CELL, LIBRARY, RUNTIME], [CELL, LIBRARY]),
        ([CELL, PICKLER], [CELL, PICKLER]),
        ([CELL, LOOP, RUNTIME], [CELL]),
        ([CELL, FUTURE, FUTURE, RUNTIME, RUNTIME], [CELL]),
        ([CELL, LOOP, CELL, RUNTIME], [CELL, LOOP, CELL]),
        ([CELL, FUTURE], [CELL, FUTURE]),
        ([RUNTIME, "<string>", CELL], [CELL]),
        ([CELL, RUNTIME, RAY, RAY_COMPILED, CELL], [CELL, CELL]),
        ([CELL, RAY, RAY_COMPILED], [CELL, RAY, RAY_COMPILED]),
        ([], []),
    ],
    ids=[
        "a verb",
        "a wait in a verb",
        "the user's code in a pickler",
        "a library's code in a pickler",
        "a library that calls a verb",
        "a pickler that the user calls",
        "an awaited reference",
        "a future",
        "a loop that the user runs",
        "an error of a future alone",
        "the constructor of a dataclass",
        "the user's code in Ray",
        "Ray that the user calls",
        "no frame",
    ],
)
def test_frames_of_the_user(frames: list[str], users: list[str]) -> None:
    assert [name for name, is_users in zip(frames, are_users(frames), strict=True) if is_users] == users
