"""How things show themselves: in one line of text and in static HTML, whatever state they are in."""

from __future__ import annotations

import enum
import inspect
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from recording_engine import RecordingEngine, RecordingLink, make_ref

import nbactors as ray
from nbactors.actor import ActorHandle, actor_meta
from nbactors.definitions.signature import Signature
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.ray_context import RayContext
from nbactors.views import description, html
from nbactors.views.summaries import ActorFacts, ObjectFacts, StoreFacts, StreamFacts


class Counter:
    """Counts.

    And more.
    """

    def __init__(self, start: int = 0) -> None: ...

    def add(self, amount: int, *, times: int = 1) -> int:
        """Add some."""
        return amount * times

    def each(self) -> Any:
        yield 1

    def _hidden(self) -> None: ...


class Known:
    """An engine's record that knows what a test says; an exception is raised."""

    actor_id = b"\1" * 16
    id = b"\2" * 28

    def __init__(self, facts: Any) -> None:
        self._facts = facts

    def facts(self) -> Any:
        if isinstance(self._facts, Exception):
            raise self._facts
        return self._facts


META = actor_meta(Counter)
ID = "01" * 16


def handle(facts: Any) -> Any:
    link: Any = Known(facts)
    return ActorHandle(link, META)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (ActorFacts(), ""),
        (ActorFacts("starting"), ": starting"),
        (ActorFacts("alive", 7), ": alive, pid 7"),
        (ActorFacts("alive", 7, calls=2), ": alive, pid 7, 2 under way here"),
        (ActorFacts("dead", 7, "it was killed"), ": dead: it was killed"),
        (ActorFacts("", 0, "its session has been shut down"), ": its session has been shut down"),
        (OSError("the engine is gone"), ""),
    ],
)
def test_a_handle_shows_the_known_facts_of_its_actor(facts: Any, line: str) -> None:
    bundle = handle(facts)._repr_mimebundle_()
    assert bundle["text/plain"] == f"Actor(Counter, {ID}){line}"
    assert "Actor Counter" in bundle["text/html"]
    assert "add(amount, *, times=1)" in bundle["text/html"]
    assert "_hidden" not in bundle["text/html"]


def test_the_repr_of_a_handle_is_that_of_ray_with_dead_added() -> None:
    assert repr(handle(ActorFacts("alive", 7))) == f"Actor(Counter, {ID})"
    assert repr(handle(ActorFacts("dead", 7, "it was killed"))) == f"Actor(Counter, {ID}, dead)"


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (ObjectFacts("pending", "Counter.add"), ": pending: Counter.add"),
        (ObjectFacts("ready", size=3000), ": ready, 2.9 KiB"),
        (ObjectFacts("failed", "Counter.add", error="ValueError: no"), ": failed: Counter.add: ValueError: no"),
        (RuntimeError("closed"), ""),
    ],
)
def test_a_reference_shows_its_state(facts: Any, line: str) -> None:
    ref: ObjectRef[Any] = ObjectRef(Known(facts))
    bundle = ref._repr_mimebundle_()
    assert bundle["text/plain"] == f"ObjectRef({'02' * 28}){line}"
    assert repr(ref) == f"ObjectRef({'02' * 28})", "as in Ray"
    assert "ObjectRef" in bundle["text/html"]


@pytest.mark.parametrize(
    ("facts", "end", "line"),
    [
        (
            StreamFacts("running", unread=2),
            ObjectFacts("pending", "Counter.each"),
            ": running, 2 to read: Counter.each",
        ),
        (StreamFacts("ended"), ObjectFacts("ready", size=5), ": ended"),
        (OSError(), OSError(), ""),
    ],
)
def test_a_generator_shows_its_unread_values(facts: Any, end: Any, line: str) -> None:
    generator: ObjectRefGenerator[Any] = ObjectRefGenerator(Known(facts), ObjectRef(Known(end)))
    assert generator._repr_mimebundle_()["text/plain"] == f"ObjectRefGenerator({'02' * 28}){line}"


def test_classes_methods_and_functions_show_their_parameters(recorded: RecordingEngine) -> None:
    def double(number: int, again: bool = False) -> int:
        """Twice that."""
        return 2 * number

    cls: Any = ray.remote(num_cpus=2)(Counter)
    bundle = cls._repr_mimebundle_()
    assert bundle["text/plain"] == "ActorClass(Counter(start=0)): add, each; num_cpus=2"
    assert "Counts." in bundle["text/html"]
    text = ray.remote(max_retries=1)(double)._repr_mimebundle_()["text/plain"]
    assert text.endswith("double(number, again=False)): max_retries=1")
    method = cls.remote().add
    assert repr(method) == "ActorMethod(Counter.add(amount, *, times=1))"
    assert "Add some." in method._repr_html_()


def test_a_repr_method_for_instances_does_not_show_the_class(recorded: RecordingEngine) -> None:
    class Picture:
        def _repr_svg_(self) -> str:
            return "<svg/>"

    cls: Any = ray.remote(Picture)
    assert not hasattr(cls, "_repr_svg_")
    assert cls._repr_mimebundle_()["text/plain"] == "ActorClass(Picture()): no methods"


