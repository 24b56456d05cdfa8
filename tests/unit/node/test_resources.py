from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from nbactors.local.node.rules.gpus import UNIT, Gpu, GpuBank, SessionGpus, session_gpus
from nbactors.local.node.rules.resources import Allocation, Pool, to_amounts, to_units

NO_GPUS = SessionGpus(GpuBank(), {})


def pool(totals: dict[str, float], gpus: int = 0) -> Pool:
    return Pool(totals, SessionGpus(GpuBank(), {str(index): "" for index in range(gpus)}))


class TestAmounts:
    @given(st.dictionaries(st.sampled_from(["CPU", "memory", "x"]), st.integers(1, 10**15)))
    def test_counted_in_ten_thousandths_nothing_is_lost(self, units: dict[str, int]) -> None:
        assert to_units(to_amounts(units)) == units

    def test_zero_is_left_out(self) -> None:
        assert to_units({"CPU": 0.0, "x": 0.00001, "y": 0.5}) == {"y": 5000}


class TestPool:
    def test_a_tenth_fits_ten_times(self) -> None:
        one = pool({"x": 1.0})
        tenth = to_units({"x": 0.1})
        for _ in range(10):
            assert one.fits(tenth)
            one.allocate(tenth)
        assert not one.fits(tenth)
        assert one.available() == {"x": 0.0}

    def test_what_was_released_is_free_once(self) -> None:
        two = pool({"CPU": 2.0})
        allocation = two.allocate(to_units({"CPU": 2.0}))
        two.release(allocation)
        two.release(allocation)
        assert two.available() == {"CPU": 2.0}

    def test_what_does_not_fit_is_refused(self) -> None:
        one = pool({"CPU": 1.0})
        with pytest.raises(ValueError, match=r"'CPU': 2.0.*is not free in .*'CPU': 1.0"):
            one.allocate(to_units({"CPU": 2.0}))

    def test_lent_cpus_are_taken_back_although_somebody_uses_them(self) -> None:
        one = pool({"CPU": 1.0})
        cpu = to_units({"CPU": 1.0})
        first = one.allocate(cpu)
        one.lend(first)
        one.lend(first)
        second = one.allocate(cpu)
        one.take_back(first)
        assert not one.fits(cpu)
        assert one.available() == {"CPU": 0.0}
        one.release(second)
        assert not one.fits(cpu)
        one.release(first)
        assert one.fits(cpu)

    def test_released_while_lent(self) -> None:
        one = pool({"CPU": 1.0})
        allocation = one.allocate(to_units({"CPU": 1.0}))
        one.lend(allocation)
        one.release(allocation)
        assert one.available() == {"CPU": 1.0}

    def test_a_shortage_names_what_is_asked_for_and_what_there_is(self) -> None:
        some = pool({"CPU": 2.0})
        assert some.shortage(to_units({"CPU": 3, "x": 1})) == {"CPU": (3.0, 2.0), "x": (1.0, 0.0)}
        assert some.shortage(to_units({"CPU": 2})) == {}


