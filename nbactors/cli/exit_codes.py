"""The exit codes of all commands, in one place: `nbactors --help` and docs/cli.md show this table."""

from __future__ import annotations

DONE = 0
FAILED = 1
WRONG_USAGE = 2
NO_NODE = 3
INTERRUPTED = 130

MEANINGS = {
    DONE: "Done. An actor or a call that had ended already is no failure.",
    FAILED: "Failed, wholly or in part: stderr says what, why, and what to do. Also: the reader closed the pipe.",
    WRONG_USAGE: "The command line is wrong, or a question cannot be asked: nothing was done.",
    NO_NODE: "No node runs. With --json, stdout is null.",
    INTERRUPTED: "Ctrl-C has ended the command.",
}
