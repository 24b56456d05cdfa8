"""Says why the system could not start an interpreter, and what the user can do."""

from __future__ import annotations

import errno
import os

_REMEDIES = {
    errno.EMFILE: "raise the limit of open files (ulimit -n) and start the node anew (`nbactors stop`)",
    errno.ENFILE: "the whole machine has no open file left: end what has many",
    errno.EAGAIN: "end some processes, or raise the limit of processes (ulimit -u; in a container, its pids limit)",
    errno.ENOMEM: "end what takes much memory, or raise the container's limit",
    errno.E2BIG: "the session's environment variables are too long together: take the longest out of os.environ",
    errno.ENOSPC: "free some space where the runtime directory lies, or set NBACTORS_DIR to another",
    errno.ENOENT: "the runtime directory was removed: end the node with `nbactors stop --force`",
}
_NO_INTERPRETER = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC, errno.EPERM, errno.ELOOP)


def start_failed(what: str, executable: str, error: OSError) -> str:
    """Return why an interpreter cannot be started, and what the user can do.

    Args:
        what: The process that should have been started, with "no" in front.
        executable: The interpreter's path.
        error: The system's error.
    """
    reason = error.strerror or str(error)
    path = None if error.filename is None else os.fsdecode(error.filename)
    if path == executable and error.errno in _NO_INTERPRETER:
        return (
            f"the Python interpreter {executable!r} cannot be started ({reason}): its environment was moved or removed "
            "since this session began. Make it again, or restart the session in another one"
        )
    where = f", {path!r}" if path not in (None, executable) else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{what} can be started ({reason}{where})" + (f": {remedy}" if remedy else "")
