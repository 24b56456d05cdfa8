"""The cell magic `%%on`: a cell inside an actor's process."""

from __future__ import annotations

import re
import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

import nbactors
from nbactors import exceptions
from nbactors.actor import ActorHandle
from nbactors.jupyter.magics import on_in_actor, sent_cell
from nbactors.jupyter.magics.cell_code import CellFailed, note_failure
from nbactors.jupyter.magics.magic_line import parsed, unquoted
from nbactors.jupyter.magics.remote_in_worker import SentCell
from nbactors.util import inside, state

ANSWER_S = 5.0
"""Seconds to wait for the stack of a process. Without an answer it runs no Python code, and no `--now` either."""

END_S = 2.0
"""Seconds to wait for the end of an interrupted cell, in order to show its traceback."""


@magics_class
class OnMagics(Magics):
    """The magic that runs cells inside actors."""

    @magic_arguments()
    @argument("handle", nargs="+", metavar="HANDLE", help="A variable or an expression that gives a handle, or a name.")
    @argument("-i", "--input", metavar="a,b", help="Variables of the notebook to copy into the cell, by name.")
    @argument("-o", "--out", metavar="VARIABLE", help="Bind the last expression's value to this.")
    @argument("--now", action="store_true", help="Do not wait for the actor's turn; run in a thread of its own.")
    @no_var_expand
    @cell_magic
    def on(self, line: str, cell: str) -> None:
        """Run this cell inside an actor's process, with `self` bound to the actor's instance.

        The cell waits its turn in the actor's queue like a method call. Of the notebook's variables it sees only those
        that `-i` copies. Names that it assigns stay in the actor's process for the next `%%on`; `self` is bound anew
        each time. The value of the last expression is shown; `-o` copies it into a variable as well. In an asyncio
        actor the cell runs on the actor's loop and may `await`.

        ::

            %%on counter -i step -o before
            before = self.value
            self.value += step
            before

        `--now` is for looking into an actor that is stuck: the cell runs at once in a thread of its own, beside the
        actor's calls, so it should change nothing. Interrupting the cell cancels it in the actor, too.
        """
        shell = self.shell
        assert shell is not None
        arguments = parsed(self.on, line)
        sent_cell.check_out("%%on", arguments.out)
        names = sent_cell.given("%%on", shell, arguments.input)
        handle = _handle(shell, unquoted(" ".join(arguments.handle)))
        try:
            code, filename = sent_cell.compiled("%%on", shell, cell)
        except CellFailed:
            return
        if arguments.now:
            _check_answers(handle)
        shows = not cell.rstrip().endswith(";")
        on_loop = inside.is_async(handle) and not arguments.now
        keeps = arguments.out is not None
        packed = SentCell(code, filename, "\n" + cell, names, keeps, shows)
        try:
            value, shown = _run(shell, handle, packed, on_loop, arguments.now)
        except CellFailed:
            return
        if arguments.out is not None:
            shell.user_ns[arguments.out] = value
        if shown:
            _show(shell, shown)


def _handle(shell: InteractiveShell, text: str) -> ActorHandle[Any]:
    """Return the actor that the line means: the value of the expression, else the actor of that name."""
    try:
        value = eval(text, shell.user_global_ns, shell.user_ns)
    except (NameError, SyntaxError):
        value = None
    except Exception as error:  # noqa: BLE001 - an error of the user's expression
        raise UsageError(f"%%on: {text}: {type(error).__name__}: {error}") from None
    else:
        if isinstance(value, ActorHandle):
            return value
    try:
        return nbactors.get_actor(text)
    except (TypeError, ValueError):
        pass
    if value is not None:
        raise UsageError(f"%%on: {text} is {type(value).__name__}, no handle of an actor")
    raise UsageError(f"%%on: there is neither a variable nor an actor {text!r}; %actors lists the actors")


def _check_answers(handle: ActorHandle[Any]) -> None:
    """Check that the actor's process runs Python code at all, before a call is left waiting there."""
    try:
        state.stack(handle, timeout=ANSWER_S)
    except TimeoutError:
        raise UsageError(
            f"%%on: the actor's process has not answered for {ANSWER_S:g} seconds: code in it keeps the GIL, so not "
            "even --now can run; %kill ends it"
        ) from None
    except ValueError:  # the process is starting
        return
    except exceptions.RayError as error:
        raise UsageError(f"%%on: {error}") from None


def _run(shell: InteractiveShell, handle: ActorHandle[Any], packed: SentCell, on_loop: bool, now: bool) -> Any:
    """Run a cell, and wait for it.

    Raises:
        CellFailed: The cell has failed or was interrupted, which was shown.
    """
    try:
        ref = inside.run_inside(handle, on_in_actor.run, packed, on_loop, now=now, name="%%on")
    except (TypeError, ValueError, exceptions.RayError) as error:
        bad = sent_cell.culprit(packed.names)
        if bad:
            raise UsageError(f"%%on: the variable {bad!r} cannot be sent to the actor: {error}") from None
        raise UsageError(f"%%on: {error}") from None
    try:
        value, shown = nbactors.get(ref)
        return nbactors.get(value) if value is not None else None, shown
    except KeyboardInterrupt as error:
        nbactors.cancel(ref, interrupt=True)
        _fail(shell, error, _ends(ref), packed.filename)
        raise CellFailed from None
    except exceptions.RayError as error:
        _fail(shell, error, error, packed.filename)
        raise CellFailed from None


def _ends(ref: Any) -> BaseException | None:
    """Return the error by which an interrupted cell ends, None if it does not end soon."""
    try:
        nbactors.get(ref, timeout=END_S)
    except exceptions.GetTimeoutError:
        return None
    except (exceptions.RayError, KeyboardInterrupt) as error:
        return error
    return None


def _fail(shell: InteractiveShell, error: BaseException, remote: BaseException | None, filename: str) -> None:
    """Show an error as if the cell had raised it in this process."""
    shown: BaseException = error
    if isinstance(error, exceptions.RayTaskError):
        shown = error.cause
        lines = _traceback(error.traceback_str, filename, sent_cell.prompt(shell))
        hint = _hint(shell, shown)
        lines += [hint] if hint else []
    elif remote is not None and isinstance(error, KeyboardInterrupt):
        text = remote.traceback_str if isinstance(remote, exceptions.RayTaskError) else str(remote)
        lines = [
            line for line in _traceback(text, filename, sent_cell.prompt(shell)) if line.startswith((" ", "Traceback"))
        ]
        lines.append("KeyboardInterrupt")
    elif isinstance(error, KeyboardInterrupt):
        lines = [f"KeyboardInterrupt: the cell was cancelled, but has not ended in the actor within {END_S:g} s"]
    else:
        lines = [f"{type(error).__name__}: {error}"]
    shell._showtraceback(type(shown), shown, lines)
    note_failure(shell, shown, before_execution=False)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__


def _traceback(text: str, filename: str, cell: str) -> list[str]:
    """Return the lines of a traceback, in which the prompt stands for the cell's file name."""
    number = cell.removeprefix("In")
    text = re.sub(rf'File "{re.escape(filename)}", line (\d+), in ', rf"Cell In{number}, line \1, in ", text)
    return text.rstrip().split("\n")


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
