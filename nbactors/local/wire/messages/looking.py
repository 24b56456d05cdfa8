"""Messages about changed source files of modules that an idle task worker has imported."""

from nbactors.local.wire.messages.message import Message


class Look(Message, tag=120, frozen=True):
    """Node to a task worker without a lease: check whether a file that it has imported has changed."""


class Looked(Message, tag=121, frozen=True):
    """The worker's answer to `Look`."""

    has_changed: bool
