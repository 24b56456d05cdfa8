"""Starts a session: connects to the node, and opens a session there."""

from __future__ import annotations

import importlib.util
import os
import sys
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from nbactors import exceptions
from nbactors.engine.base import Engine
from nbactors.exceptions.user_warning import warn_user
from nbactors.frontend import calling_cell, redirected
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.frontend.unread_printer import VARIABLE
from nbactors.local import standard_streams
from nbactors.local.access import discovery, linger, memory_threshold
from nbactors.local.environment import prepared
from nbactors.local.member import Process
from nbactors.local.membership import Membership
from nbactors.local.session.engine import SessionEngine
from nbactors.local.session.printer import Printer
from nbactors.local.submitting.interruption import Interruption
from nbactors.local.wire import ids, messages
from nbactors.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbactors.options import InitOptions

_warned = False

START_S = 20.0
"""Seconds. A running node answers within milliseconds; starting one on a loaded machine may take seconds."""


def prepare(options: InitOptions) -> InitOptions:
    """Return the options of a session for `start`, whose runtime_env is prepared. Blocks. Any thread.

    Raises:
        RuntimeEnvSetupError: What the runtime_env asks for cannot be installed.
        KeyboardInterrupt: An interrupt has ended the installation.
    """
    return options if options.runtime_env is None else options._replace(runtime_env=prepared(options.runtime_env))


def start(options: InitOptions) -> Engine:
    """Start a session: connect to the node, starting it if need be, and open a session there.

    Raises:
        RaySystemError: The node could not be started, or one of another version runs.
        OSError: The runtime directory cannot be used, or the environment variables are too long.
        ValueError: An environment variable has an invalid value.
        ModuleNotFoundError: A module to preload does not exist.
    """
    linger.linger_s()
    memory_threshold.memory_threshold()
    discovery.interpreter()
    _find_preloaded(options.preload)
    standard_streams.occupy()
    if options.address is None:
        _warn_of_another_cluster()
    deadline = monotonic() + START_S
    if options.address == "local":
        discovery.use_own()
    INTERRUPTS.install()
    while True:
        try:
            return _join(options)
        except _NodeLeft:
            # The node was about to leave when this process connected, and did not serve it any more: start another one.
            if monotonic() > deadline:
                discovery.leave_own(is_left=True)
                raise
        except BaseException:
            discovery.leave_own(is_left=True)
            INTERRUPTS.remove()
            raise


def _find_preloaded(names: Sequence[str]) -> None:
    """Refuse the names of modules that do not exist, of which only the first part is looked up: nothing is imported."""
    for name in names:
        top = name.partition(".")[0]
        if top not in sys.modules and importlib.util.find_spec(top) is None:
            raise ModuleNotFoundError(
                f"init(preload=[{name!r}]): no module {top!r} is on the path of this process. Correct the name, or "
                f"install the package in {sys.executable}",
                name=top,
            )


def _warn_of_another_cluster() -> None:
    """Warn once in a process that RAY_ADDRESS, by which a program of Ray would find its cluster, has no effect."""
    global _warned
    address = os.environ.get("RAY_ADDRESS", "")
    if address not in ("", "local", "auto") and not _warned:
        _warned = True
        warn_user(
            f"RAY_ADDRESS={address!r} has no effect: this session is on this machine. To use that cluster, call "
            f"init(address={address!r}). To be rid of this warning, unset the variable or call init("
            'address="auto").'
        )


class _NodeLeft(exceptions.RaySystemError):
    """The node ended before it had opened the session."""


def _join(options: InitOptions) -> Engine:
    directory = discovery.node_directory()
    node = discovery.connect_node(START_S)
    printer = Printer(options.log_prefix, os.environ.get("RAY_DEDUP_LOGS", "").lower() in ("1", "true"))
    process = Process(Membership(ids.new_process_id(), directory), printer.show, printer.node_lost)
    printer.call_later = process.reactor.call_later
    printer.close()
    try:
        process.join(node, "session", __version__)
        request = _open_session(0, process, options)
        opened = process.node.request(lambda rid: msgspec.structs.replace(request, rid=rid), START_S)
    except BaseException as error:
        process.close()
        if isinstance(error, exceptions.RaySystemError) and process.node.lost and not process.node.refused:
            raise _NodeLeft(error.client_exc) from error
        raise
    request = msgspec.structs.replace(request, namespace=opened.namespace, labels=opened.labels)
    home = messages.Home(opened.job_id, process.process_id, os.getpid(), request)
    process.describe = lambda: [(messages.Rejoin(home), ())]
    process.node.returning = process
    if process.node.lost:  # the node has crashed just before
        process.close()
        raise _NodeLeft(process.node.lost)
    printer.open()
    process.objects.unread.is_ignored = options.ignore_unhandled_errors
    if not calling_cell.current():  # a front end notes them for each cell
        redirected.note(sys.stdout, sys.stderr)
    process.objects.waiting.interruption = Interruption(
        process.process_id, process.reactor, process.peers, options.cancels_on_interrupt()
    )
    session = SessionEngine(process, opened.job_id, opened.namespace, not options.namespace_or_default(), printer)
    session.detaches_actors, session.labels = options.detaches_actors, opened.labels
    return session


def _open_session(rid: int, process: Process, options: InitOptions) -> messages.OpenSession:
    def amount(value: float | None) -> float:
        return -1.0 if value is None else float(value)

    process.environment.inherited = options.runtime_env
    environment = msgspec.structs.replace(process.environment.of_session(), preload=list(options.preload))
    more = {}
    if options.ignore_unhandled_errors:
        more[VARIABLE.encode()] = b"1"
    if discovery.own():  # workers, and programs that they start, look there, too
        more[b"NBACTORS_DIR"] = os.fsencode(discovery.own())
    if more:
        environment = msgspec.structs.replace(environment, environ={**environment.environ, **more})
    return messages.OpenSession(
        rid,
        options.namespace_or_default(),
        environment,
        amount(options.num_cpus),
        amount(options.num_gpus),
        amount(options.memory),
        amount(options.object_store_memory),
        dict(options.resources),
        options.shows_output(),
        options.graceful_shutdown_s,
        _json(options.logging_config.to_dict()) if options.logging_config is not None else "",
        options.detaches_actors,
        dict(options.labels),
        bool(discovery.own()),
    )


def _json(value: object) -> str:
    import json  # noqa: PLC0415 - few sessions need it, none to begin

    return json.dumps(value)