class TestGpus:
    def test_a_fraction_fills_a_gpu_that_is_in_use_first(self) -> None:
        two = pool({}, gpus=2)
        first = two.allocate(to_units({"GPU": 0.5}))
        second = two.allocate(to_units({"GPU": 0.25}))
        third = two.allocate(to_units({"GPU": 1}))
        assert (first.gpu_ids, second.gpu_ids, third.gpu_ids) == (["0"], ["0"], ["1"])
        assert not two.fits(to_units({"GPU": 0.5}))
        assert two.available() == {"GPU": 0.25}

    def test_fractions_of_two_gpus_are_no_whole_one(self) -> None:
        two = pool({}, gpus=2)
        two.allocate(to_units({"GPU": 0.6}))
        two.allocate(to_units({"GPU": 0.6}))
        assert not two.fits(to_units({"GPU": 0.8}))
        assert not two.fits(to_units({"GPU": 1}))

    def test_one_that_was_detected_is_never_in_two_sessions(self) -> None:
        bank = GpuBank()
        detected = [Gpu("0", "GPU-aaaa"), Gpu("1", "GPU-bbbb")]
        # The same GPUs by other names, and in the other order.
        first = Pool({}, session_gpus(bank, detected, None, -1))
        second = Pool({}, session_gpus(bank, detected, "GPU-bbbb,GPU-aaaa", -1))
        half, whole = to_units({"GPU": 0.5}), to_units({"GPU": 1})
        held = first.allocate(half)
        assert held.gpu_ids == ["0"]
        assert first.fits(half)
        assert second.available() == {"GPU": 1.0}
        assert second.totals() == {"GPU": 2.0}
        assert second.allocate(whole).gpu_ids == ["GPU-bbbb"]
        assert not second.fits(half)
        first.release(held)
        assert second.allocate(whole).gpu_ids == ["GPU-aaaa"]
        assert not first.fits(half)

    def test_declared_ones_on_a_machine_with_none_are_every_sessions_own(self) -> None:
        bank = GpuBank()
        pools = [Pool({}, session_gpus(bank, [], None, 2)) for _ in range(2)]
        assert [each.allocate(to_units({"GPU": 2})).gpu_ids for each in pools] == [["0", "1"], ["0", "1"]]

    def test_declared_ones_that_exist_are_the_detected_ones(self) -> None:
        bank = GpuBank()
        detected = [Gpu("0"), Gpu("1")]
        first, second = (Pool({}, session_gpus(bank, detected, None, 1)) for _ in range(2))
        first.allocate(to_units({"GPU": 1}))
        assert not second.fits(to_units({"GPU": 1}))

    @pytest.mark.parametrize(
        ("visible", "ids"),
        [(None, ["0", "1"]), ("", []), ("-1", []), ("1", ["1"]), ("1,-1,0", ["1"]), (" 1 , 0 ", ["1", "0"])],
    )
    def test_those_that_are_visible(self, visible: str | None, ids: list[str]) -> None:
        assert session_gpus(GpuBank(), [Gpu("0"), Gpu("1")], visible, -1).ids == ids

    def test_visible_ones_are_believed_where_no_driver_tells(self) -> None:
        assert session_gpus(GpuBank(), [], "2,5", -1).ids == ["2", "5"]
        assert session_gpus(GpuBank(), [], "2,5", 1).ids == ["2"]

    def test_no_more_can_be_declared_than_are_visible(self) -> None:
        with pytest.raises(ValueError, match=r"2 GPUs, but CUDA_VISIBLE_DEVICES contains \['3'\]"):
            session_gpus(GpuBank(), [], "3", 2)


class Sharing(RuleBasedStateMachine):
    """Two sessions on a machine with three GPUs: nothing is given twice, all comes back."""

    allocations = Bundle("allocations")

    def __init__(self) -> None:
        super().__init__()
        bank = GpuBank()
        detected = [Gpu(str(index)) for index in range(3)]
        self.pools = [Pool({"CPU": 4, "x": 1.5}, session_gpus(bank, detected, None, -1)) for _ in range(2)]
        self.living: list[tuple[int, Allocation]] = []

    @rule(
        target=allocations,
        which=st.integers(0, 1),
        cpu=st.sampled_from([0, 0.1, 1, 2.5]),
        x=st.sampled_from([0, 0.3, 1.5]),
        gpu=st.sampled_from([0, 0.1, 0.5, 0.9, 1, 2]),
    )
    def allocate(self, which: int, cpu: float, x: float, gpu: float) -> Any:
        request = to_units({"CPU": cpu, "x": x, "GPU": gpu})
        if not self.pools[which].fits(request):
            return multiple()
        allocation = self.pools[which].allocate(request)
        assert sum(amount for _, amount in allocation.gpus) == request.get("GPU", 0)
        self.living.append((which, allocation))
        return (which, allocation)

    @rule(held=consumes(allocations))
    def release(self, held: tuple[int, Allocation]) -> None:
        # Equal ones may have been allocated twice.
        self.living = [other for other in self.living if other[1] is not held[1]]
        self.pools[held[0]].release(held[1])

    @invariant()
    def nothing_is_given_twice(self) -> None:
        users: dict[str, set[int]] = {}
        used: dict[str, int] = {}
        for which, allocation in self.living:
            for gpu, amount in allocation.gpus:
                users.setdefault(gpu, set()).add(which)
                used[gpu] = used.get(gpu, 0) + amount
        assert all(len(sessions) == 1 for sessions in users.values())
        assert all(amount <= UNIT for amount in used.values())

    @invariant()
    def the_rest_is_free(self) -> None:
        for which, each in enumerate(self.pools):
            held = [allocation.held for owner, allocation in self.living if owner == which]
            for name in ("CPU", "x"):
                free = each.total[name] - sum(amounts.get(name, 0) for amounts in held)
                assert free >= 0
                assert each.available()[name] == free / UNIT


TestSharing = Sharing.TestCase
