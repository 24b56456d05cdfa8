"""A session in places that are odd but that Python itself can live with; and what it says where it cannot start."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nbactors
from nbactors.exceptions import RaySystemError
from nbactors.local import sockets
from nbactors.local.wire.messages import PROTOCOL_VERSION
from nbactors.runtime_env.worker_setup import WorkerSetup

PROGRAM = """
import os, sys
sys.path.append(os.path.join(os.path.dirname(sys.argv[-1]), "odd\\udcff"))
import nbactors as ray

@ray.remote
class Seer:
    def see(self):
        print("a line")
        try:
            place = os.getcwdb()
        except FileNotFoundError:
            place = None
        return os.environb.get(b"ODD"), place, os.fsencode(sys.path[-1]), ray.get(ray.remote(lambda: 5).remote())

ray.init(num_cpus=1)
{later}
seer = Seer.remote()
seen = ray.get(seer.see.remote(), timeout=20)
ray.shutdown()
with open(sys.argv[-1], "w") as file:
    file.write(ascii(seen))
"""
STREAMS = """
import sys
class Odd:
    {body}
sys.stdin = sys.stdout = sys.stderr = {what}
"""
ENTER = "import os; os.mkdir('gone'); os.chdir('gone')"
LEAVE = "; os.rmdir('../gone')"

# What runs before the import, and in the session; what the shell does; where the actor is.
WORKS = [
    pytest.param("", "", "<&- >&- 2>&-", ".", id="closed: 0 1 2"),
    *[pytest.param("", "", closed, ".", id=f"closed: {closed}") for closed in ("<&-", ">&-", "2>&-")],
    pytest.param("import os; os.closerange(0, 3)", "", "", ".", id="closed by the program"),
    pytest.param("", "os.closerange(0, 3)", "", ".", id="closed after the start, as a daemon does"),
    pytest.param(ENTER + LEAVE, "", "", "/", id="a directory that was removed"),
    pytest.param(ENTER, "ray.get(ray.remote(lambda: 1).remote())" + LEAVE, "", None, id="one that is removed later"),
    pytest.param("", ENTER + LEAVE, "", ".", id="one that is entered and removed later"),
    pytest.param(STREAMS.format(body="pass", what="None"), "", "", ".", id="streams: None"),
    pytest.param(STREAMS.format(body="pass", what="Odd()"), "", "", ".", id="streams: no methods"),
    pytest.param(STREAMS.format(body="def write(self, text): 1 / 0", what="Odd()"), "", "", ".", id="streams: raising"),
]


def run(tmp_path: Path, before: str = "", later: str = "", shell: str = "", **environ: bytes) -> object:
    """Run the program in a process of its own, and return what its actor has seen."""
    result = tmp_path / "result"
    result.touch()  # else not readable, if the program has an odd umask
    program = before + "\n" + PROGRAM.format(later=later)
    subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$@" {shell}', sys.executable, program, str(result)],
        env={**os.environb, **{name.encode(): value for name, value in environ.items()}},
        cwd=tmp_path,
        timeout=50,
        check=False,  # the interpreter exits with 120 if it cannot flush a stream
    )
    return ast.literal_eval(result.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("before", "later", "shell", "place"), WORKS)
def test_a_session_works_in_an_odd_place(
    tmp_path: Path, before: str, later: str, shell: str, place: str | None
) -> None:
    seen = run(tmp_path, before, later, shell, ODD=b"a\xff")
    assert seen == (b"a\xff", place and bytes((tmp_path / place).resolve()), bytes(tmp_path) + b"/odd\xff", 5)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_paths_that_are_no_utf_8_arrive_byte_for_byte(own_directory: Path, tmp_path: Path, encoding: str) -> None:
    own, odd = bytes(own_directory) + b"/\xfe", bytes(tmp_path) + b"/odd\xff"
    os.makedirs(odd)
    plain = {"LC_ALL": b"C", "PYTHONUTF8": b"0", "PYTHONCOERCECLOCALE": b"0"} if encoding == "ascii" else {}
    seen = run(tmp_path, "import os; os.chdir(b'odd\\xff')", NBACTORS_DIR=own, ODD="ä".encode() + b"\xff", **plain)
    assert seen == ("ä".encode() + b"\xff", odd, odd, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [b" a b\n'\"$", b"trailing//", b"../{}/dots"])
def test_a_session_works_with_an_oddly_named_runtime_directory(
    own_directory: Path, tmp_path: Path, name: bytes
) -> None:
    own = bytes(own_directory) + b"/" + name.replace(b"{}", os.fsencode(own_directory.name))
    assert run(tmp_path, NBACTORS_DIR=own, NBACTORS_LINGER_S=b"0") is not None


# The variable or attribute that is set, to what, the error and what it says.
REFUSED = [
    ("NBACTORS_DIR", "/tmp/" + "x" * 80, OSError, r"\d+ bytes, and unix sockets allow 103: set NBACTORS_DIR"),
    ("NBACTORS_DIR", "/tmp/" + "x" * 300, OSError, "unix sockets allow 103: set NBACTORS_DIR"),
    ("NBACTORS_DIR", "/dev/null", NotADirectoryError, "'/dev/null' is no directory: set NBACTORS_DIR"),
    ("NBACTORS_DIR", "/proc/nbactors", OSError, r"cannot be made \(.*set NBACTORS_DIR"),
    *[
        ("NBACTORS_LINGER_S", text, ValueError, f"NBACTORS_LINGER_S must hold the seconds .* from 0 .* Got: '{text}'")
        for text in ("abc", "nan", "inf", "-1", "1e300")
    ],
    ("sys.executable", None, RaySystemError, r"sys\.executable is None.*: set sys\.executable to the Python"),
    ("sys.executable", "", RaySystemError, r"sys\.executable is ''.*: set sys\.executable to the Python"),
    ("sys.executable", "/no/python", RaySystemError, "'/no/python' cannot be started .*moved or removed"),
    ("LONG", "x" * (1 << 18), RaySystemError, r"no node can be started \(Argument list too long\): .*os\.environ"),
]


@pytest.mark.parametrize(("name", "value", "error", "says"), REFUSED)
def test_init_says_why_it_cannot_start(
    name: str, value: str, error: type[Exception], says: str, own_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "sys.executable":
        monkeypatch.setattr(sys, "executable", value)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=says):
        nbactors.init()
    assert not nbactors.is_initialized()


@pytest.mark.slow
def test_init_says_why_it_cannot_start_although_a_node_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    nbactors.init(num_cpus=1)
    nbactors.shutdown()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", None)
        with pytest.raises(RaySystemError, match=r"sys\.executable is None"):
            nbactors.init()
    with monkeypatch.context() as patched:
        for number in range(90):
            patched.setenv(f"LONG{number}", "x" * 100_000)
        with pytest.raises(OSError, match=r"have 9\d{6} bytes in all.*take the longest out of os\.environ"):
            nbactors.init()


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_a_runtime_directory_is_private_whatever_the_umask(own_directory: Path, tmp_path: Path, umask: int) -> None:
    own_directory.rmdir()
    assert run(tmp_path, f"import os; os.umask({umask})", NBACTORS_DIR=bytes(own_directory), NBACTORS_LINGER_S=b"9")
    modes = {path.relative_to(own_directory).name: path.stat().st_mode & 0o777 for path in own_directory.rglob("*")}
    own = own_directory.stat().st_mode & 0o777
    assert own == modes.pop(str(PROTOCOL_VERSION)) == modes.pop("p") == modes.pop("s") == modes.pop("logs") == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_a_relative_directory_is_refused_in_a_removed_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBACTORS_DIR", "relative")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError, match="relative to the working directory, which was removed"):
        nbactors.init()
    with pytest.raises(ValueError, match="'here' is relative to the working directory, which was removed"):
        WorkerSetup.parse({"working_dir": "here"})


def test_a_variable_outside_the_system_s_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="'A' has a character that the system's encoding lacks"):
        WorkerSetup.parse({"env_vars": {"A": "\ud800"}})


def test_a_place_where_no_socket_can_be_made_is_explained() -> None:
    with pytest.raises(OSError, match=r"no unix socket can be made at '/proc/s' .*: set NBACTORS_DIR"):
        sockets.listen("/proc/s")
