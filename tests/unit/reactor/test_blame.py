"""Whether an exception that a callback raised is its own, or an asynchronous one."""

from __future__ import annotations

import pytest

from nbactors.local.reactor.blame import Blame


class Torn:
    """A callback that an asynchronous exception interrupts the first time."""

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error
        self.done = 0

    def __call__(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.done += 1


def run(callback: Torn, is_alone: bool = False) -> None:
    blame = Blame(lambda: is_alone)
    try:
        callback()
    except BaseException as error:
        blame(error, callback, ())


@pytest.mark.parametrize("error", [ValueError("from outside"), KeyboardInterrupt("from outside")])
def test_an_asynchronous_exception_is_raised_and_its_callback_runs_again(error: BaseException) -> None:
    callback = Torn(error)
    with pytest.raises(type(error), match="from outside"):
        run(callback)
    assert callback.done == 1


def test_an_own_exception_is_written_to_stderr_and_not_raised(capfd: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ValueError("my own")

    try:
        broken()
    except ValueError as error:
        Blame(lambda: False)(error, broken, ())
    assert "my own" in capfd.readouterr().err


def test_without_user_code_an_asynchronous_exception_is_written_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    callback = Torn(ValueError("from outside"))
    run(callback, is_alone=True)
    assert callback.done == 1
    assert "from outside" in capfd.readouterr().err
