"""Ray's calls of other languages: refused, since the workers of nbactors run Python alone."""

from __future__ import annotations

import enum
from typing import NoReturn

__all__ = ["Language", "cpp_function", "java_actor_class", "java_function"]


class Language(enum.Enum):
    """The languages that Ray knows. All functions and actors here are of `Language.PYTHON`."""

    PYTHON = 0
    JAVA = 1
    CPP = 2

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__


def java_function(class_name: str, function_name: str) -> NoReturn:
    """Refuse a function of Java.

    Raises:
        NotImplementedError: Always, with what to do instead.
    """
    _refuse("java_function", f"{class_name}.{function_name}", "Java")


def java_actor_class(class_name: str) -> NoReturn:
    """Refuse an actor class of Java.

    Raises:
        NotImplementedError: Always, with what to do instead.
    """
    _refuse("java_actor_class", class_name, "Java")


def cpp_function(function_name: str) -> NoReturn:
    """Refuse a function of C++.

    Raises:
        NotImplementedError: Always, with what to do instead.
    """
    _refuse("cpp_function", function_name, "C++")


def _refuse(function: str, name: str, language: str) -> NoReturn:
    raise NotImplementedError(
        f"{function}({name!r}): the workers of nbactors run Python and no {language}. Call the {language} code from a "
        "Python function or actor, or use Ray."
    )
