"""The status as metrics: a release that is gone leaves no series behind."""

import re
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from search_operator.run import metrics
from search_operator.run.metrics import forget, forget_all, tell

NAMESPACE, INDEX = "search", "metrics-test"
KEY = {"namespace": NAMESPACE, "index": INDEX}


def series(name: str) -> dict[tuple[str, ...], float]:
    """The index's series of a metric: what tells them apart, and their values."""
    found = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name == name and sample.labels.items() >= KEY.items():
                found[tuple(v for k, v in sample.labels.items() if k not in KEY)] = sample.value
    return found


def test_what_is_said_of_search_and_entry_goes_with_the_status() -> None:
    entry = {"type": "EntryReady", "status": "Unknown"}
    search = {"onPolicy": 2, "breakers": [{"name": "milvus", "open": 1}], "rerankersDesired": 3}
    tell(NAMESPACE, INDEX, {"conditions": [entry], "search": search})
    assert series("semantic_search_index_condition") == {("EntryReady",): -1}
    assert series("semantic_search_index_gateways_on_policy") == {(): 2}
    assert series("semantic_search_index_breakers_open") == {("milvus",): 1}
    assert series("semantic_search_index_rerankers") == {("ready",): 0, ("desired",): 3}
    tell(NAMESPACE, INDEX, {"conditions": [], "search": {"onPolicy": 3}})
    assert series("semantic_search_index_condition") == {}
    assert series("semantic_search_index_breakers_open") == {}
    forget(NAMESPACE, INDEX)
    assert series("semantic_search_index_gateways_on_policy") == {}


def test_releases_and_gates_come_and_go_with_the_status() -> None:
    gates = [
        {"name": "RecallAtK", "result": "Passed"},
        {"name": "Overlap", "result": "Failed"},
        {"name": "Latency", "result": "Pending"},
    ]
    candidate = {"name": "r-2", "role": "Candidate", "stage": "Verifying", "gates": gates}
    active = {"name": "r-1", "role": "Active", "rows": 7}
    tell(NAMESPACE, INDEX, {"releases": [active, candidate], "gateway": {"onActive": 2}})
    assert series("semantic_search_index_release") == {
        ("r-1", "Active", ""): 1,
        ("r-2", "Candidate", "Verifying"): 1,
    }
    assert series("semantic_search_index_gate") == {
        ("r-2", "RecallAtK"): 1,
        ("r-2", "Overlap"): 0,
        ("r-2", "Latency"): -1,
    }
    assert series("semantic_search_index_gateways_on_active") == {(): 2}

    tell(NAMESPACE, INDEX, {"releases": [{"name": "r-2", "role": "Active", "rows": 8}]})
    assert series("semantic_search_index_release") == {("r-2", "Active", ""): 1}
    assert series("semantic_search_index_gate") == {}
    assert series("semantic_search_index_gateways_on_active") == {(): 0}

    forget(NAMESPACE, INDEX)
    assert not series("semantic_search_index_release")
    assert not series("semantic_search_index_gateways_on_active")
    tell(NAMESPACE, INDEX, {})
    forget(NAMESPACE, INDEX)


def test_money_is_shown_and_goes_when_nobody_counts() -> None:
    cost = {
        "currency": "USD",
        "spent": "12.34",
        "projected": "4982.40",
        "cap": "5000.00",
        "allowedMax": 11,
        "deferred": ["FullRebuild"],
    }
    tell(NAMESPACE, INDEX, {"cost": cost})
    assert series("ssi_cost_spent") == {("USD",): 12.34}
    assert series("ssi_cost_projected") == {("USD",): 4982.4}
    assert series("ssi_encoders_allowed") == {(): 11}
    assert series("ssi_deferred") == {("FullRebuild",): 1}
    tell(NAMESPACE, INDEX, {"cost": cost | {"currency": "CNY", "deferred": []}})
    assert series("ssi_cost_spent") == {("CNY",): 12.34}
    assert series("ssi_deferred") == {}
    tell(NAMESPACE, INDEX, {})
    assert series("ssi_cost_spent") == {}
    forget(NAMESPACE, INDEX)


