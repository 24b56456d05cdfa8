"""Errors: Ray's hierarchy, and what survives the way to another process."""

from __future__ import annotations

import gc
import logging
import pickle
import sys
import threading
import traceback
import weakref

import cloudpickle
import pytest

from nbactors import exceptions
from nbactors.exceptions import ActorDiedError, RayError, RayTaskError, reasons
from nbactors.exceptions import task_error as task_error_module
from nbactors.local.wire import failures


class Plain(Exception):
    pass


class Demanding(Exception):
    """Its `args` do not fit its `__init__`, so that unpickling it fails."""

    def __init__(self, code: int, hint: str) -> None:
        super().__init__(f"{code}: {hint}")
        self.code = code


class Slotted(Exception):
    __slots__ = ("where",)


class Final(Exception):
    def __init_subclass__(cls) -> None:
        raise TypeError("Final is final")


class Vanishing(Exception):
    """Its attribute cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("locked", threading.Lock())
        self.lock = threading.Lock()
        self.kept = 5


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        if cause is None:
            raise error
        raise error from cause
    except BaseException as caught:
        return caught


def task_error(error: BaseException) -> RayTaskError:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return RayTaskError("Counter.boom", text, error, 123)


def travelled(error: RayTaskError) -> RayTaskError:
    data = cloudpickle.dumps(error.portable(cloudpickle.dumps, pickle.loads))
    result = pickle.loads(data)
    assert isinstance(result, RayTaskError)
    return result


def gotten(error: BaseException) -> RayTaskError:
    """The exception that `get` raises when a task raised `error`."""
    return travelled(task_error(error)).as_instanceof_cause()


def test_a_raised_error_is_a_task_error_and_of_the_users_type() -> None:
    error = gotten(raised(Plain("bad", 3)))
    assert isinstance(error, RayTaskError)
    assert isinstance(error, Plain)
    assert type(error).__name__ == "RayTaskError(Plain)"
    assert error.args == ("bad", 3)
    assert isinstance(error.cause, Plain)
    assert (error.function_name, error.pid) == ("Counter.boom", 123)


def of_a_new_type() -> tuple[list[RayTaskError], weakref.ref[type]]:
    class Redefined(ValueError):
        pass

    errors = [task_error(raised(Redefined(number))).as_instanceof_cause() for number in (1, 2)]
    return errors, weakref.ref(Redefined)


def test_errors_of_one_type_share_a_class_which_nothing_keeps() -> None:
    errors, kind = of_a_new_type()
    assert type(errors[0]) is type(errors[1])
    assert [error.args for error in errors] == [(1,), (2,)]
    assert isinstance(errors[1], RayTaskError)
    errors.clear()
    gc.collect()
    assert kind() is None


def test_the_text_contains_the_remote_traceback_once() -> None:
    error = gotten(raised(Plain("bad")))
    assert str(error).startswith("ray::Counter.boom() (pid=123)\n")
    assert str(error).count("in raised") == 1
    assert str(error).endswith("Plain: bad")
    assert "Traceback (most" not in str(error)


def test_user_attributes_survive() -> None:
    user = Plain("x")
    user.detail = {"a": 1}  # type: ignore[attr-defined]
    error = gotten(raised(user))
    assert error.detail == {"a": 1}  # type: ignore[attr-defined]
    assert error.cause.detail == {"a": 1}  # type: ignore[attr-defined]


def test_attributes_in_slots_survive() -> None:
    user = Slotted("x")
    user.where = "here"
    # Not through pickle, which leaves slots of exceptions behind.
    assert task_error(raised(user)).as_instanceof_cause().where == "here"  # type: ignore[attr-defined]


def test_attributes_of_c_structures_survive() -> None:
    error = gotten(raised(FileNotFoundError(2, "No such file", "/nowhere")))
    assert isinstance(error, OSError)
    assert (error.errno, error.filename) == (2, "/nowhere")
    decoding = gotten(raised(UnicodeDecodeError("utf-8", b"ab", 0, 1, "broken")))
    assert isinstance(decoding, UnicodeDecodeError)
    assert (decoding.encoding, decoding.start, decoding.reason) == ("utf-8", 0, "broken")
    missing = gotten(raised(KeyError("k")))
    assert isinstance(missing, KeyError)
    assert missing.args == ("k",)


def test_cause_and_context_survive() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise Plain("outer") from inner
    except Plain as outer:
        error = gotten(outer)
    assert isinstance(error.__cause__, KeyError)
    assert isinstance(error.cause.__cause__, KeyError)
    assert error.cause.__context__ is error.cause.__cause__


def test_cyclic_chain_survives() -> None:
    one, two = Plain("one"), Plain("two")
    one.__context__, two.__context__ = two, one
    error = gotten(one)
    context = error.cause.__context__
    assert isinstance(context, Plain)
    assert context.__context__ is error.cause


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have notes since Python 3.11")
def test_notes_survive() -> None:
    user = Plain("x")
    user.add_note("look here")  # type: ignore[attr-defined, unused-ignore]
    error = gotten(raised(user))
    assert error.__notes__ == ["look here"]  # type: ignore[attr-defined]
    again = pickle.loads(cloudpickle.dumps(error))
    assert again.__notes__ == ["look here"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups exist since Python 3.11")
def test_an_exception_group_keeps_its_exceptions() -> None:
    group = ExceptionGroup("several", [ValueError("a"), KeyError("b")])  # type: ignore[name-defined, unused-ignore]  # noqa: F821
    error = gotten(raised(group))
    assert isinstance(error, ExceptionGroup)  # type: ignore[name-defined, unused-ignore]  # noqa: F821
    assert len(error.exceptions) == 2


def test_a_type_whose_init_needs_other_arguments_survives() -> None:
    error = gotten(raised(Demanding(404, "gone")))
    assert isinstance(error, Demanding)
    assert error.code == 404
    assert error.args == ("404: gone",)


def test_an_attribute_that_cannot_be_pickled_is_left_out() -> None:
    error = gotten(raised(Vanishing()))
    assert isinstance(error, Vanishing)
    assert error.kept == 5
    assert not hasattr(error, "lock")
    assert error.args[0] == "locked"
    assert "lock" in error.args[1]
    assert str(error).endswith("\n.lock, .args[1] of this Vanishing could not be pickled, so it is missing here.")
    assert "missing" not in str(gotten(raised(Demanding(404, "gone")))), "it has all that it had"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, type("Own", (BaseException,), {})])
def test_what_is_no_exception_is_no_type_of_the_error(kind: type[BaseException]) -> None:
    error = gotten(raised(kind("far away")))
    assert type(error) is RayTaskError
    assert isinstance(error.cause, kind)
    assert str(error).endswith("far away")


SIMPLE: list[BaseException] = [
    kind("text", 7, None, 0.5, b"", True) for kind in sorted(task_error_module._SIMPLE, key=str)
]


@pytest.mark.parametrize("error", SIMPLE, ids=lambda error: type(error).__name__)
def test_a_simple_exception_is_not_tried(error: BaseException) -> None:
    dumps, loads = cloudpickle.dumps, pickle.loads
    sent = task_error(raised(error)).portable(lambda value: pytest.fail("it was tried"), loads)
    assert type(loads(dumps(error))) is type(error)
    assert loads(dumps(sent)).cause.args == error.args


@pytest.mark.parametrize("place", ["args", "attributes"])
def test_one_that_contains_what_cannot_be_pickled_is_tried(place: str) -> None:
    error = ValueError(threading.Lock() if place == "args" else "text")
    if place == "attributes":
        error.lock = threading.Lock()  # type: ignore[attr-defined]
    assert "could not be pickled" in str(gotten(raised(error)))


def test_an_error_with_an_attribute_left_out_can_be_pickled_again() -> None:
    first = travelled(task_error(raised(Vanishing())))
    second = pickle.loads(cloudpickle.dumps(first))
    assert isinstance(second.as_instanceof_cause(), Vanishing)


def test_an_error_whose_type_cannot_be_subclassed_is_the_cause(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nbactors"):
        error = gotten(raised(Final("x")))
    assert type(error) is RayTaskError
    assert isinstance(error.cause, Final)
    assert "can't be subclassed" in caplog.text


def test_error_of_a_nested_task_keeps_the_users_type() -> None:
    inner = gotten(raised(Plain("deep")))
    outer = gotten(raised(inner))
    assert isinstance(outer, Plain)
    assert type(outer).__name__ == "RayTaskError(Plain)"
    assert "Plain: deep" in str(outer)


def test_an_error_of_the_runtime_in_a_task_keeps_its_type() -> None:
    error = gotten(raised(exceptions.GetTimeoutError("too late")))
    assert isinstance(error, exceptions.GetTimeoutError)
    assert isinstance(error, TimeoutError)


def test_plain_exception_is_the_task_error_itself() -> None:
    plain = travelled(task_error(raised(Exception("x"))))
    assert plain.as_instanceof_cause() is plain


def test_a_raised_error_can_be_pickled() -> None:
    error = gotten(raised(Plain("bad")))
    again = pickle.loads(cloudpickle.dumps(error))
    assert isinstance(again, Plain)
    assert str(again) == str(error)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.TaskCancelledError("ab", "since"),
        exceptions.CallTimeoutError("ab", "queued", 2.5),
        exceptions.RayActorError("ab", "text"),
        ActorDiedError("text", b"\x01" * 16, "killed"),
        ActorDiedError(),
        exceptions.ActorUnavailableError("The actor is restarting", b"\x01"),
        exceptions.RaySystemError("broken", "trace"),
        exceptions.ObjectLostError("ff", b"a", "here", "why"),
        exceptions.OwnerDiedError("ff"),
        exceptions.GetTimeoutError("late"),
        exceptions.RuntimeEnvSetupError("no such file"),
        exceptions.TaskUnschedulableError("no node"),
        exceptions.ActorUnschedulableError("no node"),
        exceptions.WorkerCrashedError("SIGKILL"),
        exceptions.UnserializableException("trace"),
        exceptions.ActorAlreadyExistsError("taken"),
        exceptions.OutOfMemoryError("full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_pickled_error_keeps_its_attributes(error: RayError) -> None:
    error.extra = 1  # type: ignore[attr-defined]
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("runtime_env", exceptions.RuntimeEnvSetupError),
        ("crashed", exceptions.WorkerCrashedError),
        ("runtime", exceptions.TaskUnschedulableError),
        ("internal", exceptions.RaySystemError),
        ("a kind that is not known here", exceptions.RaySystemError),
    ],
)
def test_a_task_without_a_worker_has_an_error_with_the_reason(kind: str, expected: type[RayError]) -> None:
    error = failures.decode(failures.encode(reasons.no_worker(kind, "no worker: the reason")))
    assert type(error) is expected
    assert str(error).endswith("no worker: the reason")


@pytest.mark.parametrize(("was_sent", "happened"), [(True, "was restarted"), (False, "is restarting")])
def test_the_error_of_a_call_to_a_restarting_actor_tells_whether_the_call_may_have_run(
    was_sent: bool, happened: str
) -> None:
    error = failures.decode(
        failures.encode(reasons.actor_restarting(b"\xab\xcd", "it was killed by SIGKILL.", was_sent))
    )
    assert type(error) is exceptions.ActorUnavailableError
    assert error.actor_id == "abcd"
    text = f"The actor is temporarily unavailable: The actor {happened} (it was killed by SIGKILL)."
    assert str(error).startswith(f"The actor abcd is unavailable: {text}")


def test_a_call_timeout_error_names_phase_and_time() -> None:
    queued = exceptions.CallTimeoutError("ab", "queued", 2.5)
    assert (queued.task_id, queued.phase, queued.timeout_s) == ("ab", "queued", 2.5)
    assert str(queued).startswith("Task: ab was cancelled: it was still queued after the 2.5 s of its timeout_s")
    running = exceptions.CallTimeoutError(None, "running", 3)
    assert str(running).startswith("This task was cancelled: it was still running after the 3 s of its timeout_s")


def test_an_actor_died_error_names_actor_and_reason() -> None:
    error = ActorDiedError("gone", b"\xab\xcd", "creation_failed")
    assert error.actor_id == "abcd"
    assert error.actor_init_failed
    assert str(error) == "gone"
    assert ActorDiedError().actor_id is None
    from_task = ActorDiedError.from_task_error(task_error(raised(Plain("mit Ümlaut"))))
    assert from_task.actor_init_failed
    assert "mit Ümlaut" in str(from_task)


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        ("GetTimeoutError", (RayError, TimeoutError)),
        ("CallTimeoutError", (exceptions.TaskCancelledError, RayError, TimeoutError)),
        ("ActorDiedError", (exceptions.RayActorError, RayError)),
        ("ActorUnavailableError", (exceptions.RayActorError,)),
        ("OwnerDiedError", (exceptions.ObjectLostError,)),
        ("ObjectFreedError", (exceptions.ObjectLostError,)),
        ("ReferenceCountingAssertionError", (exceptions.ObjectLostError, AssertionError)),
        ("ActorAlreadyExistsError", (ValueError, RayError)),
        ("ActorHandleNotFoundError", (ValueError, RayError)),
        ("RayChannelTimeoutError", (exceptions.RayChannelError, exceptions.RaySystemError, TimeoutError)),
    ],
)
def test_errors_have_the_bases_of_ray(name: str, bases: tuple[type, ...]) -> None:
    assert all(issubclass(getattr(exceptions, name), base) for base in bases)


def test_every_error_is_listed_documented_and_of_the_public_module() -> None:
    for kind in exceptions.RAY_EXCEPTION_TYPES:
        assert kind.__module__ == "nbactors.exceptions"
        assert kind.__name__ in exceptions.__all__
        assert kind.__doc__
