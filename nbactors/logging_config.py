"""`LoggingConfig`: how the driver and all workers of a session write log records. Ray's class of this name."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TextIO

from nbactors import engine

__all__ = ["LoggingConfig"]

_STANDARD = frozenset(
    {
        *(
            "args",
            "asctime",
            "created",
            "exc_info",
            "exc_text",
            "filename",
            "funcName",
            "levelname",
            "levelno",
            "lineno",
        ),
        *("message", "module", "msecs", "msg", "name", "pathname", "process", "processName", "relativeCreated"),
        *("stack_info", "taskName", "thread", "threadName"),
    }
)
"""The attributes that Python gives a record. All others are the user's, or the session's."""

_PLAIN = "%(asctime)s\t%(levelname)s %(filename)s:%(lineno)s -- %(message)s"


@dataclass
class LoggingConfig:
    """How the driver, tasks and actors of a session write log records to stderr: `init(logging_config=…)`.

    Each record tells the session, worker, actor and call that it comes from, with what `extra` has. Workers' records
    come to the driver as all output does, which has no prefix then. The handler stays on the root logger after the
    session. Any thread.
    Example: `init(logging_config=LoggingConfig(encoding="JSON"))`. Source: Ray's page "ray.LoggingConfig".

    Args:
        encoding: "TEXT" for a line of text with `key=value` at its end, or "JSON" for an object in each line.
        log_level: The level of the root logger, and of the logger "nbactors".
        additional_log_standard_attrs: More attributes of Python's log records, such as "name" or "threadName".

    Raises:
        ValueError: There is no such encoding, or no such attribute. `init` raises it for an unknown level.
    """

    encoding: str = "TEXT"
    log_level: str = "INFO"
    additional_log_standard_attrs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.encoding not in _FORMATTERS:
            raise ValueError(
                f"Invalid encoding type: {self.encoding!r:.80}. Valid encoding types are: {list(_FORMATTERS)}"
            )
        for name in self.additional_log_standard_attrs:
            if name not in _STANDARD:
                raise ValueError(
                    f"Unknown python logging standard attribute: {name!r:.80}. The valid attributes are: "
                    f"{sorted(_STANDARD)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments as a dict. Any thread."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> LoggingConfig:
        """Return the configuration of a dict, whose unknown keys have no effect. Any thread."""
        known = {one.name for one in fields(cls)}
        return cls(**{key: value for key, value in d.items() if key in known})

    def _apply(self) -> None:
        """Configure the logging of this process. Any thread.

        Raises:
            TypeError, ValueError: There is no such level.
        """
        handler = _Handler(self)
        handler.setLevel(self.log_level)
        root = logging.getLogger()
        for former in [one for one in root.handlers if isinstance(one, _Handler)]:
            root.removeHandler(former)
        root.setLevel(self.log_level)
        root.addHandler(handler)
        logging.getLogger("nbactors").setLevel(self.log_level)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to what is `sys.stderr` just then: a notebook and a worker replace it."""

    def __init__(self, config: LoggingConfig) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(_FORMATTERS[config.encoding](config.additional_log_standard_attrs))
        self.addFilter(_add_origin)

    @property
    def stream(self) -> TextIO:  # type: ignore[override] # an attribute there
        return sys.stderr


def _add_origin(record: logging.LogRecord) -> bool:
    """Note in a record which session, worker, actor and call it comes from."""
    running = engine.running()
    if running is None:
        return True
    facts = running.runtime_facts()
    found = {
        "job_id": facts.job_id.hex(),
        "worker_id": facts.worker_id.hex(),
        "node_id": facts.node_id.hex(),
        "actor_id": facts.actor_id.hex(),
        "task_id": facts.task_id.hex(),
        "task_name": facts.task_name,
        "task_func_name": facts.function_name,
        "actor_name": facts.actor_name,
    }
    record.__dict__.update({name: value for name, value in found.items() if value})
    return True


def _is_told(name: str) -> bool:
    """Return whether an attribute of a record is the user's, or of its origin. Ray adds its own in its processes."""
    return name not in _STANDARD and not name.startswith("_ray_")


class _Formatter(logging.Formatter):
    """What both encodings share."""

    def __init__(self, more: list[str]) -> None:
        super().__init__(_PLAIN)
        self._more = more

    def _described(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the further attributes of a record: the standard ones that the user wants, the user's, the origin."""
        found = {name: getattr(record, name, None) for name in self._more}
        found.update((name, value) for name, value in record.__dict__.items() if _is_told(name))
        found["timestamp_ns"] = int(record.created * 1e9)
        return found


class _Text(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        described = " ".join(f"{name}={value}" for name, value in self._described(record).items())
        return f"{super().format(record)} {described}"


class _Json(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        found = {
            "asctime": self.formatTime(record),
            "levelname": record.levelname,
            "message": record.getMessage(),
            "filename": record.filename,
            "lineno": record.lineno,
            "process": record.process,
        }
        if record.exc_info:
            found["exc_text"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps({**found, **self._described(record)}, default=str)


_FORMATTERS: dict[str, type[_Formatter]] = {"TEXT": _Text, "JSON": _Json}
