"""Tasks: remote functions on reused workers."""

from __future__ import annotations

import os
from collections import Counter as Counted
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.drivers import Drivers
from conformance.subjects import Counter, Gate, Journal, echo, get_pid, is_running

LIMIT_S = 30
"""Seconds for a call that may need a fresh worker, which takes seconds in Ray."""


class TestCalls:
    def test_a_function_runs_in_another_process(self, ray: Any) -> None:
        assert ray.get(ray.remote(get_pid).remote()) != os.getpid()

    def test_arguments_are_passed_as_in_python(self, ray: Any) -> None:
        @ray.remote
        def call(a: int, /, b: int, c: int = 3, *args: int, d: int = 4, **kwargs: int) -> Any:
            return a, b, c, args, d, kwargs

        assert ray.get(call.remote(1, 2)) == (1, 2, 3, (), 4, {})
        assert ray.get(call.remote(1, b=2, d=5, e=6)) == (1, 2, 3, (), 5, {"e": 6})

    def test_arguments_may_have_any_name(self, ray: Any) -> None:
        @ray.remote
        def call(self: int, args: int, kwargs: int, task_id: int, name: int, options: int) -> Any:
            return self, args, kwargs, task_id, name, options

        assert ray.get(call.remote(self=1, args=2, kwargs=3, task_id=4, name=5, options=6)) == (1, 2, 3, 4, 5, 6)

    def test_a_lambda_can_be_remote(self, ray: Any) -> None:
        assert ray.get(ray.remote(lambda x: 2 * x).remote(4)) == 8

    def test_a_closure_can_be_remote(self, ray: Any) -> None:
        offset = 10

        @ray.remote
        def add(x: int) -> int:
            return x + offset

        assert ray.get(add.remote(1)) == 11

    def test_a_remote_function_can_call_itself(self, ray: Any) -> None:
        @ray.remote
        def fib(n: int) -> int:
            return n if n < 2 else sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))

        assert ray.get(fib.remote(4)) == 3

    def test_workers_are_reused(self, ray: Any) -> None:
        pid = ray.remote(get_pid)
        pids = {ray.get(pid.remote()) for _ in range(8)}
        assert len(pids) <= 4

    def test_many_tasks_return_their_results(self, ray: Any) -> None:
        task = ray.remote(echo)
        assert ray.get([task.remote(i) for i in range(200)]) == list(range(200))

    def test_the_plain_function_is_unchanged(self, ray: Any) -> None:
        ray.remote(echo)
        assert echo(3) == 3

    @pytest.mark.differs("Ray's remote functions show the docstring of their class")
    def test_a_remote_function_keeps_the_docstring(self, ray: Any) -> None:
        assert ray.remote(echo).__doc__ == "Return the value."

    def test_a_remote_function_can_be_an_argument(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote
        def call(function: Any) -> int:
            return int(ray.get(function.remote(3)))

        assert ray.get(call.remote(task)) == 3

    def test_the_process_title_shows_the_running_task(self, ray: Any) -> None:
        @ray.remote
        def title() -> str:
            import subprocess

            return subprocess.check_output(["ps", "-o", "args=", "-p", str(os.getpid())], text=True).strip()

        assert ray.get(title.remote()) == "ray::title"
        assert ray.get(title.options(name="renamed").remote()) == "ray::renamed"


class TestDependencies:
    def test_tasks_can_form_a_chain(self, ray: Any) -> None:
        @ray.remote
        def increment(x: int) -> int:
            return x + 1

        ref = increment.remote(0)
        for _ in range(9):
            ref = increment.remote(ref)
        assert ray.get(ref) == 10

    def test_a_task_waits_for_its_arguments(self, ray: Any, gate: Gate) -> None:
        @ray.remote
        def wait(gate: Gate) -> str:
            gate.wait()
            return "passed"

        dependent = ray.remote(echo).remote(wait.remote(gate))
        assert ray.wait([dependent], timeout=0.1) == ([], [dependent])
        gate.open()
        assert ray.get(dependent) == "passed"

    def test_a_failed_argument_fails_the_task_with_the_same_error(self, ray: Any, journal: Journal) -> None:
        @ray.remote
        def fail() -> None:
            raise KeyError("origin")

        @ray.remote
        def dependent(value: Any, journal: Journal) -> None:
            journal.note("ran")

        with pytest.raises(KeyError, match="origin"):
            ray.get(dependent.remote(fail.remote(), journal))
        assert journal.lines() == []

    def test_nested_tasks_do_not_deadlock(self, ray: Any) -> None:
        @ray.remote
        def leaf() -> int:
            return 1

        @ray.remote
        def branch(depth: int) -> int:
            below = [branch.remote(depth - 1) if depth else leaf.remote() for _ in range(2)]
            return sum(ray.get(below))

        # Each level holds more workers than there are CPUs: the blocked ones lend theirs.
        assert ray.get(branch.remote(2)) == 8

    def test_a_task_that_holds_all_cpus_can_wait_for_another(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote(num_cpus=4)
        def greedy() -> int:
            return int(ray.get(task.options(num_cpus=4).remote(5)))

        assert ray.get(greedy.remote()) == 5

    def test_a_task_that_waits_lends_its_cpu(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote(num_cpus=4)
        def greedy() -> int:
            (ready,), _ = ray.wait([task.options(num_cpus=4).remote(5)])
            return int(ray.get(ready))

        assert ray.get(greedy.remote()) == 5


class TestOptions:
    def test_num_returns_gives_several_references(self, ray: Any) -> None:
        @ray.remote(num_returns=3)
        def three() -> tuple[int, ...]:
            return 1, 2, 3

        assert ray.get(three.remote()) == [1, 2, 3]
        assert ray.get(three.options(num_returns=1).remote()) == (1, 2, 3)

    def test_num_returns_splits_a_list(self, ray: Any) -> None:
        first, second = ray.remote(echo).options(num_returns=2).remote([1, [2]])
        assert ray.get([first, second]) == [1, [2]]

    def test_a_task_with_num_returns_0_returns_none_and_runs(self, ray: Any, journal: Journal, eventually: Any) -> None:
        @ray.remote(num_returns=0)
        def note() -> None:
            journal.note("ran")

        assert note.remote() is None
        eventually(lambda: journal.lines() == ["ran"])

    @pytest.mark.parametrize("value", [(1,), (1, 2, 3)])
    def test_a_result_of_another_length_than_num_returns_raises_an_error(
        self, ray: Any, value: tuple[int, ...]
    ) -> None:
        refs = ray.remote(echo).options(num_returns=2).remote(value)
        for ref in refs:
            with pytest.raises(ValueError, match=f"returned {len(value)} objects, but num_returns=2"):
                ray.get(ref)

    def test_a_result_without_length_raises_an_error_with_num_returns(self, ray: Any) -> None:
        ref, _ = ray.remote(echo).options(num_returns=2).remote(3)
        with pytest.raises(TypeError, match="int"):
            ray.get(ref)

    def test_every_reference_of_a_failed_task_has_the_error(self, ray: Any) -> None:
        @ray.remote(num_returns=2)
        def fail() -> None:
            raise KeyError("both")

        for ref in fail.remote():
            with pytest.raises(KeyError, match="both"):
                ray.get(ref)

    def test_a_crash_is_retried(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=2)
        def crash(journal: Journal) -> int:
            journal.note("try")
            if len(journal.lines()) < 3:
                os._exit(1)
            return len(journal.lines())

        assert ray.get(crash.remote(journal)) == 3

    def test_retries_end_after_max_retries(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=1)
        def crash(journal: Journal) -> None:
            journal.note("try")
            os._exit(1)

        with pytest.raises(ray.exceptions.WorkerCrashedError, match="died"):
            ray.get(crash.remote(journal))
        assert len(journal.lines()) == 2

    def test_an_exception_is_not_retried(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=3)
        def fail(journal: Journal) -> None:
            journal.note("try")
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            ray.get(fail.remote(journal))
        assert len(journal.lines()) == 1

    def test_an_exception_is_retried_with_retry_exceptions(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_retries=2, retry_exceptions=True)
        def fail(journal: Journal) -> int:
            journal.note("try")
            if len(journal.lines()) < 3:
                raise KeyError("mine")
            return len(journal.lines())

        assert ray.get(fail.remote(journal)) == 3

    @pytest.mark.parametrize(("listed", "tries"), [(KeyError, 2), (LookupError, 2), (OSError, 1)])
    def test_only_listed_exceptions_are_retried(
        self, ray: Any, journal: Journal, listed: type[Exception], tries: int
    ) -> None:
        @ray.remote(max_retries=1, retry_exceptions=[listed])
        def fail(journal: Journal) -> None:
            journal.note("try")
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            ray.get(fail.remote(journal))
        assert len(journal.lines()) == tries

    def test_a_runtime_env_sets_environment_variables(self, ray: Any) -> None:
        @ray.remote
        def read(variable: str) -> str | None:
            return os.environ.get(variable)

        with_variable = read.options(runtime_env={"env_vars": {"NB_CONFORMANCE": "set"}})
        assert ray.get(with_variable.remote("NB_CONFORMANCE")) == "set"
        assert ray.get(read.remote("NB_CONFORMANCE")) is None

    def test_child_tasks_inherit_environment_variables(self, ray: Any) -> None:
        @ray.remote
        def read() -> str | None:
            return os.environ.get("NB_CONFORMANCE")

        @ray.remote(runtime_env={"env_vars": {"NB_CONFORMANCE": "set"}})
        def ask() -> Any:
            return ray.get(read.remote())

        assert ray.get(ask.remote()) == "set"

    def test_an_actors_runtime_env_sets_environment_variables(self, ray: Any) -> None:
        @ray.remote(runtime_env={"env_vars": {"NB_CONFORMANCE": "set"}})
        class Reader:
            def read(self, variable: str) -> str | None:
                return os.environ.get(variable)

        assert ray.get(Reader.remote().read.remote("NB_CONFORMANCE")) == "set"

    @pytest.mark.differs("Ray takes local directories for a whole session alone")
    def test_a_runtime_env_sets_the_working_directory(self, ray: Any, tmp_path: Path) -> None:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "data.txt").write_text("found")

        @ray.remote(runtime_env={"working_dir": str(tmp_path / "work")})
        def read() -> str:
            return Path("data.txt").read_text()

        assert ray.get(read.remote()) == "found"

    @pytest.mark.differs("Ray takes local directories for a whole session alone")
    def test_modules_of_a_working_directory_can_be_imported(self, ray: Any, tmp_path: Path) -> None:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "nb_conformance_here.py").write_text("VALUE = 3")

        @ray.remote(runtime_env={"working_dir": str(tmp_path / "work")})
        def read() -> int:
            from importlib import import_module

            return int(import_module("nb_conformance_here").VALUE)

        assert ray.get(read.remote()) == 3

    @pytest.mark.differs("Ray takes local directories for a whole session alone")
    def test_modules_of_a_runtime_env_can_be_imported(self, ray: Any, tmp_path: Path) -> None:
        package = tmp_path / "nb_conformance_module"
        package.mkdir()
        (package / "__init__.py").write_text("VALUE = 4")

        @ray.remote(runtime_env={"py_modules": [str(package)]})
        def read() -> int:
            from importlib import import_module

            return int(import_module("nb_conformance_module").VALUE)

        assert ray.get(read.remote()) == 4

    def test_all_scheduling_strategies_run_on_this_machine(self, ray: Any) -> None:
        from importlib import import_module

        strategies = import_module(f"{ray.__name__}.util.scheduling_strategies")
        node = ray.get_runtime_context().get_node_id()
        here = strategies.NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        task = ray.remote(echo)
        for strategy in ("DEFAULT", "SPREAD", here):
            assert ray.get(task.options(scheduling_strategy=strategy).remote(1)) == 1
            actor = ray.remote(Counter).options(scheduling_strategy=strategy).remote()
            assert ray.get(actor.increment.remote()) == 1


class TestMaxCalls:
    """A worker exits after it has run a function so many times."""

    @pytest.fixture
    def pids(self, ray: Any) -> Callable[..., list[int]]:
        """Return the process of each of some calls, one after the other."""

        def pids(count: int, **options: Any) -> list[int]:
            task = ray.remote(**options)(get_pid)
            return [ray.get(task.remote(), timeout=LIMIT_S) for _ in range(count)]

        return pids

    def test_a_worker_exits_after_its_only_call(self, pids: Any, eventually: Any) -> None:
        found = pids(3, max_calls=1)
        assert len(set(found)) == 3
        eventually(lambda: not any(map(is_running, found)), LIMIT_S)

    def test_a_worker_exits_after_some_calls(self, pids: Any, eventually: Any) -> None:
        found = pids(6, max_calls=3)
        assert max(Counted(found).values()) <= 3
        assert len(set(found)) >= 2
        eventually(lambda: sum(map(is_running, set(found))) <= 1, LIMIT_S)

    @pytest.mark.parametrize("options", [{"max_calls": 0}, {}], ids=str)
    def test_without_a_limit_a_worker_stays(self, ray: Any, options: dict[str, Any], eventually: Any) -> None:
        task = ray.remote(**options)(get_pid) if options else ray.remote(get_pid)
        pids = [ray.get(task.remote()) for _ in range(10)]
        assert any(map(is_running, pids))
        assert max(Counted(pids).values()) > 1

    def test_many_calls_return_all_and_no_worker_runs_too_many(self, ray: Any) -> None:
        @ray.remote(max_calls=4)
        def task(number: int) -> tuple[int, int]:
            return number, os.getpid()

        found = ray.get([task.remote(number) for number in range(40)], timeout=LIMIT_S)
        assert [number for number, _ in found] == list(range(40))
        assert max(Counted(pid for _, pid in found).values()) <= 4

    def test_a_call_that_raises_counts(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_calls=2, max_retries=0)
        def task() -> None:
            journal.note(str(os.getpid()))
            raise ValueError("no")

        for _ in range(6):
            with pytest.raises(ValueError, match="no"):
                ray.get(task.remote(), timeout=LIMIT_S)
        assert max(Counted(journal.lines()).values()) <= 2

    def test_a_retry_counts(self, ray: Any, journal: Journal) -> None:
        @ray.remote(max_calls=1, max_retries=2, retry_exceptions=True)
        def task() -> int:
            journal.note(str(os.getpid()))
            if len(journal.lines()) < 3:
                raise ValueError("no")
            return 5

        assert ray.get(task.remote(), timeout=LIMIT_S) == 5
        assert len(set(journal.lines())) == 3

    @pytest.mark.parametrize("size", [10, 2_000_000])
    def test_no_result_is_lost(self, ray: Any, size: int, eventually: Any) -> None:
        @ray.remote(max_calls=1)
        def task() -> tuple[int, bytes]:
            return os.getpid(), b"x" * size

        refs = [task.remote() for _ in range(4)]
        ray.wait(refs, num_returns=4, timeout=LIMIT_S)
        pids = [ray.get(ref, timeout=LIMIT_S)[0] for ref in refs]
        eventually(lambda: not any(map(is_running, pids)), LIMIT_S)
        assert [ray.get(ref, timeout=LIMIT_S)[1] for ref in refs] == [b"x" * size] * 4

    def test_no_yielded_value_is_lost(self, ray: Any) -> None:
        @ray.remote(max_calls=1)
        def task() -> Any:
            for number in range(5):
                yield number, b"x" * 200_000

        for _ in range(2):
            assert [ray.get(ref, timeout=LIMIT_S)[0] for ref in task.remote()] == list(range(5))

    def test_what_a_worker_owns_is_kept_while_it_is_needed(self, ray: Any, eventually: Any) -> None:
        @ray.remote(max_calls=1)
        def task() -> tuple[int, Any]:
            return os.getpid(), ray.put(b"x" * 2_000_000)

        pid, ref = ray.get(task.remote())
        assert len(ray.get(ref, timeout=LIMIT_S)) == 2_000_000
        del ref
        eventually(lambda: not is_running(pid), LIMIT_S)

    def test_a_function_with_gpus_has_a_fresh_worker_for_each_call(self, pids: Any) -> None:
        assert len(set(pids(3, num_gpus=1))) == 3

    def test_other_functions_do_not_count(self, ray: Any) -> None:
        limited = ray.remote(max_calls=2)(get_pid)
        other = ray.remote(echo)
        for _ in range(5):
            assert ray.get(other.remote(1)) == 1
        found = [ray.get(limited.remote(), timeout=LIMIT_S) for _ in range(4)]
        assert max(Counted(found).values()) <= 2

    def test_a_task_may_call_itself(self, ray: Any) -> None:
        @ray.remote(max_calls=1, num_cpus=0.5)
        def factorial(number: int) -> int:
            return number * ray.get(factorial.remote(number - 1)) if number else 1

        assert ray.get(factorial.remote(4), timeout=LIMIT_S) == 24

    def test_options_refuse_it(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="max_calls"):
            ray.remote(get_pid).options(max_calls=1)

    def test_options_keep_it(self, ray: Any) -> None:
        task = ray.remote(max_calls=1)(get_pid).options(num_cpus=0.5)
        assert len({ray.get(task.remote(), timeout=LIMIT_S) for _ in range(3)}) == 3

    def test_actors_refuse_it(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="max_calls"):
            ray.remote(max_calls=1)(Counter)


class TestOrigins:
    """Where classes and functions come from."""

    def test_a_module_beside_the_script_is_found(self, drivers: Drivers, tmp_path: Path) -> None:
        (tmp_path / "nb_conformance_beside.py").write_text("def shout(text):\n    return text.upper()\n")
        stdout, _ = drivers.run("""
            from nb_conformance_beside import shout
            ray.init()
            say(ray.get(ray.remote(shout).remote("found")))
        """)
        assert "say: FOUND" in stdout

    def test_definitions_of_main_are_pickled_by_value(self, drivers: Drivers) -> None:
        stdout, _ = drivers.run("""
            ray.init()
            FACTOR = 3

            class Base:
                def times(self, n):
                    return scale(n)

            def scale(n):
                return FACTOR * n

            @ray.remote
            class Derived(Base):
                def make(self):
                    return Base()

            derived = Derived.remote()
            base = ray.get(derived.make.remote())
            say(ray.get(derived.times.remote(4)), base.times(5), type(base) is Base)
        """)
        assert "say: 12 15 True" in stdout

    def test_workers_have_the_environment_of_their_session(self, lone_drivers: Drivers, tmp_path: Path) -> None:
        for part in ("work", "modules/nb_conformance_module"):
            (tmp_path / part).mkdir(parents=True)
        (tmp_path / "work" / "data.txt").write_text("found")
        (tmp_path / "modules" / "nb_conformance_module" / "__init__.py").write_text("VALUE = 4")
        stdout, _ = lone_drivers.run(f"""
            ray.init(num_cpus=1, runtime_env={{
                "env_vars": {{"NB_CONFORMANCE": "set"}},
                "working_dir": {str(tmp_path / "work")!r},
                "py_modules": [{str(tmp_path / "modules" / "nb_conformance_module")!r}],
            }})

            @ray.remote
            def look():
                import nb_conformance_module
                return os.environ["NB_CONFORMANCE"], open("data.txt").read(), nb_conformance_module.VALUE

            @ray.remote
            class Looker:
                def look(self):
                    return ray.get(look.remote())

            say(ray.get(look.remote()), ray.get(Looker.remote().look.remote()))
        """)
        assert "say: ('set', 'found', 4) ('set', 'found', 4)" in stdout
