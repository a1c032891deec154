"""The status as metrics: a release that is gone leaves no series behind."""

from prometheus_client import REGISTRY
from search_operator.run.metrics import forget, tell

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
