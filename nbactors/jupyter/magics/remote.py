"""The cell magic `%%remote`: a cell as a task in the background."""

from __future__ import annotations

import dis
import uuid
from collections.abc import Iterator
from types import CodeType
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

import nbactors
from nbactors.frontend import calling_cell
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.magics import remote_in_worker, sent_cell
from nbactors.jupyter.magics.background import WAIT_S, BackgroundCell
from nbactors.jupyter.magics.cell_code import CellFailed, cell_number
from nbactors.jupyter.magics.magic_line import parsed

_READS = frozenset({"LOAD_NAME", "LOAD_GLOBAL"})
_WRITES = frozenset({"STORE_NAME", "DELETE_NAME"})
_ITS_OWN = frozenset({"In", "Out", "get_ipython", "exit", "quit", "open"})
"""Names that IPython puts into the user's namespace. Their objects belong to the notebook's process."""


@magics_class
class RemoteMagics(Magics):
    """The magic that runs cells as tasks."""

    @magic_arguments()
    @argument("-o", "--out", metavar="VARIABLE", help="Bind a reference to the last expression's value to this.")
    @argument(
        "-i", "--input", metavar="a,b", help="Variables to take along beside those that the cell's code mentions."
    )
    @argument("--name", help="Its name in its line and in front of its output; In[…] by default.")
    @argument("--num-cpus", type=float, metavar="N", help="CPUs that it holds while it runs; 1 by default.")
    @argument(
        "--wait",
        type=float,
        default=WAIT_S,
        metavar="S",
        help="In a batch (nbclient, papermill, nbconvert), the seconds for which the end of this cell waits for the "
        "task, because the notebook would not get what comes later; 60 by default.",
    )
    @argument("--num-gpus", type=float, metavar="N", help="GPUs that it holds while it runs; may be a fraction.")
    @cell_magic
    def remote(self, line: str, cell: str) -> None:
        """Run this cell as a task, in the background, and go on at once.

        A line under the cell shows its state, with a button that cancels it. The output, the value of the last
        expression and the exception of the cell show there as well, also while other cells run.

        The cell sees the notebook's variables as they are when it is submitted: each variable that its code mentions is
        pickled then, and so are the variables of functions that it calls. Names that it assigns are lost at its end.
        `-o` binds a variable to an `ObjectRef` of the result at once, for `get`, `wait` or `await`, or as an argument
        of other calls.

        ::

            %%remote -o model
            fit(data)

        and in any later cell `nbactors.get(model)`. Running the cell again cancels nothing by itself.
        """
        shell = self.shell
        assert shell is not None
        arguments = parsed(self.remote, line)
        sent_cell.check_out("%%remote", arguments.out)
        extra = sent_cell.given("%%remote", shell, arguments.input)
        try:
            code, filename = sent_cell.compiled("%%remote", shell, cell)
        except CellFailed:
            return
        name = arguments.name or f"In[{cell_number(shell)}]"
        token = f"{remote_in_worker.TOKEN_PREFIX}{uuid.uuid4().hex}"
        shows = not cell.rstrip().endswith(";")
        names = _captured(shell, code, extra)
        packed = remote_in_worker.SentCell(code, filename, "\n" + cell, names, arguments.out is not None, shows)
        value, shown = _submit(packed, token, name, arguments)
        number = calling_cell.current() if cells.is_known(calling_cell.current()) else 0
        BackgroundCell(name=name, token=token, cell=number, value=value, shown=shown, wait=arguments.wait)
        if arguments.out is not None:
            shell.user_ns[arguments.out] = value


def _submit(packed: remote_in_worker.SentCell, token: str, name: str, arguments: Any) -> list[Any]:
    """Submit the task; return references to the cell's value and to the MIME bundle of that."""
    # No retry when its worker dies: the cell may have done half of its work.
    options: dict[str, Any] = {"name": name, "num_returns": 2, "max_retries": 0}
    options |= {key: getattr(arguments, key) for key in ("num_cpus", "num_gpus") if getattr(arguments, key) is not None}
    try:
        task: Any = nbactors.remote(remote_in_worker.run)
        refs: list[Any] = task.options(**options).remote(packed, token)
    except (TypeError, ValueError) as error:
        bad = sent_cell.culprit(packed.names)
        if bad:
            raise UsageError(f"%%remote: the variable {bad[0]!r} cannot be sent to a worker: {bad[1]}") from None
        raise UsageError(f"%%remote: {error}") from None
    return refs


def _captured(shell: InteractiveShell, code: CodeType, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook's variables that a cell reads. They are pickled by value."""
    space = shell.user_ns
    reads = {name for name in _names(code, _READS) if name in space and name not in _ITS_OWN}
    own = set(_names(code, _WRITES, nested=False))
    # The cell may assign such a name before it reads it. Then it does not need the notebook's variable.
    doubtful = {name for name in reads & own if sent_cell.error_of(space[name]) is not None}
    return {name: space[name] for name in sorted(reads - doubtful)} | extra


def _names(code: CodeType, operations: frozenset[str], nested: bool = True) -> Iterator[str]:
    """Yield the global names that code reads or writes, with `nested` also in its functions and classes."""
    for step in dis.get_instructions(code):
        if step.opname in operations:
            yield step.argval
    if nested:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from _names(constant, operations)
