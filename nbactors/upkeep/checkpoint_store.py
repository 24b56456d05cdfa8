"""Checkpoints on disk: written whole or not at all, checked before they are unpickled.

A detached actor's lie in ``$XDG_STATE_HOME/nbactors/checkpoints`` (``~/.local/state`` by default; NBACTORS_STATE_DIR
names another place for all of nbactors' state), one directory for each namespace and name, readable by their user only.
Only what this user alone can have written there is read (see `state_directory`). They outlive the node and the
machine's restart. A file begins with a line of JSON that says what it holds, then comes the pickled state, with the
buffers of arrays behind it.
"""

from __future__ import annotations

import io
import os
import pickle
import re
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from nbactors.upkeep import state_directory

if TYPE_CHECKING:
    from io import BufferedReader

FORMAT = 1
KEPT = 3
"""Versions of one actor that are kept."""

_MAGIC = b"nbactors checkpoint\n"
_LONGEST_HEADER = 1 << 16


class BadCheckpointError(Exception):
    """A file is no checkpoint, or not a whole one."""


def directory() -> Path:
    """Return where checkpoints lie, as an absolute path. Any process, any thread.

    Raises:
        OSError: Neither the variables nor this user's home say where; the text says what to do.
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
    """The checkpoints of one detached actor. Methods: any thread, of one process at a time for one actor.

    Args:
        namespace, name: The actor's.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self._place = directory() / _file_name(namespace) / _file_name(name)

    def paths(self) -> list[Path]:
        """Return the files there are, the latest first; none if nothing was saved yet.

        Raises:
            PermissionError: Others could have put something there.
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
        """Store a state as the next version, and remove versions that are not kept any more.

        Raises:
            PermissionError: Others could replace it there.
            OSError: It cannot be written; nothing has changed.
            TypeError, pickle.PicklingError: It cannot be pickled.
        """
        import json  # noqa: PLC0415 - with the first checkpoint, not with each import of the package
        import zlib  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

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
    """Return the number in a file's name."""
    return int(path.stem)


def read_header(path: Path) -> dict[str, Any]:
    """Return what a checkpoint says of itself.

    Raises:
        BadCheckpointError: It is none.
        PermissionError: Others could have written it.
        OSError: It cannot be read.
    """
    with _open(path) as file:
        return _header(file, path)


def read(path: Path) -> tuple[dict[str, Any], Any]:
    """Return a checkpoint's header and state. Unpickles, and thus runs what the file says.

    Raises:
        BadCheckpointError: It is none, or damaged.
        PermissionError: Others could have written it. Nothing was unpickled.
        OSError: It cannot be read.
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
    from nbactors.definitions.cloud import Pickler  # noqa: PLC0415 - loaded with the first actor, not before

    stream = io.BytesIO()
    Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(state)
    return stream.getvalue()


def _write_atomically(place: int, name: str, parts: list[Any]) -> None:
    """Write a file under another name, make sure that it is on the disk, and then give it its name."""
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
    """Return a name for a directory: any text, and never one that means something else."""
    from urllib.parse import quote  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

    return "=" + quote(text, safe="") if len(text) < _LONGEST_NAME else "#" + _digest(text)


_LONGEST_NAME = 60
"""Quoted it may be four times as long for each character, and file systems allow 255 bytes."""


def _digest(text: str) -> str:
    import hashlib  # noqa: PLC0415 - for long names only

    return hashlib.sha256(text.encode()).hexdigest()
