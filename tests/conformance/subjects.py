"""What the tests send to other processes. A module that is cheap to import, since every worker imports it anew."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import IO, Any


class Journal:
    """A file that processes append lines to: what was done, and in which order, also by those that died."""

    def __init__(self, path: str) -> None:
        self.path = path

    def note(self, line: object) -> None:
        # One write of a short line in append mode is atomic.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)

    def lines(self) -> list[str]:
        path = Path(self.path)
        return path.read_text().splitlines() if path.exists() else []


class Gate:
    """A gate between processes: `wait` returns once it is open. Opens by itself when its owner dies."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._held: IO[str] | None = None

    @classmethod
    def closed(cls, path: str) -> Gate:
        """Make a gate, closed by this process."""
        gate = cls(path)
        gate._held = open(path, "w")  # noqa: SIM115 - held until `open`
        fcntl.flock(gate._held, fcntl.LOCK_EX)
        return gate

    def __reduce__(self) -> tuple[Any, ...]:
        return Gate, (self.path,)

    def open(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def wait(self) -> None:
        with open(self.path) as file:
            fcntl.flock(file, fcntl.LOCK_SH)


class Counter:
    """The counter of the reference page."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def increment(self) -> int:
        self.value += 1
        return self.value

    def add(self, addition: int) -> int:
        self.value += addition
        return self.value

    def get_counter(self) -> int:
        return self.value


class Echo:
    """Returns what it is given, and says where it runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.made_with = (args, kwargs)

    def made(self) -> Any:
        return self.made_with

    def echo(self, value: Any = None) -> Any:
        return value

    def all(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    def pid(self) -> int:
        return os.getpid()

    def wait(self, gate: Gate) -> str:
        gate.wait()
        return "passed"

    def fail(self, message: str) -> None:
        raise ValueError(message)


class Keeper:
    """Keeps what it is given until told to drop it."""

    def __init__(self, kept: Any = None) -> None:
        self.kept = kept

    def keep(self, kept: Any) -> None:
        self.kept = kept

    def give(self) -> Any:
        return self.kept

    def drop(self) -> None:
        self.kept = None

    def pid(self) -> int:
        return os.getpid()


class Mortal:
    """Can end in every way, and notes in a journal what runs on the way."""

    def __init__(self, journal: Journal) -> None:
        import atexit

        self.journal = journal
        atexit.register(journal.note, "atexit")

    def pid(self) -> int:
        return os.getpid()

    def note(self, line: str) -> str:
        self.journal.note(line)
        return line

    def wait(self, gate: Gate, line: str = "passed") -> str:
        self.journal.note("waiting")
        gate.wait()
        self.journal.note(line)
        return line

    def exit_process(self, code: int) -> None:
        os._exit(code)

    def signal(self, number: int) -> None:
        import signal

        os.kill(os.getpid(), number)
        signal.pause()

    def sys_exit(self, code: int) -> None:
        raise SystemExit(code)

    def __ray_shutdown__(self) -> None:
        self.journal.note("shutdown")


def echo(value: Any = None) -> Any:
    """Return the value."""
    return value


def get_pid() -> int:
    """Return where it runs."""
    return os.getpid()


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1] not in ("", "Z")
