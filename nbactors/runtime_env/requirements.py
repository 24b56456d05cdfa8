"""`Requirements`: the checked entry "pip" or "uv" of a runtime_env."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_KEYS = {
    "pip": ("packages", "pip_check", "pip_version", "pip_install_options"),
    "uv": ("packages", "uv_check", "uv_version", "uv_pip_install_options"),
}

_FILE = re.compile(r"(-r|--requirement|-c|--constraint)[ =]?\s*(\S.*)")


class Requirements(NamedTuple):
    """Packages to install.

    Attributes:
        tool: "pip" or "uv".
        lines: The lines of a requirements file.
        check: Whether to check afterwards that the packages fit together.
        version: The version of the tool as a specifier such as "==24.0"; empty for the present one.
        options: Options of the tool's command `install`.
        directory: The directory that relative paths begin at.
        files: What identifies the local files and directories in the lines: paths, sizes and times of change.
    """

    tool: str
    lines: tuple[str, ...]
    check: bool = False
    version: str = ""
    options: tuple[str, ...] = ()
    directory: str = ""
    files: tuple[tuple[str, int, int], ...] = ()


def of(given: Mapping[str, Any]) -> Requirements | None:
    """Check "pip" and "uv" of a runtime_env; return None if they name no packages. Reads requirements files.

    Raises:
        TypeError, ValueError: A value has a wrong type or is not allowed, or a file does not exist.
    """
    if given.get("pip") is not None and given.get("uv") is not None:
        raise ValueError(
            "The 'pip' field and 'uv' field of runtime_env cannot be specified at the same time. Give all packages to "
            "one of them"
        )
    tool = "pip" if given.get("pip") is not None else "uv"
    entry = given[tool]
    options: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {"packages": entry}
    for key in options:
        if key not in _KEYS[tool]:
            raise ValueError(f"runtime_env[{tool!r}][{key!r}] is not served. Valid keys are {list(_KEYS[tool])}")
    if "packages" not in options:
        raise ValueError(f"runtime_env[{tool!r}] must include the field 'packages', but got: {entry!r:.200}")
    _, check_key, version_key, options_key = _KEYS[tool]
    check, version = options.get(check_key, False), options.get(version_key)
    if not isinstance(check, bool):
        raise TypeError(f"runtime_env[{tool!r}][{check_key!r}] must be of type bool, got {type(check)}")
    if version is not None and not isinstance(version, str):
        raise TypeError(f"runtime_env[{tool!r}][{version_key!r}] must be of type str, got {type(version)}")
    lines, directory = _lines(options["packages"], tool)
    if not lines:
        return None
    return Requirements(
        tool,
        lines,
        check,
        version or "",
        _texts(options.get(options_key) or [], f"runtime_env[{tool!r}][{options_key!r}]"),
        directory,
        tuple(_files(lines, directory)),
    )


def of_wheels(paths: tuple[str, ...]) -> Requirements:
    """Return the requirements for wheels of "py_modules"."""
    return Requirements("pip", paths, directory="/", files=tuple(_files(paths, "/")))


def _lines(given: Any, tool: str) -> tuple[tuple[str, ...], str]:
    """Return the lines of a requirements file, and the directory of relative paths."""
    if isinstance(given, str | os.PathLike):
        path = os.path.abspath(os.path.expanduser(os.fsdecode(given)))
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise ValueError(
                f"{os.fsdecode(given)} is not a valid file: runtime_env[{tool!r}] as a text is the path of a "
                f'requirements file ({error.strerror}). For one package give a list: ["{os.fsdecode(given)}"]'
            ) from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not a requirements file in UTF-8: {error}") from None
        directory = os.path.dirname(path)
        return _with_whole_paths(_without_comments(text.splitlines()), directory), directory
    try:
        directory = os.getcwd()
    except OSError:  # it was removed
        directory = "/"
    return _with_whole_paths(_without_comments(_texts(given, f"runtime_env[{tool!r}]")), directory), directory


def _with_whole_paths(lines: tuple[str, ...], directory: str) -> tuple[str, ...]:
    """Return the lines with absolute paths of other requirements files, which pip looks for beside the file itself."""
    found = (_FILE.fullmatch(line) for line in lines)
    return tuple(
        line if match is None or "://" in match[2] else f"{match[1]} {os.path.join(directory, match[2])}"
        for line, match in zip(lines, found, strict=True)
    )


def _without_comments(lines: Any) -> tuple[str, ...]:
    return tuple(line for line in map(str.strip, lines) if line and not line.startswith("#"))


def _texts(given: Any, what: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple):
        raise TypeError(
            f"{what} must be of type List[str], a path or a dict, got {type(given).__name__}: {given!r:.80}"
        )
    for item in given:
        if not isinstance(item, str):
            raise TypeError(f"{what} must be of type List[str], but {item!r:.80} is of type {type(item)}")
        if "\0" in item:
            raise ValueError(f"{what}: {item!r:.80} has a zero byte")
    return tuple(given)


_MADE = re.compile(r"\..*|__pycache__|build|.*\.egg-info")
"""The directories of a source tree that a build writes into it. They do not tell whether it has changed."""


def _files(lines: tuple[str, ...], directory: str) -> Iterator[tuple[str, int, int]]:
    """Yield the path, size and time of change of each file that the lines name."""
    for line in lines:
        for word in _words(line):
            path = os.path.join(directory, os.path.expanduser(word.removeprefix("file://")))
            if os.path.isfile(path):
                yield _mark(path)
            elif os.path.isdir(path):
                for folder, folders, names in os.walk(path):
                    folders[:] = sorted(name for name in folders if not _MADE.fullmatch(name))
                    yield from (_mark(os.path.join(folder, name)) for name in sorted(names))


def _words(line: str) -> Iterator[str]:
    """Yield the words of a line that may be paths."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a quotation mark without its partner, which pip will complain of
        return
    for word in words:
        value = word.partition("=")[2] if word.startswith("--") else word
        place, at, after = value.partition("@")
        if at and after.strip().startswith(("file:", "/", ".")):  # "name@file:///path"
            value = after.strip()
        elif "[" in value and value.endswith("]"):  # "./path[extra]"
            value = place.partition("[")[0]
        if os.sep in value or value.endswith((".whl", ".txt", ".zip", ".gz")):
            yield value


def _mark(path: str) -> tuple[str, int, int]:
    try:
        facts = os.stat(path)
    except OSError:  # a dangling link, or removed meanwhile
        return path, -1, -1
    return path, facts.st_size, facts.st_mtime_ns
