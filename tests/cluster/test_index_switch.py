"""Releases on a real cluster: built beside the active one, judged, switched to, gone back from; no query fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo.index_status import condition, is_ready
from demo.parts import OLDER_WEIGHTS_IMAGE
from tests.cluster.index_bed import CATALOGUE_PREFIX, Bed, Object, eventually
from tests.cluster.query_load import constant_queries
from tests.testbed.weights.bge import BGE_SMALL_ZH, BGE_SMALL_ZH_DIGEST

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

NAME = "switched"
PRODUCTS = 400
OLDER = {
    "spec": {
        "encoder": {
            "model": BGE_SMALL_ZH.name,
            "revision": BGE_SMALL_ZH.revision,
            "weights": {"image": OLDER_WEIGHTS_IMAGE, "sha256": BGE_SMALL_ZH_DIGEST},
        }
    }
}
ROOMY = {
    "spec": {
        "encoder": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}},
        "search": {"replicas": 2},
        "rollout": {"watch": "0s", "gates": {"maxP95": "5s"}},
        "refresh": {"parallelism": 2},
    }
}


def releases(index: Object) -> dict[str, Object]:
    """The releases of the status by their role."""
    return {r["role"]: r for r in index.get("status", {}).get("releases", ())}


def active(index: Object) -> str:
    return str(index.get("status", {}).get("activeRelease", ""))


def moved_to(release: str) -> Any:
    """Whether that release is active and every ready gateway says that it answers from it."""

    def holds(index: Object) -> bool:
        gateway = index.get("status", {}).get("gateway", {})
        return active(index) == release and gateway.get("onActive") == gateway.get("desired")

    return holds


@pytest.fixture(scope="module")
def switched(bed: Bed) -> Iterator[str]:
    """An index with two gateways that serves its first release; the tests below go on from one another."""
    bed.load_catalogue(NAME, PRODUCTS)
    bed.apply(bed.resource(NAME, ROOMY))
    bed.await_ready(NAME)
    yield NAME
    bed.delete(NAME)


def test_another_encoder_takes_over_without_a_failed_query(bed: Bed, switched: str) -> None:
    before = active(bed.index(switched))
    with constant_queries(bed, switched) as load:
        bed.patch(switched, OLDER)
        on_its_way = bed.follow(switched, lambda i: "Candidate" in releases(i), "a candidate", 30)
        assert condition(on_its_way, "Ready")["status"] == "True"
        index = bed.await_ready(switched)
        after = active(index)
        bed.follow(switched, moved_to(after), "all gateways on it", 30)
        eventually(lambda: load.releases()[after], "an answer from the new release", 10)
    assert after != before
    assert load.failed == []
    assert set(load.releases()) == {before, after}
    assert len(load.pairs()) == 2, "a release answered with two fingerprints"
    found = releases(index)
    assert found["Previous"]["name"] == before
    assert {gate["result"] for gate in found["Active"]["gates"]} == {"Passed"}
    assert {"IdSetsEqual", "RecallAtK", "VectorsMatch", "LatencyP95"} <= {
        gate["name"] for gate in found["Active"]["gates"]
    }
    for role in ("Active", "Previous"):
        assert bed.ids_in_milvus(found[role]["collection"]) == bed.ids_in_catalogue(CATALOGUE_PREFIX + NAME)


def test_a_rollback_takes_seconds_and_going_forward_goes_through_the_gates(bed: Bed, switched: str) -> None:
    now = bed.index(switched)
    newer, older = active(now), releases(now)["Previous"]["name"]
    with constant_queries(bed, switched) as load:
        bed.patch(switched, {"spec": {"rollout": {"rollbackTo": older}}})
        # No job runs for it: catch-up and gates alone would take longer.
        bed.follow(switched, moved_to(older), "the rollback", 20)
        assert releases(bed.index(switched))["Previous"]["name"] == newer
        # Retention is counted from the switch, with the duration of that moment; the next test looks at its end.
        bed.patch(switched, {"spec": {"rollout": {"rollbackTo": None, "retain": "1s"}}})
        bed.follow(switched, lambda i: is_ready(i) and active(i) == newer, "the spec's release again", 180)
    assert load.failed == []


def test_a_replaced_release_leaves_when_its_time_is_over(bed: Bed, switched: str) -> None:
    kept = bed.follow(
        switched,
        lambda i: is_ready(i) and set(releases(i)) == {"Active"},
        "only one release to be left",
        240,
    )
    (collection,) = bed.collections(switched)
    assert collection == releases(kept)["Active"]["collection"]
    bed.patch(switched, {"spec": {"rollout": {"retain": None}}})


def test_a_target_that_is_not_retained_is_told_and_changes_nothing(bed: Bed, switched: str) -> None:
    before = active(bed.index(switched))
    bed.patch(switched, {"spec": {"rollout": {"rollbackTo": "r-00000000"}}})
    told = bed.await_condition(switched, "Promotable", "False", "RollbackTargetUnknown")
    assert "r-00000000" in told["message"]
    assert active(bed.index(switched)) == before
    bed.patch(switched, {"spec": {"rollout": {"rollbackTo": None}}})
    bed.await_ready(switched)


def test_what_shapes_no_vector_is_applied_in_place(bed: Bed, switched: str) -> None:
    before = active(bed.index(switched))
    bed.patch(switched, {"spec": {"vectorStore": {"milvus": {"search": {"ef": 200}}}}})
    index = bed.await_ready(switched)
    assert active(index) == before
    assert "Candidate" not in releases(index)


def test_another_graph_is_built_from_the_same_vectors_and_waits_for_approval(bed: Bed, switched: str) -> None:
    before = active(bed.index(switched))
    change = {
        "spec": {
            "rollout": {"promotion": "Manual"},
            "vectorStore": {"milvus": {"index": {"m": 32}}},
        }
    }
    bed.patch(switched, change)
    waiting = bed.follow(
        switched,
        lambda i: releases(i).get("Candidate", {}).get("stage") == "AwaitingApproval",
        "the gates",
        240,
    )
    candidate = releases(waiting)["Candidate"]
    assert (candidate["build"]["embedded"], candidate["build"]["reused"]) == (0, PRODUCTS)
    assert active(waiting) == before
    assert candidate["name"] in condition(waiting, "Promotable")["message"]
    bed.patch(switched, {"spec": {"rollout": {"approvedRelease": candidate["name"]}}})
    index = bed.follow(
        switched, lambda i: is_ready(i) and active(i) == candidate["name"], "the approved one", 60
    )
    assert releases(index)["Previous"]["name"] == before
