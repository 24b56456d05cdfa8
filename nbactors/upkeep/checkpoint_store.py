"""Checkpoints of detached actors on disk, which outlive the node and a restart of the machine.

A file is written completely or not at all, and is checked before it is unpickled. The files lie in
``$XDG_STATE_HOME/nbactors/checkpoints`` (by default ``~/.local/state/nbactors/checkpoints``), or in ``checkpoints`` in
NBACTORS_STATE_DIR, with one directory for each namespace and name. Only this user may read them, and this module reads
a file only if no other user could have written it (see `state_directory`). A file consists of a magic line, a header in
one line of JSON, the pickled state, and the buffers of its arrays.
"""

from __future__ import annotations

import io
import os
import pickle
import re
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from nbactors.definitions.whole_import import import_whole
from nbactors.upkeep import state_directory

if TYPE_CHECKING:
    from io import BufferedReader

FORMAT = 1
KEPT = 3
"""Number of checkpoints of one actor that are kept."""

_MAGIC = b"nbactors checkpoint\n"
_LONGEST_HEADER = 1 << 16


class BadCheckpointError(Exception):
    """A file is not a checkpoint, or is damaged."""


def directory() -> Path:
    """Return the absolute path of the directory of all checkpoints. Any process, any thread.

    Raises:
        OSError: The environment variables and the user's home name no usable path; the text says what to do.
    """
    own = os.environ.get("NBACTORS_STATE_DIR")
    if own:
        return _absolute(own, "NBACTORS_STATE_DIR") / "checkpoints"
    state = os.environ.get("XDG_STATE_HOME")
    if not state:
        home = os.path.expanduser("~")
        if home == "~":
            raise FileNotFoundError(
                "this user has no home, where state would be kept: set HOME, or NBACTORS_STATE_DIR to a directory"
            )
        state = os.path.join(home, ".local", "state")
    return _absolute(state, "XDG_STATE_HOME") / "nbactors" / "checkpoints"


def _absolute(path: str, variable: str) -> Path:
    try:
        return Path(path).absolute()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{variable} is {path!r}, relative to the working directory, which was removed: set it to an absolute path"
        ) from None


class CheckpointStore:
    """The checkpoints of one detached actor. Any thread, but for one actor only one process at a time.

    Args:
        namespace, name: The actor's namespace and name.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self._place = directory() / _file_name(namespace) / _file_name(name)

    def paths(self) -> list[Path]:
        """Return the paths of the actor's checkpoints, the latest first.

        Raises:
            PermissionError: Other users could have put files into the directory.
            OSError: The directory cannot be read.
        """
        try:
            place = state_directory.open_place(str(self._place))
        except FileNotFoundError:
            return []
        try:
            return self._paths(place)
        finally:
            os.close(place)

    def _paths(self, place: int) -> list[Path]:
        found = [self._place / name for name in os.listdir(place) if re.fullmatch(r"\d+\.checkpoint", name)]
        return sorted(found, key=version_of, reverse=True)

    def write(self, class_name: str, state: Any) -> Path:
        """Write a state as the next version, remove all but the latest `KEPT` versions, and return the file's path.

        Raises:
            PermissionError: Other users could replace the file in its directory.
            OSError: The file cannot be written. The other versions are unchanged.
            TypeError, pickle.PicklingError: The state cannot be pickled.
        """
        import json  # noqa: PLC0415 - with the first checkpoint, not with each import of the package
        import zlib  # noqa: PLC0415 - as above

        buffers: list[pickle.PickleBuffer] = []
        data = _dumps(state, buffers)
        parts = [memoryview(data), *(buffer.raw() for buffer in buffers)]
        checksum = 0
        for part in parts:
            checksum = zlib.crc32(part, checksum)
        place = state_directory.open_place(str(self._place), make=True)
        try:
            paths = self._paths(place)
            version = version_of(paths[0]) + 1 if paths else 1
            header = {
                "format": FORMAT,
                "version": version,
                "time": time(),
                "class": class_name,
                "sizes": [part.nbytes for part in parts],
                "crc32": checksum,
            }
            name = f"{version}.checkpoint"
            _write_atomically(place, name, [_MAGIC, json.dumps(header).encode() + b"\n", *parts])
            for old in paths[KEPT - 1 :]:
                _remove(place, old.name)
            return self._place / name
        finally:
            os.close(place)


def version_of(path: Path) -> int:
    """Return the version of a checkpoint, which is the number in the file's name."""
    return int(path.stem)


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a checkpoint's file.

    Raises:
        BadCheckpointError: The file is not a checkpoint.
        PermissionError: Other users could have written the file.
        OSError: The file cannot be read.
    """
    with _open(path) as file:
        return _header(file, path)


def read(path: Path) -> tuple[dict[str, Any], Any]:
    """Return a checkpoint's header and state. Unpickling the state may run any code that the file contains.

    Raises:
        BadCheckpointError: The file is not a checkpoint, or is damaged.
        PermissionError: Other users could have written the file. Nothing was unpickled.
        OSError: The file cannot be read.
    """
    import zlib  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

    with _open(path) as file:
        header = _header(file, path)
        parts = [bytearray(size) for size in header["sizes"]]
        checksum = 0
        for part in parts:
            if file.readinto(part) != len(part):
                raise BadCheckpointError(f"{path} ends too early")
            checksum = zlib.crc32(part, checksum)
    if checksum != header["crc32"]:
        raise BadCheckpointError(f"{path} is damaged: its checksum is another")
    return header, pickle.loads(parts[0], buffers=parts[1:])


def _open(path: Path) -> BufferedReader:
    place = state_directory.open_place(str(path.parent))
    try:
        return os.fdopen(state_directory.open_file(place, str(path)), "rb")
    finally:
        os.close(place)


def _header(file: BufferedReader, path: Path) -> dict[str, Any]:
    import json  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

    if file.read(len(_MAGIC)) != _MAGIC:
        raise BadCheckpointError(f"{path} is no checkpoint of nbactors")
    try:
        header: dict[str, Any] = json.loads(file.readline(_LONGEST_HEADER))
        known = header["format"] == FORMAT and all(isinstance(size, int) and size >= 0 for size in header["sizes"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadCheckpointError(f"{path} has a damaged header ({error})") from None
    if not known:
        raise BadCheckpointError(f"{path} was written by another version of nbactors (format {header['format']})")
    return header


def _dumps(state: Any, buffers: list[pickle.PickleBuffer]) -> bytes:
    import_whole("nbactors.definitions.cloud")
    from nbactors.definitions.cloud import Pickler  # noqa: PLC0415 - takes half of the package's import time

    stream = io.BytesIO()
    Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(state)
    return stream.getvalue()


def _write_atomically(place: int, name: str, parts: list[Any]) -> None:
    """Write a file under a temporary name, flush it to the disk, and then rename it to `name`."""
    temporary = f".{name}-{os.urandom(8).hex()}.part"
    descriptor = state_directory.create_file(place, temporary)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        _remove(place, temporary)
        raise
    os.fsync(place)


def _remove(place: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=place)
    except FileNotFoundError:
        pass


def _file_name(text: str) -> str:
    """Return the directory's name for a namespace or an actor's name: valid, never ".." and different for each text."""
    from urllib.parse import quote  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

    return "=" + quote(text, safe="") if len(text) < _LONGEST_NAME else "#" + _digest(text)


_LONGEST_NAME = 60
"""A longer text is replaced by its hash, since quoting makes texts longer and file systems allow 255 bytes."""


def _digest(text: str) -> str:
    import hashlib  # noqa: PLC0415 - for long names only

    return hashlib.sha256(text.encode()).hexdigest()
