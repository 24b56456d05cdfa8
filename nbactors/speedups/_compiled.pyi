from collections.abc import Iterator, Mapping
from selectors import SelectorKey
from typing import Any

VERSION: int

# The attributes that both forms of the steps use are those of `Connection` and `PeerConnection`.
class Line:
    def _send_quickly(self) -> bool: ...
    def _send_now_quickly(self, message: object, sent: object, /) -> bool | None: ...
    def _receive_quickly(self) -> bool: ...

def look(epoll: int, keys: Mapping[int, SelectorKey], seconds: float, /) -> list[tuple[SelectorKey, int]]: ...
def spin(
    epoll: int, keys: Mapping[int, SelectorKey], seconds: float, aside: float, /
) -> tuple[list[tuple[SelectorKey, int]], int, bool]: ...

# What calls are made of: the classes that the others find attributes of.
def know(*classes: type) -> None: ...
def submit(
    link: object,
    home: object,
    numbers: Iterator[int],
    method: object,
    data: object,
    origin: int,
    submitted: float,
    hold: object,
    parent: object,
    /,
) -> Any: ...
def go_out(call: object, connection: object, message: object, at_once: bool, /) -> bool: ...
def settle(connection: object, reply: object, /) -> bool: ...
def begin(home: object, number: int, target: object, message: object, arguments: object, /) -> tuple[Any, Any]: ...
