"""`ActorPool`: a fixed set of actors that share the calls of a list of values. The names are those of `ray.util`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any, NamedTuple, NoReturn

from nbactors.api import get, wait
from nbactors.exceptions import ActorDiedError

__all__ = ["ActorPool"]

_TIMED_OUT = "Timed out waiting for result"


class ActorPool:
    """Shares calls among actors: each actor has at most one call of the pool at a time.

    ::

        pool = ActorPool([Worker.remote(), Worker.remote()])
        for result in pool.map(lambda actor, value: actor.work.remote(value), range(100)):
            print(result)

    A call that fails, times out or is interrupted does not take its actor out of the pool. An actor that has died
    leaves the pool with the call that has found it dead. One thread at a time. Source: Ray's page
    "ray.util.ActorPool".

    Args:
        actors: Handles of the actors.
    """

    def __init__(self, actors: Iterable[Any]) -> None:
        self._idle = list(actors)
        self._running: dict[int, _Call] = {}  # by number, in the order of submission
        self._waiting: deque[tuple[Callable[[Any, Any], Any], Any]] = deque()
        self._next_number = 0
        self._next_to_return = 0

    def map(self, fn: Callable[[Any, Any], Any], values: Iterable[Any]) -> Iterator[Any]:
        """Call `fn` for each value, and return an iterator over the results in the order of the values.

        The calls start at once, and results of earlier submissions that nobody has read are dropped.

        Args:
            fn: Gets an actor and a value, and returns a reference (or a list of references) of the actor's call.
            values: The values.
        """
        self._drop_all()
        for value in values:
            self.submit(fn, value)
        return self._results(self.get_next)

    def map_unordered(self, fn: Callable[[Any, Any], Any], values: Iterable[Any]) -> Iterator[Any]:
        """Like `map`, with the results in the order in which the calls end."""
        self._drop_all()
        for value in values:
            self.submit(fn, value)
        return self._results(self.get_next_unordered)

    def submit(self, fn: Callable[[Any, Any], Any], value: Any) -> None:
        """Start the call for one value on an idle actor, or when the next actor becomes idle.

        Args:
            fn: See `map`.
            value: The value.

        Raises:
            Exception: What `fn` raises. The actor stays in the pool. If the value has to wait for an actor, the error
                is raised where the value's result is read.
        """
        if not self._idle:
            self._waiting.append((fn, value))
            return
        actor = self._idle.pop()
        try:
            future = fn(actor, value)
        except BaseException:
            self._idle.append(actor)
            raise
        self._add(_Call(actor, future))

    def has_next(self) -> bool:
        """Return whether a result is left to read."""
        return bool(self._running)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """Wait for the next result in the order of submission, and return it. Blocks the thread.

        Args:
            timeout: Seconds to wait at most. None waits without limit.
            ignore_if_timedout: Whether a call that is not ready in time is given up: it runs on, nobody gets its
                result, and its actor takes the pool's next call behind it.

        Raises:
            StopIteration: No result is left.
            TimeoutError: The result is not ready in time.
            ValueError: A later result has been read by `get_next_unordered` before.
            Exception: The error of the call.
        """
        if not self.has_next():
            raise StopIteration("No more results to get")
        if self._next_to_return >= self._next_number:
            raise ValueError("It is not allowed to call get_next() after get_next_unordered().")
        number = self._next_to_return
        if timeout is not None and not self._running[number].is_ready(timeout):
            self._time_out(number, ignore_if_timedout)
        return self._result(number)

    def get_next_unordered(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """Wait for any result, and return it. Blocks the thread.

        Args:
            timeout: Seconds to wait at most. None waits without limit.
            ignore_if_timedout: Whether, if no call is ready in time, the one that was submitted first is given up. See
                `get_next`.

        Raises:
            StopIteration: No result is left.
            TimeoutError: No result is ready in time.
            Exception: The error of the call.
        """
        if not self.has_next():
            raise StopIteration("No more results to get")
        number = self._first_ready(timeout)
        if number is None:
            self._time_out(next(iter(self._running)), ignore_if_timedout)
        return self._result(number)

    def has_free(self) -> bool:
        """Return whether an actor is idle and no value waits for one."""
        return bool(self._idle) and not self._waiting

    def pop_idle(self) -> Any:
        """Take an idle actor out of the pool and return it. Return None if none is free (`has_free`)."""
        return self._idle.pop() if self.has_free() else None

    def push(self, actor: Any) -> None:
        """Add an actor. It takes the value that waits longest, if one does.

        Raises:
            ValueError: The actor is in the pool already.
        """
        if actor in self._idle or any(actor == call.actor for call in self._running.values()):
            raise ValueError("Actor already belongs to current ActorPool")
        self._idle.append(actor)
        self._start_waiting()

    def _add(self, call: _Call) -> None:
        self._running[self._next_number] = call
        self._next_number += 1

    def _results(self, get_one: Callable[[], Any]) -> Iterator[Any]:
        while self.has_next():
            yield get_one()

    def _result(self, number: int) -> Any:
        """Return the value of a call. An interrupt of the wait leaves the call where it is: it can be read again."""
        call = self._running[number]
        try:
            value = call.value()
        except Exception as error:
            self._end(number, is_alive=not isinstance(error, ActorDiedError))
            raise
        self._end(number)
        return value

    def _first_ready(self, timeout: float | None) -> int | None:
        """Return the number of a call that is ready; None if none is after `timeout` seconds."""
        numbers = self._numbers_by_reference()
        if numbers:
            ready, _ = wait(list(numbers), num_returns=1, timeout=timeout)
            return numbers[ready[0]] if ready else None
        ends = None if timeout is None else monotonic() + timeout
        while True:
            # One look for all calls: a reference that becomes ready after it is among those that are waited for.
            refs = list(dict.fromkeys(ref for call in self._running.values() for ref in call.refs))
            unready = wait(refs, num_returns=len(refs), timeout=0)[1] if refs else []
            missing = set(unready)
            for number, call in self._running.items():
                if missing.isdisjoint(call.refs):
                    return number
            left = None if ends is None else max(ends - monotonic(), 0.0)
            if left == 0.0:
                return None
            # A list of references is ready with its last one. So with each reference that becomes ready, look again.
            wait(unready, num_returns=1, timeout=left)

    def _numbers_by_reference(self) -> dict[Any, int]:
        """Return the numbers of the calls by their references, in order; empty if a call has not just one reference."""
        numbers: dict[Any, int] = {}
        for number, call in self._running.items():
            if call.error is not None or isinstance(call.future, list):
                return {}
            numbers.setdefault(call.future, number)
        return numbers

    def _time_out(self, number: int, ignore: bool) -> NoReturn:
        if not ignore:
            raise TimeoutError(_TIMED_OUT)
        future = self._running[number].future
        self._end(number)
        raise TimeoutError(f"{_TIMED_OUT}. The task {future} has been ignored.")

    def _drop_all(self) -> None:
        """Forget all calls. Those that still run keep their actors busy, and later calls queue behind them."""
        while self._running:
            self._end(next(iter(self._running)))

    def _end(self, number: int, is_alive: bool = True) -> None:
        call = self._running.pop(number)
        self._next_to_return = max(self._next_to_return, number + 1)
        if is_alive and call.error is None:  # a call with an error of `fn` has never had the actor
            self._idle.append(call.actor)
        self._start_waiting()

    def _start_waiting(self) -> None:
        """Start the call of the value that waits longest, if an actor is idle."""
        while self._waiting and self._idle:
            fn, value = self._waiting.popleft()
            actor = self._idle[-1]
            try:
                future = fn(actor, value)
            except Exception as error:  # noqa: BLE001 - the reader of this value's result gets it
                self._add(_Call(None, None, error))
                continue
            self._idle.pop()
            self._add(_Call(actor, future))


class _Call(NamedTuple):
    """A submitted call.

    Attributes:
        actor: The handle; None if the call has not started.
        future: What the user's function has returned: a reference, or a list of them.
        error: The error of the user's function.
    """

    actor: Any
    future: Any
    error: Exception | None = None

    @property
    def refs(self) -> list[Any]:
        if self.error is not None:
            return []
        return list(self.future) if isinstance(self.future, list) else [self.future]

    def is_ready(self, timeout: float) -> bool:
        """Return whether all references are ready within `timeout` seconds."""
        refs = list(dict.fromkeys(self.refs))
        return not refs or not wait(refs, num_returns=len(refs), timeout=timeout)[1]

    def value(self) -> Any:
        """Wait for the value and return it, or raise the call's error."""
        if self.error is not None:
            raise self.error
        return get(self.future)
