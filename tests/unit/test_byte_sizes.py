"""Numbers of bytes as text."""

from __future__ import annotations

import pytest

from nbactors import byte_sizes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 << 30),
        ("2Gi", 2 << 30),
        ("2gb", 2 * 10**9),
        ("2G", 2 * 10**9),
        (" 1.5 MiB ", 3 << 19),
        ("500", 500),
        ("500B", 500),
        ("2e9", 2 * 10**9),
        ("1TiB", 1 << 40),
    ],
)
def test_a_text_with_a_unit_names_a_number_of_bytes(text: str, size: int) -> None:
    assert byte_sizes.parse(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "1 PiB", "1iB", "one"])
def test_another_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for instance '2GiB'"):
        byte_sizes.parse(text)


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3072.0 GiB")]
)
def test_a_size_is_shown_with_the_unit_that_suits_it(size: int, text: str) -> None:
    assert byte_sizes.shown(size) == text
