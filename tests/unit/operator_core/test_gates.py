"""Every gate alone stops a candidate that is bad in its way, and says why; what is not measured is not passed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from search_operator.decide.gates import Gate, evaluate, passed, tolerated_rows
from search_operator.observe.observation import CollectionView, JobView
from search_plane.release.report import Verification

from tests.unit.operator_core.builders import collection, index, report

ROWS = 2000
GOOD = Verification(
    rows=ROWS,
    missing=0,
    extra=0,
    stale=0,
    vectors_match=1.0,
    vectors_checked=64,
    encoder_sound=True,
    recall=0.99,
    recall_k=100,
    recall_queries=200,
    overlap=0.97,
    ndcg=0.80,
    active_ndcg=0.80,
    judged=14,
    zero_results=0.0,
    active_zero_results=0.0,
    p95_ms=20.0,
    timed_queries=200,
)
JUDGED: dict[str, Any] = {
    "rollout": {
        "gates": {
            "judgedQueries": {"configMapRef": {"name": "judged"}, "maxNdcgDrop": "0.01"},
            "maxP95": "100ms",
        }
    }
}
ALL = (
    "IdSetsEqual",
    "RowsLoaded",
    "IndexFinished",
    "ReplicasLoaded",
    "EncoderSound",
    "VectorsMatch",
    "RecallAtK",
    "OverlapAt10",
    "JudgedQueries",
    "ZeroResultRate",
    "LatencyP95",
)


def job(component: Any, **changes: Any) -> JobView:
    view: dict[str, Any] = {
        "name": f"products-{component}-r-12345678-1",
        "release": "r-12345678",
        "component": component,
        "uid": "1",
        "started_at": "2026-11-22T03:00:00Z",
        "finished_at": "2026-11-22T03:10:00Z",
        "succeeded": True,
        "failed": False,
        "progress": None,
        "report": report("r-12345678", ROWS),
    }
    return JobView(**(view | changes))


def verified(**measured: Any) -> JobView:
    return job("verify", report=report("r-12345678", ROWS, verification=GOOD.model_copy(update=measured)))


def gates(
    verify: JobView | None,
    *,
    build: JobView | None = None,
    view: Mapping[str, Any] | None = None,
    seen: CollectionView | None = None,
    has_active: bool = True,
    same_fingerprint: bool = True,
    spec: Mapping[str, Any] = JUDGED,
) -> dict[str, Gate]:
    of = index(**spec)
    held = seen or collection(of, **(view or {}))
    found = evaluate(
        held,
        build or job("catchup"),
        verify,
        has_active=has_active,
        same_fingerprint=same_fingerprint,
        spec=of.spec,
    )
    assert len({gate.name for gate in found}) == len(found)
    return {gate.name: gate for gate in found}


def stopping(found: Mapping[str, Gate]) -> dict[str, str]:
    return {name: gate.result for name, gate in found.items() if gate.result != "Passed"}


def test_a_good_candidate_passes_every_gate() -> None:
    found = gates(verified())
    assert tuple(found) == ALL
    assert stopping(found) == {}
    assert passed(tuple(found.values()))
    assert all(gate.value and gate.threshold and not gate.message for gate in found.values())


@pytest.mark.parametrize(
    ("gate", "measured", "value", "said"),
    [
        ("IdSetsEqual", {"missing": 30}, "30", "30 documents are missing"),
        ("IdSetsEqual", {"extra": 21}, "21", "21 rows have no document"),
        ("IdSetsEqual", {"missing": 7, "extra": 7, "stale": 7}, "21", "7 rows have another text"),
        ("RowsLoaded", {"rows": 1900}, "1900", "as few as 1,900 rows"),
        (
            "EncoderSound",
            {"encoder_sound": False, "why": {"encoder_sound": "NaN for 米"}},
            "unsound",
            "NaN for 米",
        ),
        ("VectorsMatch", {"vectors_match": 0.9989}, "0.9989", "cosine 0.9989"),
        (
            "RecallAtK",
            {"recall": 0.9499},
            "0.9499",
            "first 100 hits is 0.9499, below gates.minRecallAtK 0.95",
        ),
        ("OverlapAt10", {"overlap": 0.5}, "0.5000", "only 50.0% of the first ten hits"),
        ("JudgedQueries", {"ndcg": 0.7899}, "0.7899", "nDCG@10 over 14 judged queries is 0.7899"),
        ("ZeroResultRate", {"zero_results": 0.06}, "0.0600", "6.0% of sample queries have no hit"),
        ("LatencyP95", {"p95_ms": 100.1}, "100.1ms", "took up to 100.1 ms"),
    ],
)
def test_one_bad_measurement_is_stopped_by_its_gate_alone(
    gate: str, measured: dict[str, Any], value: str, said: str
) -> None:
    found = gates(verified(**measured))
    assert stopping(found) == {gate: "Failed"}
    assert found[gate].value == value
    assert said in found[gate].message
    assert not passed(tuple(found.values()))


@pytest.mark.parametrize(
    ("gate", "measured"),
    [
        ("IdSetsEqual", {"missing": 5, "extra": 10, "stale": 5}),
        ("RowsLoaded", {"rows": 1980}),
        ("VectorsMatch", {"vectors_match": 0.999}),
        ("RecallAtK", {"recall": 0.95}),
        ("OverlapAt10", {"overlap": 0.90}),
        ("JudgedQueries", {"ndcg": 0.79}),
        ("ZeroResultRate", {"zero_results": 0.05}),
        ("LatencyP95", {"p95_ms": 100.0}),
    ],
)
def test_a_value_on_its_threshold_passes(gate: str, measured: dict[str, Any]) -> None:
    found = gates(verified(**measured))
    assert found[gate].result == "Passed", found[gate]


@pytest.mark.parametrize(
    ("gate", "result", "view"),
    [
        ("RowsLoaded", "Failed", {"rows": 1979}),
        ("RowsLoaded", "Pending", {"rows": None}),
        ("IndexFinished", "Pending", {"index_finished": False, "pending_rows": 400}),
        ("ReplicasLoaded", "Pending", {"replicas": 0}),
        ("ReplicasLoaded", "Pending", {"loaded": False}),
    ],
)
def test_milvus_as_it_is_now_is_asked_too(gate: str, result: str, view: dict[str, Any]) -> None:
    assert stopping(gates(verified(), view=view)) == {gate: result}


def test_a_catch_up_with_different_id_sets_is_stopped() -> None:
    different = job("catchup", report=report("r-12345678", ROWS, id_sets_equal=False))
    assert stopping(gates(verified(), build=different)) == {"IdSetsEqual": "Failed"}


def test_without_a_catch_up_its_gates_wait() -> None:
    running = job("catchup", succeeded=False, report=None, finished_at="")
    assert stopping(gates(verified(), build=running)) == {"IdSetsEqual": "Pending", "RowsLoaded": "Pending"}


def test_a_refresh_that_adds_rows_stops_nothing() -> None:
    assert stopping(gates(verified(rows=2300), view={"rows": 2300})) == {}


def test_before_the_verification_has_ended_its_gates_wait() -> None:
    waiting = {name: "Pending" for name in ALL if name not in ("IndexFinished", "ReplicasLoaded")}
    assert stopping(gates(None)) == waiting
    running = job(
        "verify", succeeded=False, finished_at="", report=report("r-12345678", reason="InternalError")
    )
    assert stopping(gates(running)) == waiting


def test_a_verification_that_failed_for_good_passes_nothing() -> None:
    broken = job(
        "verify",
        succeeded=False,
        failed=True,
        report=report("r-12345678", reason="VectorStoreUnavailable", message="Milvus: away"),
    )
    found = gates(broken)
    assert set(stopping(found)) == set(ALL) - {"IndexFinished", "ReplicasLoaded"}
    assert found["RecallAtK"].message == "can't be evaluated: Milvus: away"


@pytest.mark.parametrize(
    ("field", "gate"),
    [
        ("missing", "IdSetsEqual"),
        ("extra", "IdSetsEqual"),
        ("stale", "IdSetsEqual"),
        ("rows", "RowsLoaded"),
        ("encoder_sound", "EncoderSound"),
        ("vectors_match", "VectorsMatch"),
        ("recall", "RecallAtK"),
        ("overlap", "OverlapAt10"),
        ("ndcg", "JudgedQueries"),
        ("active_ndcg", "JudgedQueries"),
        ("zero_results", "ZeroResultRate"),
        ("p95_ms", "LatencyP95"),
    ],
)
def test_what_could_not_be_measured_is_not_passed(field: str, gate: str) -> None:
    found = gates(verified(**{field: None, "why": {field: "it was in the way"}}))
    assert stopping(found) == {gate: "Failed"}
    assert found[gate].message == "can't be evaluated: it was in the way"


def test_a_gate_is_listed_only_where_it_applies() -> None:
    other_encoder = gates(verified(overlap=None), same_fingerprint=False)
    assert set(ALL) - set(other_encoder) == {"OverlapAt10"}
    first = gates(
        verified(overlap=None, active_ndcg=None, ndcg=0.1), has_active=False, same_fingerprint=False
    )
    assert set(ALL) - set(first) == {"OverlapAt10"}
    assert stopping(first) == {}
    unjudged = gates(verified(ndcg=None, active_ndcg=None), spec={})
    assert set(ALL) - set(unjudged) == {"JudgedQueries"}
    assert stopping(unjudged) == {}


def test_the_first_release_needs_judged_queries_that_can_be_evaluated() -> None:
    unread = gates(
        verified(ndcg=None, why={"ndcg": "line 3 is no JSON"}), has_active=False, same_fingerprint=False
    )
    assert stopping(unread) == {"JudgedQueries": "Failed"}
    assert "line 3 is no JSON" in unread["JudgedQueries"].message


def test_rounded_vectors_may_differ_by_what_batch_mates_do() -> None:
    of = index(**JUDGED)
    view = collection(of)
    rounded = replace(
        view,
        record=view.record.model_copy(
            update={"encoder": view.record.encoder.model_copy(update={"precision": "int8"})}
        ),
    )
    assert stopping(gates(verified(vectors_match=0.9906), seen=rounded)) == {}
    assert stopping(gates(verified(vectors_match=0.9899), seen=rounded)) == {"VectorsMatch": "Failed"}


def test_thresholds_are_the_users() -> None:
    strict: dict[str, Any] = {
        "rollout": {
            "gates": {
                "minRecallAtK": "0.995",
                "minOverlapAt10": "0.98",
                "maxZeroResultRate": "0",
                "maxP95": "15ms",
            }
        }
    }
    found = gates(verified(zero_results=0.005), spec=strict)
    assert set(stopping(found)) == {"RecallAtK", "OverlapAt10", "ZeroResultRate", "LatencyP95"}


def test_a_large_catalogue_may_change_by_a_thousandth_meanwhile() -> None:
    assert (tolerated_rows(0), tolerated_rows(20_000), tolerated_rows(1_000_000)) == (20, 20, 1000)


def test_no_gates_prove_nothing() -> None:
    assert not passed(())
