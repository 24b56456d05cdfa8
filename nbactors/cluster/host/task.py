"""The functions of tasks, as Ray gets them: each wraps the user's function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nbactors.cluster.host.call import Call
from nbactors.cluster.host.failures import failure
from nbactors.cluster.host.worker import of_process


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what Ray runs for a function."""

    def task(spec: tuple[Any, ...], *values: Any) -> Any:
        call = Call(*spec)
        with _run(call):
            args, kwargs = call.split(values)
            return function(*args, **kwargs)

    return task


def generating(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what Ray runs for a generator function."""

    def task(spec: tuple[Any, ...], *values: Any) -> Iterator[Any]:
        call = Call(*spec)
        with _run(call):
            args, kwargs = call.split(values)
            for item in function(*args, **kwargs):  # noqa: UP028 - Ray sends values, which are not meant for the user
                yield item

    return task


@contextmanager
def _run(call: Call) -> Iterator[None]:
    process = of_process()
    process.label = call.method
    token = process.begin(call)
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):  # Ray cancels by the first, and ends a worker by the second
        raise
    except BaseException as error:  # noqa: BLE001 - user code raises anything
        raise failure(call.label, error) from None
    finally:
        process.end(call, token)
