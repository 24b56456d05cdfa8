"""The cell magic `%%on`: a cell inside an actor's process."""

from __future__ import annotations

import re
import sys
from time import monotonic
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

import nbactors
from nbactors import exceptions
from nbactors.actor import ActorHandle
from nbactors.frontend import calling_cell
from nbactors.frontend.shutdown_request import SHUTDOWN_REQUEST
from nbactors.jupyter.cell_output import sink
from nbactors.jupyter.magics import on_actors, on_in_actor, sent_cell
from nbactors.jupyter.magics.cell_code import CellFailed, note_failure
from nbactors.jupyter.magics.magic_line import parsed, unquoted
from nbactors.jupyter.magics.on_actors import NamedActor
from nbactors.jupyter.magics.remote_in_worker import VALUE, SentCell
from nbactors.util import inside, progress

TOLD_S = 0.3
"""Seconds after which a cell that has not ended says whether the actor is busy."""

END_S = 2.0
"""Seconds to wait for the end of a cancelled cell, in order to show its traceback."""

LOOK_S = 0.1
"""Seconds between two looks at that time whether the kernel restarts, for which the wait ends."""

_SHOWN_BUSY = 5
"""The most actors that a message names."""

Failure = tuple[NamedActor, exceptions.RayError]


@magics_class
class OnMagics(Magics):
    """The magic that runs cells inside actors."""

    @magic_arguments()
    @argument("handle", nargs="+", metavar="HANDLE", help="An expression for a handle or a list of them, or a name.")
    @argument("-i", "--input", metavar="a,b", help="Variables of the notebook to copy into the cell, by name.")
    @argument("-o", "--out", metavar="VARIABLE", help="Bind the last expression's value to this.")
    @argument("--now", action="store_true", help="Do not wait for the actor's turn; run in a thread of its own.")
    @no_var_expand
    @cell_magic
    def on(self, line: str, cell: str) -> None:
        """Run this cell inside an actor's process, with `self` bound to the actor's instance.

        The cell waits its turn in the actor's queue like a method call. It sees the globals that the actor's class
        uses, and of the notebook's variables only those that `-i` copies. Names that it assigns stay in the actor's
        process for the next `%%on`; `self` is bound anew each time. The value of the last expression is shown; `-o`
        copies it into a variable as well. In an asyncio actor the cell runs on the actor's loop and may `await`.

        ::

            %%on counter -i step -o before
            before = self.value
            self.value += step
            before

        `%%on [a, b]` or `%%on workers` runs the cell in each actor of a list at the same time: output and values show
        actor by actor when all have ended, and `-o` gets a list, with None for those that have failed.

        `--now` is for looking into an actor that is stuck: the cell runs at once in a thread of its own, beside the
        actor's calls, so it should change nothing. Interrupting the cell cancels it in the actor, too.
        """
        shell = self.shell
        assert shell is not None
        arguments = parsed(self.on, line)
        sent_cell.check_out("%%on", arguments.out)
        names = sent_cell.given("%%on", shell, arguments.input)
        actors, is_list = on_actors.find(shell, unquoted(" ".join(arguments.handle)))
        try:
            code, filename = sent_cell.compiled("%%on", shell, cell)
        except CellFailed:
            return
        if arguments.out is not None and VALUE not in code.co_names:
            raise UsageError(f"%%on: -o {arguments.out} needs a value: end the cell with it, as in a plain cell")
        if arguments.now:
            for actor in actors:
                on_actors.check_answers(actor)
        shows = not cell.rstrip().endswith(";")
        packed = SentCell(code, filename, "\n" + cell, names, arguments.out is not None, shows)
        try:
            if is_list:
                values, failed = _run_on_many(shell, actors, packed, arguments.now)
            else:
                value, shown = _run(shell, actors[0], packed, arguments.now)
        except CellFailed:
            return
        if arguments.out is not None:
            shell.user_ns[arguments.out] = values if is_list else value
        if is_list and failed:
            _fail_many(shell, failed, len(actors))
        elif not is_list and shown:
            _show(shell, shown)


def _submit(handle: ActorHandle[Any], packed: SentCell, now: bool) -> Any:
    """Submit a cell; return a reference to the results of `on_in_actor.run`."""
    on_loop = inside.is_async(handle) and not now
    try:
        return inside.run_inside(handle, on_in_actor.run, packed, on_loop, now=now, name="%%on")
    except (TypeError, ValueError, exceptions.RayError) as error:
        bad = sent_cell.culprit(packed.names)
        if bad:
            raise UsageError(f"%%on: the variable {bad[0]!r} cannot be sent to the actor: {bad[1]}") from None
        raise UsageError(f"%%on: {error}") from None


def _run(shell: InteractiveShell, actor: NamedActor, packed: SentCell, now: bool) -> Any:
    """Run a cell and wait for it; return its value, and how to show that.

    Raises:
        CellFailed: The cell has failed or was interrupted, which was shown.
    """
    ref = _submit(actor.handle, packed, now)
    try:
        if not now:
            _tell_why([actor], [ref])
        return _result(ref)
    except KeyboardInterrupt as error:
        nbactors.engine.current().cancel_interrupted(ref)
        _fail(shell, error, _ends(ref))
        raise CellFailed from None
    except exceptions.RayError as error:
        _fail(shell, error, error)
        raise CellFailed from None


