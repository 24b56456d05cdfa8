"""Ctrl-C in a script: the wait ends, the calls go on, and the session is usable right after."""

from __future__ import annotations

import os
import signal

import pytest

from conformance.drivers import Driver, Drivers

pytestmark = pytest.mark.slow

SCRIPT = """
    import threading

    @ray.remote
    class Sleeper:
        def sleep(self, seconds):
            threading.Event().wait(seconds)
            return "slept"

        def count(self):
            yield 0
            threading.Event().wait(3)
            yield 1

    ray.init()
    sleeper = Sleeper.remote()
    ray.get(sleeper.sleep.remote(0))

    def interrupted(wait):
        "Wait, and tell the test to interrupt it a moment later."
        threading.Timer(0.5, say, ["waits"]).start()
        try:
            wait()
        except KeyboardInterrupt:
            say("interrupted")
"""


def interrupt(driver: Driver) -> None:
    assert driver.line() == "waits"
    os.kill(driver.pid, signal.SIGINT)
    assert driver.line() == "interrupted"


@pytest.mark.parametrize("wait", ["ray.get(ref)", "ray.get([ref])", "ray.wait([ref])"])
def test_a_call_that_was_waited_for_goes_on(drivers: Drivers, wait: str) -> None:
    driver = drivers.start(
        SCRIPT
        + f"""
    ref = sleeper.sleep.remote(3)
    interrupted(lambda: {wait})
    say(ray.get(ref), ray.get(sleeper.sleep.remote(0)))
    ray.shutdown()
    """
    )
    interrupt(driver)
    assert driver.line() == "slept slept"
    driver.finish()


def test_a_generator_goes_on(drivers: Drivers) -> None:
    driver = drivers.start(
        SCRIPT
        + """
    stream = sleeper.count.remote()
    say(ray.get(next(stream)))
    interrupted(lambda: next(stream))
    say(ray.get(next(stream)))
    ray.shutdown()
    """
    )
    assert driver.line() == "0"
    interrupt(driver)
    assert driver.line() == "1"
    driver.finish()


@pytest.mark.differs("Ray has no on_interrupt")
def test_calls_are_cancelled_with_on_interrupt_cancel(drivers: Drivers) -> None:
    driver = drivers.start(
        SCRIPT.replace("ray.init()", "ray.init(on_interrupt='cancel')")
        + """
    ref = sleeper.sleep.remote(60)
    interrupted(lambda: ray.get(ref))
    try:
        ray.get(ref, timeout=20)
    except ray.exceptions.TaskCancelledError:
        say("cancelled")
    ray.shutdown()
    """
    )
    interrupt(driver)
    assert driver.line() == "cancelled"
    driver.finish()


@pytest.mark.differs("what the handler of SIGINT is in between is Ray's own affair")
@pytest.mark.differs_on_cluster("the session has no handler of its own: Python's raises the KeyboardInterrupt")
def test_shutdown_restores_the_signal_handler(drivers: Drivers) -> None:
    stdout, _ = drivers.run("""
        ray.init(num_cpus=1)
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        ray.shutdown()
        say(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """)
    assert "say: True" in stdout


@pytest.mark.differs("Ray's shutdown takes longer than the test would wait")
@pytest.mark.differs_on_cluster("shutdown does not wait for the actors, so there is nothing to interrupt")
def test_an_interrupt_at_the_end_leaves_nothing(drivers: Drivers) -> None:
    driver = drivers.start("""
        @ray.remote
        class Slow:
            def __ray_shutdown__(self):
                print("ends", flush=True)
                threading.Event().wait(2)

        import threading
        ray.init(num_cpus=1)
        slow = Slow.remote()
        ray.get(slow.__ray_ready__.remote())
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            ray.shutdown()
        except KeyboardInterrupt:
            say("interrupted", ray.is_initialized())
        ray.init(num_cpus=1)
        say(ray.get(ray.put(1)))
        ray.shutdown()
    """)
    assert driver.line() == "interrupted False"
    assert driver.line() == "1"
    driver.finish()
