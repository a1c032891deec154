"""Prometheus metrics of the operator."""

from collections.abc import Iterable, Mapping
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
GATE = Gauge(
    "semantic_search_index_gate",
    "Check of a release: 1 passed, 0 failed, -1 pending.",
    ["namespace", "index", "release", "gate"],
)
RELEASE = Gauge(
    "semantic_search_index_release",
    "Always 1: a release with its role and, of a candidate, its stage.",
    ["namespace", "index", "release", "role", "stage"],
)
ON_ACTIVE = Gauge(
    "semantic_search_index_gateways_on_active",
    "Gateways that answer from the active release, by their own word.",
    ["namespace", "index"],
)
_VALUES = {"True": 1, "False": 0, "Unknown": -1}
_GATE_VALUES = {"Passed": 1, "Failed": 0, "Pending": -1}
_told_releases: dict[tuple[str, str], dict[Gauge, set[tuple[str, ...]]]] = {}


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
    ON_ACTIVE.labels(namespace, index).set(said.get("gateway", {}).get("onActive", 0))
    _tell_releases((namespace, index), said.get("releases", ()))


def _tell_releases(key: tuple[str, str], releases: Iterable[Mapping[str, Any]]) -> None:
    """Show the releases and their gates; series of what is said no more go, after the new ones are there."""
    wanted: dict[Gauge, dict[tuple[str, ...], int]] = {RELEASE: {}, GATE: {}}
    for release in releases:
        name = release["name"]
        wanted[RELEASE][*key, name, release["role"], release.get("stage") or ""] = 1
        for gate in release.get("gates", ()):
            wanted[GATE][*key, name, gate["name"]] = _GATE_VALUES[gate["result"]]
    before = _told_releases.get(key, {})
    for gauge, series in wanted.items():
        for labels, value in series.items():
            gauge.labels(*labels).set(value)
        for labels in before.get(gauge, set()) - series.keys():
            gauge.remove(*labels)
    _told_releases[key] = {gauge: set(series) for gauge, series in wanted.items()}


def forget(namespace: str, index: str) -> None:
    """Drop the series of a deleted index."""
    _told_releases.pop((namespace, index), None)
    for metric in (CONDITION, ENCODERS, ROWS, GATE, RELEASE, ON_ACTIVE):
        metric.remove_by_labels({"namespace": namespace, "index": index})