def test_the_context_shows_whether_the_session_is_open(recorded: RecordingEngine) -> None:
    context = RayContext({**recorded.describe(), "job_id": recorded.facts.job_id.hex()})
    assert "ended" not in repr(context)
    assert "open" in context._repr_html_()
    other = RayContext({**recorded.describe(), "job_id": "ff"})
    assert repr(other).endswith(", ended)")
    assert "ended" in other._repr_html_()


def test_the_context_of_an_open_session_shows_the_object_store_as_it_is_now(recorded: RecordingEngine) -> None:
    context = RayContext({**recorded.describe(), "job_id": recorded.facts.job_id.hex()})
    assert "object store=0 B held, 0 B spilled, limit 1.0 GiB)" in repr(context)
    recorded.stores = StoreFacts(3 << 20, 5 << 29, 1 << 30, silent=2), StoreFacts(1 << 20, 0, 1 << 21)
    node, own = (
        "3.0 MiB held, 2.5 GiB spilled, limit 1.0 GiB (2 processes did not answer)",
        "1.0 MiB held, 0 B spilled, limit 2.0 MiB",
    )
    assert f"object store={node}, object store of the session={own})" in repr(context)
    assert node in context._repr_html_()
    assert own in context._repr_html_()


def test_the_context_shows_no_object_store_after_the_end_and_says_so_if_the_node_is_silent(
    recorded: RecordingEngine,
) -> None:
    ended = RayContext({**recorded.describe(), "job_id": "ff"})
    assert "object store=" not in repr(ended)
    recorded.stores = None
    context = RayContext({**recorded.describe(), "job_id": recorded.facts.job_id.hex()})
    assert "object store=unknown, the node does not answer)" in repr(context)


def test_a_context_with_a_directory_of_invalid_utf_8_can_be_printed(recorded: RecordingEngine) -> None:
    context = RayContext({"directory": "/tmp/\udcff"})
    assert context["directory"] == "/tmp/\udcff"
    assert "directory=/tmp/\\udcff" in repr(context)
    assert "/tmp/\\udcff" in context._repr_html_()


class Reader(HTMLParser):
    """Reads HTML as GitHub shows it: elements that it keeps, text, no styles and classes."""

    ALLOWED = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "code", "br", "p"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in self.ALLOWED or tag == "style"
        for name, value in attrs:
            assert name in ("style", "scope", "class")
            assert not re.search(r"#[0-9a-f]{3}|rgb|white;|black|url\(", value), "colours are the page's own"
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def read(text: str) -> list[str]:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader.text


def test_html_is_static_and_readable_without_styles() -> None:
    facts = ObjectFacts("failed", "Counter.<lambda>", error="ValueError: <script>alert(1)</script>")
    told = read(description.reference(Known(facts), "02").html())
    assert told[:2] == ["ObjectRef", " · failed"]
    assert "ValueError: <script>alert(1)</script>" in told
    assert "Actor class Counter" in read(ray.remote(Counter)._repr_mimebundle_()["text/html"])
    assert read(html.table(["a", "b"], [["1", "<b>"]])) == ["a", "b", "1", "<b>"]


def test_a_long_table_has_no_style_for_each_cell() -> None:
    rows = [["name", "variable", "class", "alive", "12345", "1 s", "10.5 MiB"]] * 200
    assert len(html.table([*"abcdefg"], rows)) < 40_000


def test_a_methods_signature_can_be_inspected(recorded: RecordingEngine) -> None:
    made: Any = ray.remote(Counter).remote(1)
    signature = inspect.signature(made.add)
    assert str(signature) == "(amount, *, times=1)"
    assert signature.bind(1, times=2).kwargs == {"times": 2}
    assert str(inspect.signature(made.__ray_call__)) == "(fn, *args, **kwargs)"
    assert inspect.getdoc(made.add).endswith("Add some.")


@pytest.mark.parametrize(
    "text",
    ["()", "(a, /, b, c=1, *rest, d, e='x y', **more)", "(a=..., *, b=None)", "(*, key)", "(a, /)", "(x=-1.5, y=b'k')"],
)
def test_the_inspected_signature_equals_the_displayed_one(text: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def f{text}: pass", namespace)
    signature = ray.remote(namespace["f"])._meta.signature
    assert str(signature.inspectable()) == signature.display == text


class Colour(enum.IntEnum):
    RED = 1


class Shouting(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "<HELLO!>"


HELLO = Shouting("hello")


def test_a_displayed_default_can_be_parsed() -> None:
    def function(a: Any = Colour.RED, b: Any = HELLO, c: Any = float("-inf")) -> None: ...

    signature = Signature.of(function, skip_self=False)
    assert str(signature.inspectable()) == signature.display == "(a=Colour.RED, b=..., c=-inf)"


def test_records_without_facts_are_shown_all_the_same() -> None:
    link = RecordingLink(b"\1" * 16)
    assert link.facts() == ActorFacts()
    assert make_ref(1)._repr_mimebundle_()["text/plain"].startswith("ObjectRef(")
