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
    def test_counting_in_ten_thousandths_loses_nothing(self, units: dict[str, int]) -> None:
        assert to_units(to_amounts(units)) == units

    def test_amounts_of_zero_are_left_out(self) -> None:
        assert to_units({"CPU": 0.0, "x": 0.00001, "y": 0.5}) == {"y": 5000}


class TestPool:
    def test_a_tenth_can_be_allocated_ten_times(self) -> None:
        one = pool({"x": 1.0})
        tenth = to_units({"x": 0.1})
        for _ in range(10):
            assert one.fits(tenth)
            one.allocate(tenth)
        assert not one.fits(tenth)
        assert one.available() == {"x": 0.0}

    def test_a_second_release_does_nothing(self) -> None:
        two = pool({"CPU": 2.0})
        allocation = two.allocate(to_units({"CPU": 2.0}))
        two.release(allocation)
        two.release(allocation)
        assert two.available() == {"CPU": 2.0}

    def test_an_allocation_that_does_not_fit_raises(self) -> None:
        one = pool({"CPU": 1.0})
        with pytest.raises(ValueError, match=r"'CPU': 2.0.*is not free in .*'CPU': 1.0"):
            one.allocate(to_units({"CPU": 2.0}))

    def test_lent_cpus_are_taken_back_even_while_in_use(self) -> None:
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

    def test_releasing_an_allocation_with_lent_cpus_frees_them_once(self) -> None:
        one = pool({"CPU": 1.0})
        allocation = one.allocate(to_units({"CPU": 1.0}))
        one.lend(allocation)
        one.release(allocation)
        assert one.available() == {"CPU": 1.0}

    def test_a_shortage_has_the_requested_amount_and_the_total(self) -> None:
        some = pool({"CPU": 2.0})
        assert some.shortage(to_units({"CPU": 3, "x": 1})) == {"CPU": (3.0, 2.0), "x": (1.0, 0.0)}
        assert some.shortage(to_units({"CPU": 2})) == {}


class TestGpus:
    def test_a_fraction_is_taken_from_a_gpu_in_use_first(self) -> None:
        two = pool({}, gpus=2)
        first = two.allocate(to_units({"GPU": 0.5}))
        second = two.allocate(to_units({"GPU": 0.25}))
        third = two.allocate(to_units({"GPU": 1}))
        assert (first.gpu_ids, second.gpu_ids, third.gpu_ids) == (["0"], ["0"], ["1"])
        assert not two.fits(to_units({"GPU": 0.5}))
        assert two.available() == {"GPU": 0.25}

    def test_free_fractions_of_two_gpus_do_not_make_a_whole_gpu(self) -> None:
        two = pool({}, gpus=2)
        two.allocate(to_units({"GPU": 0.6}))
        two.allocate(to_units({"GPU": 0.6}))
        assert not two.fits(to_units({"GPU": 0.8}))
        assert not two.fits(to_units({"GPU": 1}))

    def test_a_detected_gpu_is_never_used_by_two_sessions(self) -> None:
        bank = GpuBank()
        detected = [Gpu("0", "GPU-aaaa"), Gpu("1", "GPU-bbbb")]
        # The same GPUs, by other names and in reverse order.
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

    def test_gpus_declared_without_hardware_belong_to_each_session(self) -> None:
        bank = GpuBank()
        pools = [Pool({}, session_gpus(bank, [], None, 2)) for _ in range(2)]
        assert [each.allocate(to_units({"GPU": 2})).gpu_ids for each in pools] == [["0", "1"], ["0", "1"]]

    def test_declared_gpus_that_exist_are_the_detected_gpus(self) -> None:
        bank = GpuBank()
        detected = [Gpu("0"), Gpu("1")]
        first, second = (Pool({}, session_gpus(bank, detected, None, 1)) for _ in range(2))
        first.allocate(to_units({"GPU": 1}))
        assert not second.fits(to_units({"GPU": 1}))

    @pytest.mark.parametrize(
        ("visible", "ids"),
        [(None, ["0", "1"]), ("", []), ("-1", []), ("1", ["1"]), ("1,-1,0", ["1"]), (" 1 , 0 ", ["1", "0"])],
    )
    def test_cuda_visible_devices_limits_the_gpus(self, visible: str | None, ids: list[str]) -> None:
        assert session_gpus(GpuBank(), [Gpu("0"), Gpu("1")], visible, -1).ids == ids

    def test_visible_gpus_are_believed_without_a_driver(self) -> None:
        assert session_gpus(GpuBank(), [], "2,5", -1).ids == ["2", "5"]
        assert session_gpus(GpuBank(), [], "2,5", 1).ids == ["2"]

    def test_declaring_more_gpus_than_are_visible_raises(self) -> None:
        with pytest.raises(ValueError, match=r"2 GPUs, but CUDA_VISIBLE_DEVICES contains \['3'\]"):
            session_gpus(GpuBank(), [], "3", 2)


class Sharing(RuleBasedStateMachine):
    """Two sessions on a machine with three GPUs: no GPU is allocated twice, and all are released."""

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
        # Two allocations may be equal.
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


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("Tesla V100-SXM2-16GB", "V100"),
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000"),
        ("NVIDIA GeForce RTX 5090", "GeForce-RTX-5090"),
        ("Quadro", "Quadro"),
        ("", ""),
    ],
)
def test_the_kind_of_a_gpu_is_that_of_ray(model: str, kind: str) -> None:
    assert Gpu("0", "", model).kind == kind
