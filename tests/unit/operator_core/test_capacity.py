"""Several releases share what may run: never more encoders than the bill allows, and no start without room."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_operator.api.derive import encoder_identity, hnsw_index
from search_operator.api.spec import Spec
from search_operator.decide.capacity import (
    Fleet,
    Need,
    binary_size,
    collection_bytes,
    fleets,
    need,
    room,
)
from search_operator.observe.observation import Capacity
from search_plane.release.record import ReleaseRecord

from tests.unit.operator_core.builders import index

GI = 1024**3


def spec(minimum: int = 4, maximum: int = 12, cost: Mapping[str, Any] | None = None) -> Spec:
    """The production sample's spec with that range, and prices only if they are given."""
    scaling = {"autoscaling": {"minReplicas": minimum, "maxReplicas": maximum}}
    return index("production", encoder=scaling, cost=cost).spec


def test_a_single_release_has_the_whole_range() -> None:
    assert fleets(spec(4, 12), ["a"], 12) == {"a": Fleet(4, 12)}
    assert fleets(spec(4, 12), ["a", "a"], 12) == {"a": Fleet(4, 12)}
    assert fleets(spec(4, 12), [], 12) == {}


@pytest.mark.parametrize(
    ("minimum", "maximum", "warm", "active"),
    [
        pytest.param(4, 12, [4], 8, id="room for one more"),
        pytest.param(4, 12, [4, 4], 4, id="room for two more"),
        pytest.param(4, 7, [3], 4, id="a smaller one"),
        pytest.param(4, 7, [1, 1], 5, id="two smaller ones"),
        pytest.param(4, 4, [0], 4, id="no room"),
        pytest.param(1, 2, [0, 0], 2, id="too little room for two leaves it to the active one"),
    ],
)
def test_the_others_share_what_the_active_one_does_not_need(
    minimum: int, maximum: int, warm: list[int], active: int
) -> None:
    names = [f"other-{number}" for number in range(len(warm))]
    found = fleets(spec(minimum, maximum), ["active", *names], maximum)
    assert found["active"] == Fleet(minimum, active)
    assert [found[name] for name in names] == [Fleet(size, size) for size in warm]


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 3), st.integers(0, 100))
def test_all_fleets_together_have_no_more_than_is_allowed(
    minimum: int, more: int, others: int, word: int
) -> None:
    allowed = max(minimum, min(minimum + more, word))
    found = fleets(spec(minimum, minimum + more), [str(number) for number in range(1 + others)], allowed)
    assert sum(fleet.maximum for fleet in found.values()) <= allowed
    assert found["0"].minimum == minimum
    assert all(0 <= fleet.minimum <= fleet.maximum for fleet in found.values())


def test_ten_million_rows_of_a_large_encoder_need_what_the_calculation_says() -> None:
    assert collection_bytes(10_000_000, 768, 64, 1) == 10_000_000 * 3834
    assert collection_bytes(10_000_000, 768, 64, 2) == 2 * collection_bytes(10_000_000, 768, 64, 1)


def test_only_what_is_not_there_yet_is_needed() -> None:
    of = index("production")
    record = ReleaseRecord(
        namespace=of.namespace,
        index=of.name,
        release="r-1",
        encoder=encoder_identity(of.spec),
        hnsw=hnsw_index(of.spec),
        shards=4,
        replicas=2,
    )
    whole = need(of.spec, record, Fleet(4, 4), rows=1000)
    assert whole.devices == 4 * of.spec.encoder.accelerator.count
    rest = need(of.spec, record, Fleet(4, 4), rows=1000, placed=3, loaded=750)
    assert rest == Need(of.spec.encoder.accelerator.count, whole.memory // 4)
    assert need(of.spec, record, None, rows=1000).devices == 0
    assert need(of.spec, record, Fleet(4, 4), rows=10, placed=9, loaded=20) == Need(0, 0)


def test_what_is_not_known_is_no_shortage() -> None:
    assert room(spec(), Capacity(), Need(4, 10 * GI), Fleet(4, 4), 12) == ()


def test_enough_of_everything_is_no_shortage() -> None:
    exactly = Capacity(gpus_total=8, gpus_free=4, memory_total=100 * GI, memory_free=20 * GI)
    assert room(spec(), exactly, Need(4, 10 * GI), Fleet(4, 4), 12) == ()


def test_too_few_devices_name_how_many_and_three_ways_out() -> None:
    (shortage,) = room(spec(), Capacity(gpus_total=8, gpus_free=1), Need(2, 0), Fleet(2, 2), 12)
    assert shortage.what == "Devices"
    for part in (
        "2 x nvidia.com/gpu",
        "of 8",
        "only 1",
        "accelerator=nvidia-tesla-t4",
        "minReplicas",
        "capacityCheck: Warn",
    ):
        assert part in shortage.message


def test_milvus_is_not_filled_to_the_brim() -> None:
    # 20 of 100 GiB are free, and Milvus loads up to 90 % only: 10 are left.
    left = Capacity(memory_total=100 * GI, memory_free=20 * GI)
    assert room(spec(), left, Need(0, 10 * GI), None, 12) == ()
    (shortage,) = room(spec(), left, Need(0, 10 * GI + 1), None, 12)
    assert shortage.what == "Memory"
    assert "about 10.0Gi" in shortage.message
    assert "20.0Gi free" in shortage.message
    assert "add query nodes" in shortage.message


@pytest.mark.parametrize(
    ("asked", "limit"),
    [(spec(4, 4), "autoscaling.maxReplicas allows 4"), (spec(4, 12), "cost.monthlyCap allows 4")],
    ids=["range", "bill"],
)
def test_no_encoder_to_spare_names_what_limits_it(asked: Spec, limit: str) -> None:
    fleet = fleets(asked, ["active", "candidate"], 4)["candidate"]
    (shortage,) = room(asked, Capacity(), Need(0, 0), fleet, 4)
    assert shortage.what == "Encoders"
    assert limit in shortage.message


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1023, "1023"), (1536, "1.5Ki"), (int(7.1 * GI), "7.1Gi")]
)
def test_sizes_are_written_as_kubernetes_does(count: int, text: str) -> None:
    assert binary_size(count) == text
