"""Prometheus metrics of the operator."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "semantic_search_operator_reconciles_total", "Passes over an index, by result.", ["result"]
)
RECONCILE_SECONDS = Histogram(
    "semantic_search_operator_reconcile_seconds",
    "Duration of a pass over one index.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
QUEUE_DEPTH = Gauge("semantic_search_operator_queue_depth", "Indexes that wait for a worker.")
LEADER = Gauge("semantic_search_operator_leader", "1 while this replica leads.")
CONDITION = Gauge(
    "semantic_search_index_condition",
    "Condition of an index: 1 true, 0 false, -1 unknown.",
    ["namespace", "index", "condition"],
)
ENCODERS = Gauge(
    "semantic_search_index_encoders", "Encoder pods of an index.", ["namespace", "index", "state"]
)
ROWS = Gauge("semantic_search_index_rows", "Rows that can be searched.", ["namespace", "index"])
_VALUES = {"True": 1, "False": 0, "Unknown": -1}


def tell(namespace: str, index: str, said: Mapping[str, Any]) -> None:
    """Show a status as metrics."""
    for condition in said.get("conditions", ()):
        CONDITION.labels(namespace, index, condition["type"]).set(_VALUES[condition["status"]])
    encoder = said.get("encoder", {})
    for state in ("ready", "desired"):
        ENCODERS.labels(namespace, index, state).set(encoder.get(state, 0))
    for release in said.get("releases", ()):
        if release.get("role") == "Active":
            ROWS.labels(namespace, index).set(release.get("rows", 0))


def forget(namespace: str, index: str) -> None:
    """Drop the series of a deleted index."""
    for metric in (CONDITION, ENCODERS, ROWS):
        metric.remove_by_labels({"namespace": namespace, "index": index})
