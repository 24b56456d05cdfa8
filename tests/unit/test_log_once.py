"""`log_once` and its settings."""

from __future__ import annotations

import subprocess
import sys

from nbactors.util.debug.once import PERIOD, LogOnce


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_new_once():
    once = LogOnce()
    assert [once.is_first(key) for key in ("a", "b", "a", "b")] == [True, True, False, False]


def test_a_forgotten_key_is_new_again():
    once = LogOnce()
    assert once.is_first("a")
    assert once.is_first("b")
    once.forget("a")
    assert [once.is_first("a"), once.is_first("b")] == [True, False]
    once.forget()
    assert [once.is_first("a"), once.is_first("b")] == [True, True]


def test_nothing_is_new_while_disabled():
    once = LogOnce()
    once.is_disabled = True
    assert not once.is_first("a")
    once.is_disabled = False
    assert once.is_first("a")


def test_keys_are_new_again_after_the_period():
    clock = Clock()
    once = LogOnce(clock)
    assert once.is_first("a")
    clock.now = PERIOD + 1
    assert not once.is_first("a"), "only if asked for"
    once.is_periodic = True
    assert [once.is_first("a"), once.is_first("a")] == [True, False]
    clock.now += PERIOD
    assert not once.is_first("a")


def test_the_functions_share_the_state_of_the_process():
    program = (
        "import nbactors as ray\n"
        "from nbactors.util import log_once\n"
        "from nbactors.util.debug import reset_log_once\n"
        "seen = [log_once('a'), ray.util.log_once('a')]\n"
        "reset_log_once('a')\n"
        "seen.append(log_once('a'))\n"
        "ray.util.disable_log_once_globally()\n"
        "seen.append(log_once('b'))\n"
        "ray.util.enable_periodic_logging()\n"
        "print(seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[True, False, True, False]"
