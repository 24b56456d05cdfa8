"""What is done to an actor between its calls: its class is changed, its state is saved or restored."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from serving import Scene, stage

from nbactors.definitions.hooks import RESTORE, SAVE, SWAP
from nbactors.local.submitting import restart_file
from nbactors.local.wire import restart_files
from nbactors.pickling import pickling
from nbactors.testing import eventually


class Before:
    def __init__(self) -> None:
        self.count = 1

    def version(self) -> str:
        return f"before {self.count}"

    def wait(self) -> str:
        stage.reach("waits")
        stage.await_("go on")
        return f"waited {self.count}"

    async def wait_async(self) -> str:
        stage.reach("waits")
        await asyncio.to_thread(stage.await_, "go on")
        return f"waited {self.count}"


class After:
    def version(self) -> str:
        return f"after {self.count}"  # type: ignore[attr-defined]

    def __nbactors_update__(self, old: type) -> None:
        self.count = 10
        self.old = old


class AfterOnLoop(After):
    async def __nbactors_update__(self, old: type) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.count = 20


class Failing(After):
    def __nbactors_update__(self, old: type) -> None:
        self.count = 30
        raise LookupError("no such thing")


class Slotted:
    __slots__ = ("other",)


class Saving(Before):
    def __nbactors_save__(self) -> Any:
        return {"count": self.count}

    def __nbactors_restore__(self, state: Any) -> None:
        self.count = state["count"]


class SavingOnLoop(Saving):
    async def __nbactors_save__(self) -> Any:
        await asyncio.sleep(0)
        return {"count": self.count}


def drafted(scene: Scene) -> str:
    """Write the file of a changed class, as the process does that updates."""
    path = restart_files.draft(scene.worker.directory)
    restart_file.write(path, restart_file.parts_of(pickling.dumps_code(After)))
    return path


@pytest.mark.parametrize("may_restart", [False, True])
def test_the_class_of_an_actor_that_may_restart_is_kept_for_restarts(scene: Scene, may_restart: bool) -> None:
    def body(scene: Scene) -> None:
        scene.worker.executor.hosted.may_restart = may_restart
        draft = drafted(scene)
        assert scene.ask(SWAP, After, 5.0, draft) is may_restart
        kept = restart_files.changed_class(scene.worker.directory, scene.link.actor_id)
        assert (os.path.exists(draft), os.path.exists(kept)) == (not may_restart, may_restart)

    scene.play(body, Before)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_class_that_the_actor_does_not_get_is_not_kept_for_restarts(scene: Scene, is_there: bool) -> None:
    """The hook raises, or the process that updates has given up and removed the file."""

    def body(scene: Scene) -> str:
        scene.worker.executor.hosted.may_restart = True
        draft = drafted(scene)
        if not is_there:
            os.unlink(draft)
        with pytest.raises(LookupError if is_there else FileNotFoundError, match=r"no such thing|draft"):
            scene.ask(SWAP, Failing if is_there else After, 5.0, draft)
        kept = restart_files.changed_class(scene.worker.directory, scene.link.actor_id)
        assert (os.path.exists(draft), os.path.exists(kept)) == (is_there, False)
        return scene.ask("version")  # type: ignore[no-any-return]

    assert scene.play(body, Before) == "before 1"


def test_swapping_gives_the_actor_another_class_and_keeps_its_state(each: Scene) -> None:
    def body(scene: Scene) -> str:
        assert scene.ask("version") == "before 1"
        scene.ask(SWAP, After, 5.0)
        return scene.ask("version")  # type: ignore[no-any-return]

    assert each.play(body, Before) == "after 10"
    hosted = each.worker.executor.hosted
    assert hosted.cls is After
    assert hosted.module == __name__


def test_an_asynchronous_hook_is_awaited(on_loop: Scene) -> None:
    def body(scene: Scene) -> str:
        scene.ask(SWAP, AfterOnLoop, 5.0)
        return scene.ask("version")  # type: ignore[no-any-return]

    assert on_loop.play(body, Before) == "after 20"


def test_a_hook_that_fails_leaves_class_and_state_as_they_were(each: Scene) -> None:
    def body(scene: Scene) -> str:
        with pytest.raises(LookupError, match="no such thing"):
            scene.ask(SWAP, Failing, 5.0)
        return scene.ask("version")  # type: ignore[no-any-return]

    assert each.play(body, Before) == "before 1"


def test_a_class_with_another_layout_is_refused(each: Scene) -> None:
    def body(scene: Scene) -> str:
        with pytest.raises(TypeError, match="Before cannot become the new class"):
            scene.ask(SWAP, Slotted, 5.0)
        return scene.ask("version")  # type: ignore[no-any-return]

    assert each.play(body, Before) == "before 1"


@pytest.mark.parametrize("cls", [Saving, SavingOnLoop])
def test_a_saved_state_can_be_restored(on_loop: Scene, cls: type) -> None:
    def body(scene: Scene) -> str:
        assert scene.ask(SAVE, 5.0) == {"count": 1}
        scene.ask(RESTORE, {"count": 7}, 5.0)
        return scene.ask("version")  # type: ignore[no-any-return]

    assert on_loop.play(body, cls) == "before 7"


@pytest.mark.parametrize(("method", "args"), [(SAVE, ()), (RESTORE, ({},))])
def test_a_class_without_the_hook_is_told_to_have_it(each: Scene, method: str, args: Any) -> None:
    def body(scene: Scene) -> None:
        with pytest.raises(TypeError, match=f"Before does not say how its state is saved .* it has no {method}"):
            scene.ask(method, *args, 5.0)

    each.play(body, Before)


@pytest.mark.parametrize(
    ("each", "method"),
    [("threaded", "wait"), ("asyncio", "wait_async")],
    indirect=["each"],
    ids=["threaded", "asyncio"],
)
class TestBetweenCalls:
    def test_it_waits_for_calls_that_run_and_begins_no_others(self, each: Scene, method: str) -> None:
        def body(scene: Scene) -> list[Any]:
            running = scene.call(method)
            stage.await_("waits")
            restored = scene.call(RESTORE, {"count": 7}, 5.0)
            calls = scene.worker.executor.lanes
            assert calls is not None
            eventually(lambda: calls._default._paused)
            later = scene.call("version")
            stage.reach("go on")
            scene.get(restored)
            return [scene.get(running), scene.get(later)]

        assert each.play(body, Saving) == ["waited 1", "before 7"]

    def test_a_call_that_does_not_end_in_time_leaves_all_as_it_was(self, each: Scene, method: str) -> None:
        def body(scene: Scene) -> list[Any]:
            running = scene.call(method)
            stage.await_("waits")
            with pytest.raises(TimeoutError, match=r"a call was still running in Saving after 0\.01 s"):
                scene.ask(SAVE, 0.01)
            later = scene.ask("version")  # it goes on beside the call that still runs
            stage.reach("go on")
            return [scene.get(running), later]

        assert each.play(body, Saving) == ["waited 1", "before 1"]
