"""Labels of the node, and what options demand of them.

A *term* demands something of one label, a *selector* is some terms that must all hold, and the node must fulfil one of
several selectors. Follows Ray's page "Use labels to control scheduling".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from nbactors.limits import MAX_KINDS
from nbactors.options.checks import check_text, kind

RESERVED = "ray.io/"
"""The labels that the runtime gives begin with it."""

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_PREFIX = re.compile(rf"(?:{_NAME})?(?:\.(?:{_NAME})?)*")
_VALUE = re.compile(rf"(!?)({_NAME}|)")
_VALUES = re.compile(rf"(!?)in\(({_NAME}(?:, ?{_NAME})*)\)")
_SYNTAX = (
    "must have at most 63 letters, digits, dashes (-), underscores (_) and dots (.), and begin and end with a letter "
    "or a digit"
)
_OPERATORS = {"In": "in", "NotIn": "not_in", "Exists": "exists", "DoesNotExist": "absent"}


class LabelTerm(NamedTuple):
    """A demand on one label.

    Attributes:
        key: The label's key.
        operator: "in", "not_in", "exists" or "absent". A node without the label fulfils "not_in".
        values: The values of "in" and "not_in".
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()


Selector = tuple[LabelTerm, ...]


def check_labels(given: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return an option with labels: those of `init`, or those of an actor or task.

    Raises:
        TypeError: The value is not a dict, or a key is not a str.
        ValueError: A value is not a str, or has too many characters; or there are too many labels.
    """
    labels = given.get(name)
    if labels is None:
        return {}
    if not isinstance(labels, dict):
        raise TypeError(f"The type of keyword '{name}' must be dict or None, but received type {kind(labels)}")
    if len(labels) > MAX_KINDS:
        raise ValueError(f"The keyword '{name}' takes at most {MAX_KINDS} labels. Got: {len(labels)}")
    for key, value in labels.items():
        if not isinstance(key, str):
            raise TypeError(f"The keys in '{name}' must be str, but received type {kind(key)}")
        if not isinstance(value, str):
            raise ValueError(f"Label value must be string, but the label {key!r:.80} is of type {kind(value)}")
        check_text({f"{name}[{key:.80}]": key + value}, f"{name}[{key:.80}]")
    return dict(labels)


def selectors_of(given: Mapping[str, Any]) -> tuple[Selector, ...]:
    """Return the selectors of which the node must fulfil one; empty if there is no demand.

    They are those of `label_selector` and then of `fallback_strategy`, each together with the hard terms of a
    NodeLabelSchedulingStrategy.

    Raises:
        TypeError, ValueError: A value is not allowed, as in Ray.
    """
    hard = tuple(_term_of(expression) for expression in getattr(given.get("scheduling_strategy"), "hard", ()))
    first = _selector(given.get("label_selector"))
    fallbacks = _fallbacks(given.get("fallback_strategy"))
    found = [hard + selector for selector in (first, *(fallbacks if first else ()))]
    return tuple(selector for selector in found if selector) if all(found) else ()


def _term_of(expression: Any) -> LabelTerm:
    operator = expression.operator
    return LabelTerm(expression.key, _OPERATORS[type(operator).__name__], tuple(getattr(operator, "values", ())))


def _selector(given: Any) -> Selector:
    if given is None:
        return ()
    if not isinstance(given, dict):
        raise TypeError(f"The type of keyword 'label_selector' must be dict or None, but received type {kind(given)}")
    return tuple(_term(key, value) for key, value in given.items())


def _term(key: Any, value: Any) -> LabelTerm:
    for part, what in ((key, "keys"), (value, "values")):
        if not isinstance(part, str):
            raise TypeError(f"The {what} in 'label_selector' must be str, but received type {kind(part)}")
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        raise ValueError(
            f"Invalid label key prefix `{prefix:.80}`. Prefix must be a series of DNS labels separated by dots (.), "
            "not longer than 253 characters in total."
        )
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"Invalid label key name `{name:.80}`. Name {_SYNTAX}.")
    several, one = _VALUES.fullmatch(value), _VALUE.fullmatch(value)
    found = several or one
    if found is None:
        raise ValueError(
            f"Invalid label selector value `{value:.80}`. Write a value, `!value`, `in(value, ...)` or "
            f"`!in(value, ...)`. A value {_SYNTAX}."
        )
    negation, text = found.groups()
    values = [part.strip() for part in text.split(",")] if several else [text]
    return LabelTerm(key, "not_in" if negation else "in", tuple(values))


def _fallbacks(given: Any) -> list[Selector]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise TypeError(
            f"The type of keyword 'fallback_strategy' must be list or None, but received type {kind(given)}"
        )
    for strategy in given:
        if not isinstance(strategy, dict):
            raise ValueError(f"Each element in fallback_strategy must be a dictionary. Got: {kind(strategy)}")
        if not strategy:
            raise ValueError("Empty dictionary found in `fallback_strategy`.")
        for option in strategy:
            if option != "label_selector":
                raise ValueError(f"Unsupported option found: {option!r:.80}. Only ['label_selector'] is supported.")
        if strategy["label_selector"] and not isinstance(strategy["label_selector"], dict):
            raise ValueError('The value of "label_selector" must be a dictionary.')
    return [_selector(strategy["label_selector"] or None) for strategy in given]
