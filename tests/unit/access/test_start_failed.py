"""Why a forkserver cannot be started, and the remedy that the text names."""

from __future__ import annotations

import errno
import os

import pytest

from nbactors.exceptions.hints import start_failed

PYTHON = "/venv/bin/python"


def failure(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path) if path else OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (failure(errno.EMFILE), "Too many open files): raise the limit of open files (ulimit -n)"),
        (failure(errno.EMFILE, "/run/logs/f.log"), "Too many open files, '/run/logs/f.log'): raise the limit"),
        (failure(errno.EAGAIN, PYTHON), "(Resource temporarily unavailable): end some processes"),
        (failure(errno.ENOMEM, PYTHON), "(Cannot allocate memory): end what takes much memory"),
        (failure(errno.E2BIG, PYTHON), "environment variables are too long"),
        (failure(errno.ENOENT, "/run/logs/f.log"), "the runtime directory was removed"),
        (failure(errno.EIO), "no process that forks workers can be started (Input/output error)"),
    ],
)
def test_other_failures_do_not_blame_the_interpreter(error: OSError, said: str) -> None:
    text = start_failed("no process that forks workers", PYTHON, error)
    assert said in text
    assert "interpreter" not in text


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENOEXEC])
def test_a_missing_interpreter_is_named_with_the_remedy(number: int) -> None:
    text = start_failed("no process that forks workers", PYTHON, failure(number, PYTHON))
    assert f"the Python interpreter '{PYTHON}' cannot be started ({os.strerror(number)})" in text
    assert "Make it again" in text
