"""`cluster.common.failed_constructor`: the part of Ray's text that is about the user's code."""

from __future__ import annotations

import pytest

from nbactors.cluster.common.failed_constructor import call_and_trace

OURS = """\
ray::Broken.__init__() (pid=7)
  File "model.py", line 6, in __init__
    raise RuntimeError(text)
RuntimeError: no data file"""


def rays(
    raised: str, head: str = "ray::Broken.__init__() (pid=7, ip=192.0.2.2, actor_id=61, repr=Host(Broken))"
) -> str:
    """What Ray tells of an exception of a host."""
    return f'{head}\n  File "/tmp/nbactors/cluster/host/host.py", line 103, in constructing\n    raise made\n{raised}\n'


@pytest.mark.parametrize("name", ["RayTaskError(RuntimeError)", "RayTaskError", "task_error.RayTaskError"])
@pytest.mark.parametrize("lead", ["", "The actor died because of an error raised in its creation task, "])
def test_it_is_what_the_host_has_raised(name: str, lead: str) -> None:
    assert call_and_trace(f"{lead}{rays(f'nbactors.exceptions.{name}: {OURS}')}") == OURS


def test_the_text_of_the_exception_may_look_the_same() -> None:
    told = f"{OURS}\nnbactors.exceptions.RayTaskError(KeyError): {OURS}"
    assert call_and_trace(rays(f"nbactors.exceptions.RayTaskError(RuntimeError): {told}")) == told


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The actor died unexpectedly before finishing this task.\n\tpid: 7",
        rays("ray.exceptions.ReferenceCountingAssertionError: Failed to retrieve object 00ff"),
        rays(f"nbactors.exceptions.RayTaskError(RuntimeError): {OURS.replace('pid=7', 'pid=8')}"),
    ],
    ids=["nothing", "a crash", "Ray's own error", "another process"],
)
def test_nothing_is_found_where_the_host_has_raised_nothing(text: str) -> None:
    assert call_and_trace(text) == ""
