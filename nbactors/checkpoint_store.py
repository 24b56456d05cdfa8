"""Checkpoints on disk: written whole or not at all, checked before they are unpickled.

A detached actor's lie in ``$XDG_STATE_HOME/nbactors/checkpoints`` (``~/.local/state`` by default; NBACTORS_STATE_DIR
names another place for all of nbactors' state), one directory for each namespace and name, readable by their user only.
They outlive the node and the machine's restart. A file begins with a line of JSON that says what it holds, then comes
the pickled state, with the buffers of arrays behind it.
"""

from __future__ import annotations

import io
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

FORMAT = 1
KEPT = 3
"""Versions of one actor that are kept."""

_MAGIC = b"nbactors checkpoint\n"
_LONGEST_HEADER = 1 << 16


class BadCheckpointError(Exception):
    """A file is no checkpoint, or not a whole one."""


def directory() -> Path:
    """Return where checkpoints lie. Any process, any thread."""
    own = os.environ.get("NBACTORS_STATE_DIR")
    if own:
        return Path(own) / "checkpoints"
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(state) / "nbactors" / "checkpoints"


class CheckpointStore:
    """The checkpoints of one detached actor. Methods: any thread, of one process at a time for one actor.

    Args:
        namespace, name: The actor's.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self._place = directory() / _file_name(namespace) / _file_name(name)

    def paths(self) -> list[Path]:
        """Return the files there are, the latest first."""
        if not self._place.is_dir():
            return []
        found = [path for path in self._place.iterdir() if re.fullmatch(r"\d+\.checkpoint", path.name)]
        return sorted(found, key=version_of, reverse=True)

    def write(self, class_name: str, state: Any) -> Path:
        """Store a state as the next version, and remove versions that are not kept any more.

        Raises:
            OSError: It cannot be written; nothing has changed.
            TypeError, pickle.PicklingError: It cannot be pickled.
        """
        import json  # noqa: PLC0415 - with the first checkpoint, not with each import of the package
        import zlib  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

        buffers: list[pickle.PickleBuffer] = []
        data = _dumps(state, buffers)
        parts = [memoryview(data), *(buffer.raw() for buffer in buffers)]
        _make_private(self._place)
        paths = self.paths()
        version = version_of(paths[0]) + 1 if paths else 1
        checksum = 0
        for part in parts:
            checksum = zlib.crc32(part, checksum)
        header = {
            "format": FORMAT,
            "version": version,
            "time": time(),
            "class": class_name,
            "sizes": [part.nbytes for part in parts],
            "crc32": checksum,
        }
        path = self._place / f"{version}.checkpoint"
        _write_atomically(path, [_MAGIC, json.dumps(header).encode() + b"\n", *parts])
        for old in paths[KEPT - 1 :]:
            old.unlink(missing_ok=True)
        return path


def version_of(path: Path) -> int:
    """Return the number in a file's name."""
    return int(path.stem)


def read_header(path: Path) -> dict[str, Any]:
    """Return what a checkpoint says of itself.

    Raises:
        BadCheckpointError: It is none.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return _header(file, path)


def read(path: Path) -> tuple[dict[str, Any], Any]:
    """Return a checkpoint's header and state. Unpickles, so the file must be the user's own, as those here are.

    Raises:
        BadCheckpointError: It is none, or damaged.
        OSError: It cannot be read.
    """
    import zlib  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

    with path.open("rb") as file:
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


def _header(file: Any, path: Path) -> dict[str, Any]:
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
    from nbactors.cloud import Pickler  # noqa: PLC0415 - loaded with the first actor, not before

    stream = io.BytesIO()
    Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(state)
    return stream.getvalue()


def _write_atomically(path: Path, parts: list[Any]) -> None:
    """Write a file under another name, make sure that it is on the disk, and then give it its name."""
    import tempfile  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    place = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _make_private(place: Path) -> None:
    for path in reversed(list(_up_to_own(place))):
        path.mkdir(mode=0o700, exist_ok=True)


def _up_to_own(place: Path) -> Iterator[Path]:
    """Yield a directory and those above it, up to the first that is there."""
    while not place.is_dir():
        yield place
        place = place.parent


def _file_name(text: str) -> str:
    """Return a name for a directory: any text, and never one that means something else."""
    from urllib.parse import quote  # noqa: PLC0415 - with the first checkpoint, not with each import of the package

    return "=" + quote(text, safe="") if len(text) < _LONGEST_NAME else "#" + _digest(text)


_LONGEST_NAME = 60
"""Quoted it may be four times as long for each character, and file systems allow 255 bytes."""


def _digest(text: str) -> str:
    import hashlib  # noqa: PLC0415 - for long names only

    return hashlib.sha256(text.encode()).hexdigest()