def _result(ref: Any) -> tuple[Any, Any]:
    value, shown = nbactors.get(ref)
    return nbactors.get(value) if value is not None else None, shown


def _tell_why(actors: list[NamedActor], refs: list[Any]) -> bool:
    """Print why cells have not begun, if they take long; return whether they do."""
    _, late = nbactors.wait(refs, num_returns=len(refs), timeout=TOLD_S)
    reasons = [on_actors.why_waiting(actor) for actor, ref in zip(actors, refs, strict=True) if ref in late]
    for reason in list(filter(None, reasons))[:_SHOWN_BUSY]:
        print(f"%%on: {reason}")
    return bool(late)


def _run_on_many(
    shell: InteractiveShell, actors: list[NamedActor], packed: SentCell, now: bool
) -> tuple[list[Any], list[Failure]]:
    """Run a cell in many actors, and show their output and values, actor by actor.

    Returns:
        The values, None for an actor in which the cell has failed; and the failures.

    Raises:
        CellFailed: The cell was interrupted, which was shown.
    """
    failed: list[Failure] = []
    values: list[Any] = []
    refs: list[Any] = []
    try:
        with sink.held_output(calling_cell.current()) as written:
            refs += [_submit(actor.handle, packed, now) for actor in actors]
            if not now and _tell_why(actors, refs):
                for _ in progress(refs, desc="%%on", leave=False):
                    pass
        for actor, ref in zip(actors, refs, strict=True):
            try:
                value, shown = _result(ref)
            except exceptions.RayError as error:
                failed.append((actor, error))
                value, shown = None, None
            values.append(value)
            _show_part(shell, actor, written.pop(actor.handle._link.facts().pid, ""), shown)
    except KeyboardInterrupt as error:
        for ref in refs:
            nbactors.engine.current().cancel_interrupted(ref)
        _fail(shell, error, _ends(refs[0]) if refs else None)
        raise CellFailed from None
    for text in written.values():
        print(text, end="")
    return values, failed


def _show_part(shell: InteractiveShell, actor: NamedActor, text: str, shown: dict[str, Any] | None) -> None:
    """Show the output and the value of one actor."""
    if not text and not shown:
        return
    print(f"── {actor.label}\n{text}", end="")
    if shown:
        sys.stdout.flush()
        shell.display_pub.publish(shown["data"], shown["metadata"])


def _fail_many(shell: InteractiveShell, failed: list[Failure], count: int) -> None:
    """Show the errors of a cell: each kind in a line, and the first one as the cell's."""
    kinds: dict[str, list[str]] = {}
    for actor, error in failed:
        cause = error.cause if isinstance(error, exceptions.RayTaskError) else error
        kinds.setdefault(f"{type(cause).__name__}: {cause}".partition("\n")[0], []).append(actor.label)
    print(f"%%on: failed in {len(failed)} of {count} actors", file=sys.stderr)
    for kind, labels in kinds.items():
        print(f"  {kind} ({len(labels)}: {', '.join(labels[:_SHOWN_BUSY])})", file=sys.stderr)
    _fail(shell, failed[0][1], failed[0][1])


def _ends(ref: Any) -> BaseException | None:
    """Return the error by which an interrupted cell ends, None if it does not end soon."""
    ends_at = monotonic() + SHUTDOWN_REQUEST.grace_s + END_S
    try:
        while not SHUTDOWN_REQUEST.is_seen and not nbactors.wait([ref], timeout=LOOK_S)[0] and monotonic() < ends_at:
            pass
        nbactors.get(ref, timeout=0)
    except exceptions.GetTimeoutError:
        return None
    except (exceptions.RayError, KeyboardInterrupt) as error:
        return error
    return None


def _fail(shell: InteractiveShell, error: BaseException, remote: BaseException | None) -> None:
    """Show an error as if the cell had raised it in this process."""
    shown: BaseException = error
    if isinstance(error, exceptions.RayTaskError):
        shown = error.cause
        lines = error.traceback_str.rstrip().split("\n")
        hint = _hint(shell, shown)
        lines += [hint] if hint else []
    elif remote is not None and isinstance(error, KeyboardInterrupt):
        text = remote.traceback_str if isinstance(remote, exceptions.RayTaskError) else str(remote)
        lines = [line for line in text.split("\n") if line.startswith((" ", "Traceback"))]
        lines.append("KeyboardInterrupt")
    elif isinstance(error, KeyboardInterrupt):
        lines = [f"KeyboardInterrupt: the cell was cancelled, but has not ended in the actor within {END_S:g} s"]
    else:
        lines = [f"{type(error).__name__}: {error}"]
    shell._showtraceback(type(shown), shown, lines)
    note_failure(shell, shown, before_execution=False)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__


def _hint(shell: InteractiveShell, error: BaseException) -> str:
    """Return a hint on `-i` if the notebook has a variable whose name is not defined in the actor's process."""
    found = re.match(r"name '(\w+)' is not defined", str(error)) if isinstance(error, NameError) else None
    name = found[1] if found else ""
    if name in shell.user_ns:
        return f"The notebook has a variable {name}: -i {name} copies it into the cell."
    return ""


def _show(shell: InteractiveShell, bundle: dict[str, Any]) -> None:
    """Show a value as the cell's result."""
    hook = shell.displayhook
    hook.start_displayhook()
    hook.write_output_prompt()
    hook.write_format_data(bundle["data"], bundle["metadata"])
    hook.finish_displayhook()
