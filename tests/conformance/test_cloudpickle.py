"""`cloudpickle`: functions and classes pickled by value, in files and bytes of the user's own."""

from __future__ import annotations

import importlib
import io
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def cloudpickle(module_name: str) -> Any:
    return importlib.import_module(f"{module_name}.cloudpickle")


class Locked:
    def __init__(self, value: Any) -> None:
        self.value = value
        self.lock = threading.Lock()


def value_of(locked: Any) -> Any:
    return locked.value


def test_a_function_by_value(cloudpickle: Any) -> None:
    offset = 2
    data = cloudpickle.dumps(lambda x: x + offset)
    assert isinstance(data, bytes)
    assert cloudpickle.loads(data)(1) == pickle.loads(data)(1) == 3


def test_a_file(cloudpickle: Any) -> None:
    stream = io.BytesIO()
    cloudpickle.dump([1, lambda: 5], stream)
    cloudpickle.Pickler(stream).dump("second")
    stream.seek(0)
    first = cloudpickle.load(stream)
    assert (first[0], first[1](), cloudpickle.load(stream)) == (1, 5, "second")


def test_protocols(cloudpickle: Any) -> None:
    assert cloudpickle.DEFAULT_PROTOCOL == pickle.HIGHEST_PROTOCOL
    assert cloudpickle.loads(cloudpickle.dumps([1], protocol=4)) == [1]
    assert cloudpickle.dumps([1], protocol=4)[1] == 4


def test_buffers_out_of_band(cloudpickle: Any) -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = cloudpickle.dumps(pickle.PickleBuffer(b"x" * 10_000), buffer_callback=buffers.append)
    assert len(data) < 100
    assert bytes(cloudpickle.loads(data, buffers=buffers)) == b"x" * 10_000


def test_registered_serializers_count(ray: Any, cloudpickle: Any) -> None:
    ray.util.register_serializer(Locked, serializer=value_of, deserializer=Locked)
    try:
        assert cloudpickle.loads(cloudpickle.dumps([Locked(3)]))[0].value == 3
    finally:
        ray.util.deregister_serializer(Locked)


@pytest.mark.parametrize("name", ["dumps", "dumps_debug"])
def test_a_value_that_cannot_be_pickled(cloudpickle: Any, name: str) -> None:
    with pytest.raises(TypeError, match=r"[Ll]ock"):
        getattr(cloudpickle, name)(Locked(1))


@pytest.mark.differs("Ray prints it, and only with an environment variable")
def test_the_error_for_debugging_names_the_part(cloudpickle: Any) -> None:
    for call in (cloudpickle.dumps_debug, lambda value: cloudpickle.dump_debug(value, io.BytesIO())):
        with pytest.raises(TypeError, match=r"At fault: attribute 'lock' of 'Locked'.*inspect_serializability"):
            call(Locked(1))
    stream = io.BytesIO()
    cloudpickle.dump_debug([1], stream)
    assert pickle.loads(stream.getvalue()) == pickle.loads(cloudpickle.dumps_debug([1])) == [1]


def test_a_module_by_value(cloudpickle: Any) -> None:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        assert __name__ in cloudpickle.list_registry_pickle_by_value()
        assert cloudpickle.loads(cloudpickle.dumps(value_of)) is not value_of
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    assert cloudpickle.loads(cloudpickle.dumps(value_of)) is value_of


def test_actors_and_tasks_get_a_module_by_value(
    ray: Any, cloudpickle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the state that the module has here, and not that of its file."""
    (tmp_path / "scaling.py").write_text(
        "factor = 1\n\n"
        "def scaled(x):\n    return factor * x\n\n"
        "class Scaler:\n    def scale(self, x):\n        return factor * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = importlib.import_module("scaling")
    module.factor = 5
    cloudpickle.register_pickle_by_value(module)
    try:
        assert ray.get(ray.remote(module.Scaler).remote().scale.remote(2)) == 10
        assert ray.get(ray.remote(module.scaled).remote(2)) == 10
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["scaling"]


def test_the_ways_to_import_it(module_name: str) -> None:
    program = (
        f"import {module_name} as ray\n"
        f"import {module_name}.cloudpickle as pickle\n"
        f"from {module_name} import cloudpickle\n"
        f"from {module_name}.cloudpickle import dumps\n"
        "assert pickle is cloudpickle is ray.cloudpickle\n"
        "print(ray.cloudpickle.loads(dumps(lambda: 4))())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "4"


def test_it_is_loaded_with_its_first_use(module_name: str) -> None:
    program = f"import {module_name} as ray; print(ray.cloudpickle.loads(ray.cloudpickle.dumps(lambda: 4))())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "4"
