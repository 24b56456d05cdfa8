"""Starts a session on a Ray cluster."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from typing import Any

from nbactors import engine, exceptions
from nbactors.engine.base import Engine
from nbactors.frontend import calling_cell, redirected
from nbactors.frontend.unread_printer import are_off
from nbactors.options import InitOptions

RAY_BREAKPOINT = "ray.util.rpdb._driver_set_trace"
"""The value of PYTHONBREAKPOINT that Ray sets in its drivers."""


def prepare(options: InitOptions) -> InitOptions:
    """Return the options as they are: the cluster prepares a runtime_env."""
    return options


def _forbid_automatic_start() -> None:
    """Have Ray's functions raise where there is no connection: by default they start a cluster of their own.

    A thread that draws an actor, or a finalizer, may call one just when the session ends.
    """
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    hook = sys.modules.get("ray._private.auto_init_hook")  # Ray reads the variable when it is imported
    if hook is not None:
        vars(hook)["enable_auto_connect"] = False


def start(options: InitOptions) -> Engine:
    """Open a session: join the cluster at the address, or start one on this machine. Blocks. The main thread.

    Raises:
        RaySystemError: Ray is not installed, or there is no such cluster.
        ValueError: The address is that of a Ray client.
    """
    _forbid_automatic_start()
    try:
        import ray  # noqa: PLC0415 - is it installed?
    except ImportError as error:
        raise exceptions.RaySystemError(
            f'engine="ray" needs the package ray, which cannot be imported here ({error}): pip install "nbactors[ray]"'
        ) from None
    if (options.address or "").startswith("ray://"):
        raise ValueError(
            f"address={options.address!r}: the Ray client, by which a machine outside of the cluster reaches it, "
            "is not supported, since it lacks calls that this engine needs. Start the kernel on a node of the cluster, "
            'such as the head, and give the address host:port, or address="auto" with engine="ray"'
        )
    from nbactors.cluster.common import job_records  # noqa: PLC0415 - imports Ray
    from nbactors.cluster.news import News  # noqa: PLC0415 - as above
    from nbactors.cluster.session import RaySession  # noqa: PLC0415 - as above

    owns_ray = _connect(options)
    # Exit handlers run in reverse order. Ray has one since its import, after which its calls crash the process.
    atexit.unregister(engine.stop)
    atexit.register(engine.stop)
    ignored = options.ignore_unhandled_errors
    try:
        if options.logging_config is not None:
            job_records.keep_logging(options.logging_config.to_dict())
        session = RaySession(
            owns_ray,
            News(options.shows_output(), options.log_prefix),
            options.cancels_on_interrupt(),
            lambda: not (are_off() if ignored is None else ignored),
        )
        if not calling_cell.current():  # a front end notes them for each cell
            redirected.note(sys.stdout, sys.stderr)
        if owns_ray and options.address not in (None, "local"):
            session.check_cluster(options.given_runtime_env or {})
        return session
    except BaseException:
        if owns_ray:
            ray.shutdown()
        raise


def _connect(options: InitOptions) -> bool:
    """Connect this process to Ray. Return False if it was connected before, by the user."""
    import ray  # noqa: PLC0415 - only this engine needs it

    if ray.is_initialized():
        if os.environ.get("PYTHONBREAKPOINT") == RAY_BREAKPOINT:
            _set_breakpoint_hook(None)
        return False
    from nbactors.cluster.common.reachable import check_reachable  # noqa: PLC0415 - as above
    from nbactors.cluster.common.unread import silence_ray  # noqa: PLC0415 - as above
    from nbactors.cluster.shipping import Shipped  # noqa: PLC0415 - as above

    given: dict[str, Any] = dict(options.given_runtime_env or {})
    shipped = Shipped()
    try:
        given["py_modules"] = [shipped.path, *(given.get("py_modules") or ())]
        them: dict[str, Any] = {
            "namespace": options.namespace_or_default() or None,
            "runtime_env": given,
            "log_to_driver": False,
            "logging_level": logging.WARNING,
        }
        address = options.address or os.environ.get("RAY_ADDRESS") or "local"
        them["address"] = address
        if address == "local":
            them["include_dashboard"] = False
            for name in ("num_cpus", "num_gpus", "object_store_memory"):
                if getattr(options, name) is not None:
                    them[name] = getattr(options, name)
            if options.labels:
                them["labels"] = dict(options.labels)
            if options.resources:
                them["resources"] = dict(options.resources)
            if options.memory is not None:
                them["_memory"] = options.memory
        if options.detaches_actors:
            from ray.job_config import JobConfig  # noqa: PLC0415 - few sessions need it

            them["job_config"] = JobConfig(default_actor_lifetime="detached")
        silence_ray()
        check_reachable(address)
        breakpoint_hook = os.environ.get("PYTHONBREAKPOINT")
        try:
            ray.init(**them)
        except (ConnectionError, RuntimeError) as error:
            raise exceptions.RaySystemError(f"no Ray cluster answers at {address!r}: {error}") from error
        finally:
            _set_breakpoint_hook(breakpoint_hook)
    finally:
        shipped.close()
    return True


def _set_breakpoint_hook(name: str | None) -> None:
    """Set what `breakpoint()` calls in this process. Ray has it wait for a debugger from outside for ever."""
    if name is None:
        os.environ.pop("PYTHONBREAKPOINT", None)
    else:
        os.environ["PYTHONBREAKPOINT"] = name
