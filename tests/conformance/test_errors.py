"""Errors: what `get` raises, what it shows, and Ray's hierarchy."""

from __future__ import annotations

import builtins
import pickle
import sys
import traceback
import warnings
from typing import Any

import pytest

from conformance.subjects import Echo, echo


class Custom(Exception):
    """An error with a constructor of its own and attributes."""

    def __init__(self, code: int, hint: str) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.hint = hint

    def __reduce__(self) -> Any:
        return Custom, (self.code, self.hint)


def caught(ray: Any, ref: Any) -> Any:
    """Return the exception that `get` raises."""
    with pytest.raises(Exception, match=r"(?s).") as info:
        ray.get(ref)
    return info.value


class TestHierarchy:
    @pytest.mark.parametrize(
        ("name", "bases"),
        [
            ("RayTaskError", ["RayError"]),
            ("TaskCancelledError", ["RayError"]),
            ("WorkerCrashedError", ["RayError"]),
            ("RayActorError", ["RayError"]),
            ("ActorDiedError", ["RayActorError"]),
            ("ActorUnavailableError", ["RayActorError"]),
            ("ActorAlreadyExistsError", ["RayError", "ValueError"]),
            ("GetTimeoutError", ["RayError", "TimeoutError"]),
            ("ObjectLostError", ["RayError"]),
            ("OwnerDiedError", ["ObjectLostError"]),
            ("ObjectFreedError", ["ObjectLostError"]),
            ("ObjectStoreFullError", ["RayError"]),
            ("RaySystemError", ["RayError"]),
            ("RuntimeEnvSetupError", ["RayError"]),
            ("NodeDiedError", ["RayError"]),
            ("TaskUnschedulableError", ["RayError"]),
            ("ActorUnschedulableError", ["RayError"]),
            ("PendingCallsLimitExceeded", ["RayError"]),
        ],
    )
    def test_the_errors_have_their_names_and_bases(self, ray: Any, name: str, bases: list[str]) -> None:
        error = getattr(ray.exceptions, name)
        for base in bases:
            assert issubclass(error, getattr(ray.exceptions, base, None) or getattr(builtins, base))

    def test_ray_error_is_an_exception(self, ray: Any) -> None:
        assert issubclass(ray.exceptions.RayError, Exception)


