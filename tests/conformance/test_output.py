"""Output: what workers print appears in their session, line by line, with a prefix."""

from __future__ import annotations

import re

import pytest

from conformance.drivers import Driver, Drivers, worker_lines
from conformance.subjects import Gate, Journal

LOST_AT_EXIT = "Ray loses what is printed while the driver ends"


def start_talker(drivers: Drivers, body: str, options: str = "") -> Driver:
    """Start a driver with an actor whose method `talk` has this body, and which then waits."""
    source = f"""
ray.init({options})

@ray.remote
class Talker:
    def talk(self):
        {body}

talkers = [Talker.remote() for _ in range(3)]
ray.get([talker.talk.remote() for talker in talkers[:1]])
pause()
"""
    return drivers.start(source)


class TestPrefix:
    def test_the_prefix_names_class_and_process(self, drivers: Drivers) -> None:
        driver = drivers.start("""
            ray.init()

            @ray.remote
            class Talker:
                def talk(self):
                    print(os.getpid())

            ray.get(Talker.remote().talk.remote())
            pause()
        """)
        (pid,) = driver.printed(r"Talker", 1)
        assert int(pid) > 0

    def test_each_line_has_a_prefix(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "print('first\\nsecond'); print('third')")
        assert driver.printed("Talker", 3) == ["first", "second", "third"]

    def test_the_prefix_names_the_task(self, drivers: Drivers) -> None:
        driver = drivers.start("""
            ray.init()

            @ray.remote
            def talk():
                print("from a task")

            ray.get(talk.remote())
            pause()
        """)
        assert driver.printed("talk", 1) == ["from a task"]

    @pytest.mark.parametrize("words", ["def", "async def"])
    def test_the_prefix_is_the_text_of_an_actor_that_has_one(self, drivers: Drivers, words: str) -> None:
        driver = drivers.start(f"""
            ray.init()

            @ray.remote
            class Talker:
                def __init__(self, name):
                    self.name = name
                def __repr__(self):
                    return f"Talker named {{self.name}}"
                {words} talk(self):
                    print("from", self.name)

            ray.get(Talker.remote("ann").talk.remote())
            pause()
        """)
        assert driver.printed("Talker named ann", 1) == ["from ann"]

    @pytest.mark.differs("Ray shows all lines, and no actor whose __repr__ raises starts there")
    @pytest.mark.parametrize(("text", "prefix"), [("'one\\ntwo'", "one"), ("1 / 0", "Talker")])
    def test_the_prefix_is_one_line_and_the_class_if_there_is_no_text(
        self, drivers: Drivers, text: str, prefix: str
    ) -> None:
        driver = drivers.start(f"""
            ray.init()

            @ray.remote
            class Talker:
                def __repr__(self):
                    return {text}
                def talk(self):
                    print("it talks")

            ray.get(Talker.remote().talk.remote())
            pause()
        """)
        assert driver.printed(prefix, 1) == ["it talks"]

    def test_the_output_of_a_constructor_is_shown(self, drivers: Drivers) -> None:
        driver = drivers.start("""
            ray.init()

            @ray.remote
            class Talker:
                def __init__(self):
                    print("in the constructor")

            talker = Talker.remote()
            pause()
        """)
        assert driver.printed("Talker", 1) == ["in the constructor"]

    def test_stderr_is_shown_on_stderr(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "print('to stderr', file=sys.stderr)")
        assert driver.printed("Talker", 1, "stderr") == ["to stderr"]

    def test_output_that_bypasses_python_is_shown(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "os.write(1, b'from below\\n')")
        assert driver.printed("Talker", 1) == ["from below"]

    def test_the_output_of_a_workers_child_is_shown(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "os.system('echo from a child')")
        assert driver.printed("Talker", 1) == ["from a child"]

    def test_text_that_is_not_ascii_is_shown(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "print('Übergröße 漢字')")
        assert driver.printed("Talker", 1) == ["Übergröße 漢字"]

    def test_bytes_that_are_not_text_do_not_stop_the_output(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "os.write(1, b'odd \\xff bytes\\n'); print('next')")
        odd, following = driver.printed("Talker", 2)
        assert odd.startswith("odd ")
        assert following == "next"


