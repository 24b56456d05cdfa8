"""Descriptions of actors, methods, functions and references: a line of text, and static HTML for notebooks.

A description contains the facts that this process knows. Its functions contact no other process, never wait and never
raise an error, also after the end of the session. Any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nbactors import byte_sizes
from nbactors.views.summaries import ActorFacts, ObjectFacts, StreamFacts

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta, MethodMeta
    from nbactors.definitions.signature import Signature

_SHOWN_METHODS = 6


class Description(NamedTuple):
    """The description of one object.

    Attributes:
        text: The line of text.
        title, state, rows, more: Arguments of `nbactors.views.html.card`, which makes the HTML.
    """

    text: str
    title: str
    state: str = ""
    rows: Sequence[tuple[str, str]] = ()
    more: Sequence[tuple[str, Sequence[str]]] = ()

    def html(self) -> str:
        """Return the description as HTML."""
        from nbactors.views.html import card  # noqa: PLC0415 - only notebooks need it

        return card(self.title, self.state, self.rows, self.more)

    def bundle(self) -> dict[str, str]:
        """Return text and HTML by MIME type, as IPython's `_repr_mimebundle_` has to return them."""
        return {"text/plain": self.text, "text/html": self.html()}


class _ActorLink(Protocol):
    actor_id: bytes

    def facts(self) -> ActorFacts: ...


def actor(link: _ActorLink, meta: ActorMeta) -> Description:
    """Describe a handle's actor."""
    facts = _facts(link, ActorFacts())
    ident = link.actor_id.hex()
    state = facts.state + (f", pid {facts.pid}" if facts.pid and facts.state == "alive" else "")
    cause = facts.cause
    known = ": ".join(part for part in (state, cause) if part)
    pending = f"{facts.calls} under way here" if facts.calls else ""
    unread = f"{facts.unread} failed, not read" if facts.unread else ""
    calls = ", ".join(part for part in (pending, unread) if part)
    tail = ", ".join(part for part in (known, calls) if part)
    rows = [("calls", calls), ("cause" if facts.state == "dead" else "session", cause), ("id", ident)]
    return Description(
        f"Actor({meta.class_name}, {ident})" + (f": {tail}" if tail else ""),
        f"Actor {meta.class_name}",
        state,
        rows,
        _listed(meta),
    )


def actor_line(link: _ActorLink, meta: ActorMeta) -> str:
    """Return the `repr` of a handle: that of Ray, with ", dead" if this process knows of the actor's death."""
    dead = ", dead" if _facts(link, ActorFacts()).state == "dead" else ""
    return f"Actor({meta.class_name}, {link.actor_id.hex()}{dead})"


def actor_class(meta: ActorMeta, constructor: Signature, doc: str, options: Iterable[tuple[str, Any]]) -> Description:
    """Describe an actor class."""
    names = _public(meta)
    shown = ", ".join(names[:_SHOWN_METHODS]) + (", …" if len(names) > _SHOWN_METHODS else "")
    given = ", ".join(f"{name}={value!r:.80}" for name, value in options)
    text = f"ActorClass({meta.class_name}{constructor.display}): " + (shown or "no methods")
    return Description(
        text + (f"; {given}" if given else ""),
        f"Actor class {meta.class_name}",
        "",
        [("create", f"{meta.class_name}.remote{constructor.display}"), ("options", given), ("about", _first_line(doc))],
        _listed(meta),
    )


def method(meta: MethodMeta, actor: ActorMeta) -> Description:
    """Describe a method of a handle."""
    label = f"{actor.class_name}.{meta.name}"
    rows = [
        ("call", f"{meta.name}.remote{meta.signature.display}"),
        ("group", meta.group),
        ("about", _first_line(meta.doc)),
    ]
    kind = "generator" if meta.generates else ""
    return Description(f"ActorMethod({label}{meta.signature.display})", f"Method {label}", kind, rows)


def function(name: str, module: str, signature: Signature, doc: str, options: Iterable[tuple[str, Any]]) -> Description:
    """Describe a remote function."""
    given = ", ".join(f"{key}={value!r:.80}" for key, value in options)
    rows = [("call", f"{name}.remote{signature.display}"), ("options", given), ("about", _first_line(doc))]
    text = f"RemoteFunction({module}.{name}{signature.display})"
    return Description(text + (f": {given}" if given else ""), f"Remote function {name}", "", rows)


def reference(entry: Any, ident: str) -> Description:
    """Describe a reference by the engine's record of its object."""
    facts = _facts(entry, ObjectFacts())
    size = byte_sizes.shown(facts.size) if facts.size else ""
    parts = (facts.state + (f", {size}" if size else ""), facts.call, facts.error)
    tail = ": ".join(part for part in parts if part)
    rows = [("call", facts.call), ("error", facts.error), ("size", size), ("id", ident)]
    return Description(f"ObjectRef({ident})" + (f": {tail}" if tail else ""), "ObjectRef", facts.state, rows)


def generator(stream: Any, completed: Any, ident: str) -> Description:
    """Describe a generator by the engine's records of its stream and of its `completed()` reference."""
    facts = _facts(stream, StreamFacts())
    end = _facts(completed, ObjectFacts())
    unread = f"{facts.unread} to read" if facts.unread else ""
    tail = ": ".join(part for part in (", ".join(part for part in (facts.state, unread) if part), end.call) if part)
    rows = [("call", end.call), ("values", unread), ("error", end.error), ("id", ident)]
    text = f"ObjectRefGenerator({ident})" + (f": {tail}" if tail else "")
    return Description(text, "ObjectRefGenerator", facts.state, rows)


def _facts(record: Any, unknown: Any) -> Any:
    """Return the facts of an engine's record, or `unknown` if the record raises an error, since a view never fails."""
    try:
        return record.facts()
    except Exception:  # noqa: BLE001 - see the docstring
        return unknown


def _public(meta: ActorMeta) -> list[str]:
    return [name for name in meta.methods if not name.startswith("_")]


def _listed(meta: ActorMeta) -> list[tuple[str, list[str]]]:
    names = _public(meta)
    lines = [f"{name}{meta.methods[name].signature.display}" for name in names]
    return [(f"{len(names)} method{'s' if len(names) != 1 else ''}", lines)]


def _first_line(doc: str | None) -> str:
    """Return a docstring's first line."""
    return doc.strip().partition("\n")[0] if isinstance(doc, str) else ""
