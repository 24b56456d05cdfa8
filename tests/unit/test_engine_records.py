"""The records of each engine have what the public classes, bars and panels ask of them."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from nbactors.engine import reference_records as records

CLASSES = [
    ("nbactors.local.objects.entry", "Entry", records.ObjectRecord),
    ("nbactors.local.objects.entry", "BorrowedEntry", records.ObjectRecord),
    ("nbactors.local.objects.streams", "Reader", records.StreamRecord),
    ("nbactors.local.objects.streams", "RemoteReader", records.StreamRecord),
    ("nbactors.cluster.object_records", "Record", records.ObjectRecord),
    ("nbactors.cluster.object_records", "StreamRecord", records.StreamRecord),
]


@pytest.mark.parametrize(("module", "name", "contract"), CLASSES, ids=lambda value: str(value).rpartition(".")[2])
def test_a_record_offers_what_its_contract_lists(module: str, name: str, contract: Any) -> None:
    if module.startswith("nbactors.cluster"):
        pytest.importorskip("ray", reason="the engine on a cluster needs Ray")
    found = getattr(importlib.import_module(module), name)
    for method, wanted in vars(contract).items():
        if method.startswith("_") or not callable(wanted):
            continue
        parameters = list(inspect.signature(wanted).parameters)
        assert list(inspect.signature(getattr(found, method)).parameters) == parameters, method