class TestCompleteness:
    def test_many_lines_are_shown_in_order(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "for i in range(500): print('line', i)")
        assert driver.printed("Talker", 500) == [f"line {i}" for i in range(500)]

    def test_repeated_lines_are_all_shown(self, drivers: Drivers) -> None:
        driver = drivers.start("""
            ray.init()

            @ray.remote
            class Talker:
                def talk(self):
                    print("the same")

            talkers = [Talker.remote() for _ in range(3)]
            ray.get([talker.talk.remote() for talker in talkers for _ in range(4)])
            pause()
        """)
        assert driver.printed("Talker", 12) == ["the same"] * 12

    def test_a_long_line_is_shown_as_one(self, drivers: Drivers) -> None:
        driver = start_talker(drivers, "print('x' * 20_000)")
        assert driver.printed("Talker", 1) == ["x" * 20_000]

    def test_the_last_output_of_a_leaving_actor_is_shown(self, drivers: Drivers) -> None:
        driver = drivers.start("""
            ray.init()

            @ray.remote
            class Talker:
                def leave(self):
                    print("last words")
                    ray.actor.exit_actor()

            talker = Talker.remote()
            talker.leave.remote()
            pause()
        """)
        assert driver.printed("Talker", 1) == ["last words"]

    @pytest.mark.parametrize(
        "end", [pytest.param("kill(talker)"), pytest.param("shutdown()", marks=pytest.mark.differs(LOST_AT_EXIT))]
    )
    def test_what_a_running_call_has_written_is_shown_though_it_is_ended(
        self, drivers: Drivers, gate: Gate, journal: Journal, end: str
    ) -> None:
        driver = drivers.start(f"""
            ray.init()

            @ray.remote
            class Talker:
                def talk(self, journal, gate):
                    print("last words")
                    os.write(1, b"from below\\n")
                    print("unfinished", end="", flush=True)
                    journal.note("written")
                    gate.wait()

            journal = Journal({journal.path!r})
            talker = Talker.remote()
            talk = talker.talk.remote(journal, Gate({gate.path!r}))
            while not journal.lines():
                pass
            ray.{end}
        """)
        assert driver.printed("Talker", 3) == ["last words", "from below", "unfinished"]

    def test_the_last_output_of_an_actor_that_kills_itself_is_shown(self, drivers: Drivers) -> None:
        driver = drivers.start("""
            ray.init()

            @ray.remote
            class Talker:
                def end(self):
                    print("last words", flush=True)
                    ray.kill(ray.get_runtime_context().current_actor)

            talker = Talker.remote()
            talker.end.remote()
            pause()
        """)
        assert driver.printed("Talker", 1) == ["last words"]

    @pytest.mark.differs_on_cluster("what a worker writes in the last 50 ms before a crash may be lost")
    def test_the_last_output_of_a_crashing_actor_is_shown(self, drivers: Drivers) -> None:
        driver = drivers.start("""
            ray.init()

            @ray.remote
            class Talker:
                def crash(self):
                    print("last words", flush=True)
                    os._exit(1)

            talker = Talker.remote()
            talker.crash.remote()
            pause()
        """)
        assert driver.printed("Talker", 1) == ["last words"]

    @pytest.mark.differs(LOST_AT_EXIT)
    @pytest.mark.differs_on_cluster("Ray ends the actors after the driver has left, so what they print then is lost")
    def test_nothing_is_lost_at_exit(self, drivers: Drivers) -> None:
        stdout, _ = drivers.run("""
            ray.init()

            @ray.remote
            class Talker:
                def talk(self):
                    for i in range(2000):
                        print("line", i)

                def __ray_shutdown__(self):
                    print("shut down")

            talker = Talker.remote()
            ray.get(talker.talk.remote())
        """)
        assert worker_lines(stdout, "Talker") == [*(f"line {i}" for i in range(2000)), "shut down"]

    @pytest.mark.differs(LOST_AT_EXIT)
    def test_nothing_is_lost_at_shutdown(self, drivers: Drivers) -> None:
        stdout, stderr = drivers.run("""
            ray.init()

            @ray.remote
            class Talker:
                def talk(self):
                    print("to stdout")
                    print("to stderr", file=sys.stderr)

            talker = Talker.remote()
            ray.get(talker.talk.remote())
            ray.shutdown()
        """)
        assert worker_lines(stdout, "Talker") == ["to stdout"]
        assert worker_lines(stderr, "Talker") == ["to stderr"]

    @pytest.mark.differs("Ray shows a line when its newline has come")
    def test_a_line_without_its_end_is_shown_when_the_worker_ends(self, drivers: Drivers) -> None:
        stdout, _ = drivers.run("""
            ray.init()

            @ray.remote
            class Talker:
                def talk(self):
                    print("unfinished", end="", flush=True)

            ray.get(Talker.remote().talk.remote())
            ray.shutdown()
        """)
        assert worker_lines(stdout, "Talker") == ["unfinished"]


class TestChoice:
    def test_log_to_driver_false_hides_the_output(self, drivers: Drivers) -> None:
        stdout, stderr = drivers.run("""
            ray.init(log_to_driver=False)

            @ray.remote
            class Talker:
                def talk(self):
                    print("not to be seen")

            ray.get(Talker.remote().talk.remote())
            ray.shutdown()
        """)
        assert "not to be seen" not in stdout + stderr

    def test_a_session_shows_the_output_of_its_own_workers_only(self, drivers: Drivers) -> None:
        listener = drivers.start("""
            ray.init(namespace="listening")
            say("listening")
            pause()
            ray.shutdown()
        """)
        listener.line()
        talking = start_talker(drivers, "print('for one alone')", 'namespace="talking"')
        assert talking.printed("Talker", 1) == ["for one alone"]
        listener.go_on()
        stdout, stderr = listener.finish()
        assert "for one alone" not in stdout + stderr

    def test_a_session_prints_nothing_to_stdout_by_itself(self, drivers: Drivers) -> None:
        stdout, _ = drivers.run("""
            ray.init()
            ray.get(ray.remote(Counter).remote().increment.remote())
            ray.shutdown()
        """)
        assert not re.search(r"\S", stdout)
