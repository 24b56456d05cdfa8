"""The drawing of counted stacks."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from nbactors.util.profiling import Profile
from nbactors.views.flame_graph import FlameGraph

STACKS = [
    (["Counter.add", "add (a.py:1)", "helper (a.py:9)"], 6),
    (["Counter.add", "add (a.py:1)"], 2),
    (["thread <mine>", "loop (b.py:3)"], 2),
]
NAMESPACE = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> dict[str, tuple[float, float, float]]:
    """Return the left edge, the upper edge and the width of each box, by the name in its tooltip."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{NAMESPACE}g"):
        tip, rect = group.find(f"{NAMESPACE}title"), group.find(f"{NAMESPACE}rect")
        assert tip is not None
        assert tip.text
        assert rect is not None
        found[tip.text.partition(": ")[0]] = (
            float(rect.get("x", 0)),
            float(rect.get("y", 0)),
            float(rect.get("width", 0)),
        )
    return found


def test_a_box_is_as_wide_as_its_share_and_lies_below_its_caller() -> None:
    found = boxes(FlameGraph("title", STACKS).svg())
    call, function, helper = found["Counter.add"], found["add (a.py:1)"], found["helper (a.py:9)"]
    assert [round(box[2]) for box in (found["all"], call, function, helper)] == [1000, 800, 800, 600]
    assert call[0] == function[0] == helper[0]
    assert found["all"][1] < call[1] < function[1] < helper[1]


def test_special_characters_are_escaped() -> None:
    page = FlameGraph("<title>", STACKS).page()
    assert "thread &lt;mine&gt;" in page
    assert "<mine>" not in page
    assert "&lt;title&gt;" in page


def test_a_page_is_whole_and_has_no_script_and_no_link() -> None:
    page = FlameGraph("title", STACKS).page()
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "href" not in page
    assert "src=" not in page


def test_boxes_that_cannot_be_seen_are_left_out() -> None:
    found = boxes(FlameGraph("title", [(["a"], 10_000), (["b"], 1)]).svg())
    assert set(found) == {"all", "a"}


def test_deep_stacks_are_drawn() -> None:
    assert len(boxes(FlameGraph("title", [([f"f{number}" for number in range(3000)], 1)]).svg())) == 3001


def test_the_innermost_frames_are_counted_over_all_callers() -> None:
    graph = FlameGraph("title", [*STACKS, (["other", "helper (a.py:9)"], 1)])
    assert graph.hottest(1) == [("helper (a.py:9)", 7)]


@pytest.fixture
def profile() -> Profile:
    return Profile("Counter", 2.0, 10, STACKS)


def test_a_profile_shows_its_hottest_functions_as_text(profile: Profile) -> None:
    assert repr(profile).splitlines()[:2] == ["Profile of Counter: 2 s, 10 samples", " 60.0%  helper (a.py:9)"]


def test_a_profile_of_nothing_says_so() -> None:
    profile = Profile("Counter", 2.0, 10, [])
    assert "Nothing ran" in repr(profile)
    assert "Nothing ran" in profile._repr_html_()
    assert "<svg" in profile.svg()


def test_a_profile_is_saved_as_a_page_or_as_a_drawing(profile: Profile, tmp_path: object) -> None:
    profile.save(f"{tmp_path}/a.html")
    profile.save(f"{tmp_path}/a.svg")
    with open(f"{tmp_path}/a.html") as page, open(f"{tmp_path}/a.svg") as drawing:
        assert page.read() == profile.html()
        assert drawing.read() == profile.svg()
    assert profile.svg() in profile._repr_html_()


def test_folded_stacks_are_lines_for_other_tools(profile: Profile) -> None:
    assert profile.folded().splitlines()[0] == "Counter.add;add (a.py:1);helper (a.py:9) 6"