def test_windows_are_shown_by_state_and_go_when_they_close() -> None:
    times = {
        "warmFrom": "2026-11-10T11:54:00Z",
        "start": "2026-11-10T12:00:00Z",
        "end": "2026-11-11T16:00:00Z",
    }
    sale = {"name": "double-11", "state": "Warming", "replicas": 12, "granted": 11, **times}
    again = {"name": "double-11", "state": "Next", "replicas": 12, **times}
    tell(NAMESPACE, INDEX, {"encoder": {"minReplicas": 4, "maxReplicas": 12, "windows": [sale, again]}})
    warming, following = ("double-11", "Warming"), ("double-11", "Next")
    assert series("ssi_prewarm_window_state") == {warming: 1, following: 1}
    assert series("ssi_prewarm_window_start_timestamp_seconds")[warming] == 1_794_312_000
    assert series("ssi_prewarm_window_warm_from_timestamp_seconds")[following] == 1_794_311_640
    assert series("ssi_prewarm_window_end_timestamp_seconds")[warming] == 1_794_412_800
    assert series("ssi_prewarm_window_encoders") == {warming: 12, following: 12}
    assert series("ssi_prewarm_window_encoders_granted") == {warming: 11}
    assert series("ssi_encoders_declared") == {("min",): 4, ("max",): 12}
    tell(NAMESPACE, INDEX, {"encoder": {"windows": [again | {"state": "Open"}]}})
    assert series("ssi_prewarm_window_state") == {("double-11", "Open"): 1}
    assert series("ssi_prewarm_window_encoders_granted") == {}
    forget(NAMESPACE, INDEX)
    assert series("ssi_prewarm_window_state") == {}
    assert series("ssi_prewarm_window_start_timestamp_seconds") == {}


def test_the_comparison_with_opencost_is_shown() -> None:
    compared = {
        "spent": "20.00",
        "ledger": "33.60",
        "agrees": False,
        "asOf": "2026-12-01T16:00:00Z",
        "items": [],
    }
    tell(NAMESPACE, INDEX, {"cost": {"currency": "USD", "openCost": compared}})
    assert series("ssi_opencost_spent") == {("USD",): 20}
    assert series("ssi_opencost_ledger_spent") == {("USD",): 33.6}
    assert series("ssi_opencost_agrees") == {(): 0}
    assert series("ssi_opencost_as_of_timestamp_seconds") == {(): 1_796_140_800}
    tell(NAMESPACE, INDEX, {"cost": {"currency": "USD", "openCost": {"items": [], "message": "it is away"}}})
    assert series("ssi_opencost_spent") == {}
    assert series("ssi_opencost_agrees") == {}
    forget(NAMESPACE, INDEX)


def test_who_leads_no_more_tells_of_no_index() -> None:
    tell(NAMESPACE, INDEX, {"encoder": {"ready": 4}, "cost": {"currency": "USD", "spent": "1.00"}})
    tell(NAMESPACE, "metrics-other", {"encoder": {"ready": 4}})
    forget_all()
    names = ("semantic_search_index_encoders", "ssi_cost_spent")
    left = [s for m in REGISTRY.collect() for s in m.samples if s.name in names]
    assert left == []


def test_the_document_lists_every_metric_with_its_labels() -> None:
    """The table in docs/operations.md: `name`, labels, meaning."""
    document = (Path(__file__).resolve().parents[3] / "docs" / "operations.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", document, re.MULTILINE))
    values = [
        v for held in vars(metrics).values() for v in (held.values() if isinstance(held, dict) else [held])
    ]
    found = {
        metric._name + ("_total" if metric._type == "counter" else ""): metric._labelnames
        for metric in values
        if isinstance(metric, MetricWrapperBase)
    }
    assert {name: ", ".join(f"`{label}`" for label in labels) for name, labels in found.items()} == {
        name: listed.get(name, "").strip() for name in found
    }
    assert len(found) > 25