class TestUserErrors:
    def test_the_error_is_of_the_users_type_and_a_task_error(self, ray: Any) -> None:
        error = caught(ray, ray.remote(Echo).remote().fail.remote("mine"))
        assert isinstance(error, ValueError)
        assert isinstance(error, ray.exceptions.RayTaskError)
        assert isinstance(error, ray.exceptions.RayError)
        assert "ValueError" in type(error).__name__

    def test_an_error_of_a_task_has_both_types(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            raise ZeroDivisionError("mine")

        error = caught(ray, fail.remote())
        assert isinstance(error, ZeroDivisionError)
        assert isinstance(error, ray.exceptions.RayTaskError)

    def test_the_cause_is_the_users_exception(self, ray: Any) -> None:
        error = caught(ray, ray.remote(Echo).remote().fail.remote("mine"))
        assert type(error.cause) is ValueError
        assert error.cause.args == ("mine",)

    def test_the_text_shows_call_frames_and_message(self, ray: Any) -> None:
        @ray.remote
        class Deep:
            def outer(self) -> None:
                self.inner()

            def inner(self) -> None:
                raise ValueError("at the bottom")

        text = str(caught(ray, Deep.remote().outer.remote()))
        assert "ray::Deep.outer()" in text
        assert "in outer" in text
        assert "in inner" in text
        assert text.rstrip().endswith("ValueError: at the bottom")

    def test_a_call_with_a_name_is_named_by_it(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            raise ValueError("the reason")

        @ray.remote
        class Failing:
            def fail(self) -> None:
                raise ValueError("the reason")

        failing = Failing.remote()
        for call in (fail, failing.fail):
            assert "ray::renamed()" in str(caught(ray, call.options(name="renamed").remote()))

    def test_the_text_shows_no_frame_of_the_runtime(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            raise ValueError("mine")

        frames = [line for line in str(caught(ray, fail.remote())).splitlines() if line.lstrip().startswith("File ")]
        assert len(frames) == 1
        assert "in fail" in frames[0]

    def test_a_printed_traceback_contains_the_message_once(self, ray: Any) -> None:
        error = caught(ray, ray.remote(Echo).remote().fail.remote("a special message"))
        printed = "".join(traceback.format_exception(error))
        assert printed.count("ValueError: a special message") == 1

    def test_an_error_of_a_users_class_keeps_its_attributes(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            raise Custom(7, "look there")

        error = caught(ray, fail.remote())
        assert isinstance(error, Custom)
        assert (error.cause.code, error.cause.hint) == (7, "look there")
        assert (error.code, error.hint) == (7, "look there")

    def test_an_error_class_defined_in_a_function_can_be_caught(self, ray: Any) -> None:
        class Local(Exception):
            pass

        @ray.remote
        def fail() -> None:
            raise Local("mine")

        with pytest.raises(Local, match="mine"):
            ray.get(fail.remote())

    @pytest.mark.parametrize(
        "error",
        [
            KeyError("k"),
            OSError(2, "No such file", "path"),
            StopIteration(3),
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
            AssertionError(),
            SyntaxError("bad", ("file", 1, 2, "text")),
            ImportError("no", name="module"),
            RecursionError("deep"),
            MemoryError(),
            AttributeError("a"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_built_in_errors_keep_their_type_and_arguments(self, ray: Any, error: Exception) -> None:
        @ray.remote
        def fail() -> None:
            raise error

        got = caught(ray, fail.remote())
        assert isinstance(got, type(error))
        assert isinstance(got, ray.exceptions.RayTaskError)
        assert got.cause.args == error.args

    def test_a_message_may_be_any_text(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="Übergröße 漢字"):
            ray.get(ray.remote(Echo).remote().fail.remote("Übergröße 漢字"))

    def test_the_text_shows_the_chain_of_errors(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            try:
                raise KeyError("the origin")
            except KeyError as error:
                raise ValueError("the outcome") from error

        error = caught(ray, fail.remote())
        assert "the origin" in str(error)
        assert "direct cause" in str(error)
        assert isinstance(error, ValueError)

    @pytest.mark.differs("Ray keeps the chain in the text alone")
    def test_the_cause_keeps_the_chain_of_errors(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            try:
                raise KeyError("the origin")
            except KeyError as error:
                raise ValueError("the outcome") from error

        error = caught(ray, fail.remote())
        assert isinstance(error.cause.__cause__, KeyError)

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
    def test_the_text_shows_notes(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            error = ValueError("mine")
            error.add_note("a helpful note")  # type: ignore[attr-defined]
            raise error

        assert "a helpful note" in str(caught(ray, fail.remote()))

    def test_an_error_that_cannot_be_pickled_becomes_a_task_error(self, ray: Any) -> None:
        @ray.remote
        def fail() -> None:
            import threading

            class Stubborn(Exception):
                pass

            error = Stubborn("cannot travel")
            error.lock = threading.Lock()  # type: ignore[attr-defined]
            raise error

        error = caught(ray, fail.remote())
        assert isinstance(error, ray.exceptions.RayTaskError)
        assert "cannot travel" in str(error)

    def test_an_error_that_cannot_be_unpickled_becomes_a_ray_error(self, ray: Any) -> None:
        class Awkward(Exception):
            def __init__(self, first: int, second: int) -> None:
                super().__init__("awkward")

        @ray.remote
        def fail() -> None:
            raise Awkward(1, 2)

        error = caught(ray, fail.remote())
        assert isinstance(error, ray.exceptions.RayError)
        assert "awkward" in str(error)

    def test_an_error_whose_type_cannot_be_subclassed_is_the_cause(self, ray: Any) -> None:
        class Final(Exception):
            def __init_subclass__(cls) -> None:
                raise TypeError("no subclasses")

        @ray.remote
        def fail() -> None:
            raise Final("mine")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            error = caught(ray, fail.remote())
        assert type(error) is ray.exceptions.RayTaskError
        assert type(error.cause).__name__ == "Final"

    def test_an_error_passes_through_two_processes(self, ray: Any) -> None:
        @ray.remote
        def inner() -> None:
            raise KeyError("far away")

        @ray.remote
        def outer() -> None:
            ray.get(inner.remote())

        error = caught(ray, outer.remote())
        assert isinstance(error, KeyError)
        assert "ray::outer()" in str(error)
        assert "ray::inner()" in str(error)

    def test_an_error_can_be_caught_in_a_worker(self, ray: Any) -> None:
        @ray.remote
        def inner() -> None:
            raise KeyError("far away")

        @ray.remote
        def outer() -> str:
            try:
                ray.get(inner.remote())
            except KeyError:
                return "caught"
            return "missed"

        assert ray.get(outer.remote()) == "caught"

    def test_each_get_raises_the_error(self, ray: Any) -> None:
        ref = ray.remote(Echo).remote().fail.remote("mine")
        for _ in range(3):
            with pytest.raises(ValueError, match="mine"):
                ray.get(ref)

    def test_an_actor_lives_on_after_an_error(self, ray: Any) -> None:
        actor = ray.remote(Echo).remote()
        with pytest.raises(ValueError, match="mine"):
            ray.get(actor.fail.remote("mine"))
        assert ray.get(actor.echo.remote(1)) == 1

    def test_the_cause_can_be_pickled(self, ray: Any) -> None:
        error = caught(ray, ray.remote(Echo).remote().fail.remote("mine"))
        assert "mine" in str(pickle.loads(pickle.dumps(error.cause)))

    def test_an_error_given_as_an_argument_is_a_value(self, ray: Any) -> None:
        @ray.remote
        def look(value: Any) -> str:
            return type(value).__name__

        assert ray.get(look.remote(ray.put(KeyError("k")))) == "KeyError"

    def test_a_result_that_cannot_be_pickled_fails_the_call(self, ray: Any) -> None:
        @ray.remote
        def lock() -> Any:
            import threading

            return threading.Lock()

        with pytest.raises(TypeError, match="lock"):
            ray.get(lock.remote())

    def test_a_keyboard_interrupt_in_a_worker_is_a_ray_error(self, ray: Any) -> None:
        @ray.remote(max_retries=0)
        def interrupted() -> None:
            raise KeyboardInterrupt

        error = caught(ray, interrupted.remote())
        assert isinstance(error, ray.exceptions.RayError)
        assert not isinstance(error, KeyboardInterrupt)


class TestConstructorErrors:
    def test_each_call_fails_with_the_traceback(self, ray: Any) -> None:
        @ray.remote
        class Failing:
            def __init__(self) -> None:
                self.prepare()

            def prepare(self) -> None:
                raise ValueError("constructor ünï")

            def ping(self) -> None: ...

        failing = Failing.remote()
        for ref in [failing.ping.remote(), failing.ping.remote(), failing.__ray_ready__.remote()]:
            with pytest.raises(
                ray.exceptions.ActorDiedError, match=r"(?s)__init__.*prepare.*ValueError: constructor ünï"
            ):
                ray.get(ref)
        with pytest.raises(ray.exceptions.RayActorError, match="constructor ünï"):
            ray.get(failing.ping.remote())

    def test_a_failed_argument_of_the_constructor_fails_the_calls(self, ray: Any) -> None:
        failed = ray.remote(Echo).remote().fail.remote("of the argument")
        actor = ray.remote(Echo).remote(failed)
        with pytest.raises(ray.exceptions.RayError, match="of the argument"):
            ray.get(actor.echo.remote(1))

    def test_a_call_whose_argument_failed_does_not_run(self, ray: Any) -> None:
        actor = ray.remote(Echo).remote()
        with pytest.raises(ValueError, match="of the argument"):
            ray.get(actor.echo.remote(actor.fail.remote("of the argument")))
        assert ray.get(actor.echo.remote(2)) == 2

    def test_an_argument_that_the_worker_cannot_import_fails_the_call(self, ray: Any) -> None:
        class Vanishing:
            def __reduce__(self) -> Any:
                return import_missing, ()

        with pytest.raises(Exception, match="nb_conformance_missing"):
            ray.get(ray.remote(echo).remote(Vanishing()))


def import_missing() -> None:
    from importlib import import_module

    import_module("nb_conformance_missing")
