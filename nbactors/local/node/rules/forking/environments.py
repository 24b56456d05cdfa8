"""Environments: what a forkserver has imported, from which folder, with which variables."""

from __future__ import annotations

import itertools

import msgspec

from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.forking.spares import Spares
from nbactors.local.wire import messages

_encode = msgspec.msgpack.Encoder().encode


class Environments:
    """Environments by number. Equal environments have the same number, and thus share a forkserver."""

    def __init__(self, context: Context) -> None:
        self._numbers: dict[bytes, int] = {}
        self._facts: dict[int, messages.Environment] = {}
        self._keys: dict[int, bytes] = {}
        self._users: dict[int, int] = {}
        self.spares = Spares(context)
        self.warnings: dict[int, str] = {}
        """What the forkserver of an environment has said of modules that it has not imported."""
        self._next = itertools.count(1)

    def number(self, facts: messages.Environment) -> int:
        """Return the number of an environment; a new number if the environment is unknown."""
        key = _encode(
            (facts.executable, facts.boot, facts.sys_path, facts.cwd, sorted(facts.environ.items()), facts.preload)
        )
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = next(self._next)
            self._facts[number] = facts
            self._keys[number] = key
        return number

    def use(self, number: int) -> None:
        """Note that a session uses the environment."""
        self._users[number] = self._users.get(number, 0) + 1

    def release(self, number: int) -> None:
        """Note that a session no longer uses the environment."""
        self._users[number] -= 1
        if not self._users[number]:
            del self._users[number]

    def is_used(self, number: int) -> bool:
        """Return whether any session uses the environment."""
        return number in self._users

    def facts(self, number: int) -> messages.Environment:
        """Return the contents of an environment."""
        return self._facts[number]

    def is_known(self, number: int) -> bool:
        """Return whether there is an environment with this number."""
        return number in self._facts

    def forget(self, number: int) -> None:
        """Forget an environment that is no longer needed."""
        del self._facts[number]
        self.warnings.pop(number, None)
        self.spares.forget(number)
        del self._numbers[self._keys.pop(number)]

    def __len__(self) -> int:
        """How many environments are known."""
        return len(self._facts)
