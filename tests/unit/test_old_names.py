"""What an earlier version has pickled is loaded, though its modules have other names now.

The files were written before the package was put into rooms: an error of a call, one of a dead actor, and the
checkpoint of an actor whose state holds a handle.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from nbactors import exceptions, old_names
from nbactors.definitions.metadata import ActorMeta
from nbactors.upkeep import checkpoint_store

FILES = Path(__file__).with_name("pickled_before_rooms")


def test_the_pickled_error_of_a_call_is_loaded() -> None:
    error = pickle.loads((FILES / "task_error.pickle").read_bytes())
    assert isinstance(error, ValueError)
    assert isinstance(error, exceptions.RayTaskError)
    assert "there are only 7 left" in str(error)


def test_the_pickled_error_of_a_dead_actor_is_loaded() -> None:
    error = pickle.loads((FILES / "actor_died.pickle").read_bytes())
    assert type(error) is exceptions.ActorDiedError
    assert pickle.loads(pickle.dumps(error)).args == error.args


def test_an_error_class_is_loaded_from_its_old_module() -> None:
    assert pickle.loads(b"cnbactors.definitions.importable\nForeignCodeError\n.") is exceptions.ForeignCodeError


def test_a_checkpoint_with_a_handle_is_loaded(tmp_path: Path) -> None:
    """In a process of its own: unpickling a handle starts a session."""
    path = tmp_path / "1.checkpoint"
    path.write_bytes((FILES / "1.checkpoint").read_bytes())
    path.chmod(0o600)
    assert checkpoint_store.read_header(path)["class"] == "Model"
    code = (
        "import sys; from pathlib import Path; import nbactors; from nbactors.upkeep import checkpoint_store\n"
        "nbactors.init(); header, state = checkpoint_store.read(Path(sys.argv[1]))\n"
        "print(state['weights'], type(state['handle']).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "[1, 2, 3] ActorHandle\n", done.stderr


@pytest.mark.parametrize("name", sorted(set(old_names.MODULES) - {"nbactors.local.client"}))
def test_an_old_module_has_the_attributes_of_the_new_one(name: str) -> None:
    old, new = __import__(name, fromlist=["_"]), __import__(old_names.MODULES[name], fromlist=["_"])
    assert old is not new
    assert all(getattr(old, each) is value for each, value in vars(new).items() if not each.startswith("__"))


def test_other_missing_names_still_raise_module_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"nbactors\.nowhere"):
        __import__("nbactors.nowhere")
    assert ActorMeta.__module__ == "nbactors.definitions.metadata"
