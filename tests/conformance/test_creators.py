"""The creator's end is its actors' end: drivers and actors that leave, raise or are killed."""

from __future__ import annotations

import gc
import os
import signal
from typing import Any

import pytest

from conformance.drivers import Drivers
from conformance.subjects import Echo, Gate, Journal, is_running

GRACEFUL = ["shutdown", "atexit"]

SOURCE = """
    ray.init(namespace="conformance")
    journal = Journal({path!r})
    actor = ray.remote(Mortal).remote(journal)
    say(ray.get(actor.pid.remote()))
"""


class TestDrivers:
    def test_the_normal_end_of_a_driver_ends_its_actors(
        self, drivers: Drivers, journal: Journal, eventually: Any
    ) -> None:
        driver = drivers.start(SOURCE.format(path=journal.path))
        pid = int(driver.line())
        driver.finish()
        eventually(lambda: not is_running(pid))

    @pytest.mark.differs("Ray kills the actors of a driver that exits, as often as it lets them end")
    @pytest.mark.differs_on_cluster("as on Ray, the actors of a driver that exits may be killed before they end")
    def test_the_exit_of_a_driver_ends_its_actors_gracefully(
        self, lone_drivers: Drivers, journal: Journal, eventually: Any
    ) -> None:
        lone_drivers.run(SOURCE.format(path=journal.path))
        eventually(lambda: journal.lines() == GRACEFUL)

    def test_shutdown_ends_the_drivers_actors(self, drivers: Drivers, journal: Journal, eventually: Any) -> None:
        driver = drivers.start(SOURCE.format(path=journal.path) + "\n    ray.shutdown(); pause()")
        pid = int(driver.line())
        eventually(lambda: not is_running(pid))
        driver.go_on()
        driver.finish()

    def test_an_error_in_a_driver_ends_its_actors(self, drivers: Drivers, journal: Journal, eventually: Any) -> None:
        driver = drivers.start(SOURCE.format(path=journal.path) + "\n    raise ValueError('mine')")
        pid = int(driver.line())
        with pytest.raises(AssertionError, match="ValueError: mine"):
            driver.finish()
        eventually(lambda: not is_running(pid))

    def test_the_kill_of_a_driver_ends_its_actors(self, drivers: Drivers, journal: Journal, eventually: Any) -> None:
        driver = drivers.start(SOURCE.format(path=journal.path) + "\n    pause()")
        pid = int(driver.line())
        driver.kill()
        eventually(lambda: not is_running(pid))

    def test_the_kill_of_a_driver_ends_its_busy_workers(
        self, drivers: Drivers, journal: Journal, gate: Gate, eventually: Any
    ) -> None:
        driver = drivers.start(
            f"""
            ray.init(namespace="conformance")
            gate, journal = Gate({gate.path!r}), Journal({journal.path!r})
            actor = ray.remote(Mortal).remote(journal)

            @ray.remote
            def task(gate, journal):
                journal.note(os.getpid())
                gate.wait()

            running = [actor.wait.remote(gate), task.remote(gate, journal)]
            say(ray.get(ray.remote(get_pid).options(num_cpus=0).remote()))
            pause()
            """
        )
        driver.line()
        eventually(lambda: len(journal.lines()) == 2)
        pids = [int(line) for line in journal.lines() if line != "waiting"]
        driver.kill()
        eventually(lambda: not any(map(is_running, pids)))


class TestActors:
    def test_children_end_with_the_actor_that_made_them(self, ray: Any, eventually: Any) -> None:
        child_class = ray.remote(Echo)

        @ray.remote
        class Parent:
            def make(self) -> tuple[int, Any]:
                self.child = child_class.remote()
                return os.getpid(), self.child

        parent = Parent.remote()
        pid, child = ray.get(parent.make.remote())
        child_pid = ray.get(child.pid.remote())
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(child_pid))
        with pytest.raises(ray.exceptions.RayActorError, match="owner"):
            ray.get(child.pid.remote())

    def test_a_childs_calls_fail_when_its_creator_is_killed(self, ray: Any, gate: Gate, eventually: Any) -> None:
        child_class = ray.remote(Echo)

        @ray.remote
        class Parent:
            def make(self) -> Any:
                self.child = child_class.remote()
                return self.child

        parent = Parent.remote()
        child = ray.get(parent.make.remote())
        waiting = child.wait.remote(gate)
        assert ray.wait([waiting], timeout=0.1) == ([], [waiting])
        ray.kill(parent)
        with pytest.raises(ray.exceptions.RayActorError, match="owner"):
            ray.get(waiting)

    def test_an_actor_created_by_a_task_lives_as_long_as_its_handle(self, ray: Any, eventually: Any) -> None:
        echo_class = ray.remote(Echo)

        @ray.remote
        def make() -> Any:
            return echo_class.remote()

        actor = ray.get(make.remote())
        pid = ray.get(actor.pid.remote())
        del actor
        gc.collect()
        eventually(lambda: not is_running(pid))
