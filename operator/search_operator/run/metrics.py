"""Prometheus metrics of the operator."""

from collections.abc import Mapping
from datetime import datetime
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
METRICS_API_REQUESTS = Counter(
    "semantic_search_operator_metrics_api_requests_total",
    "Requests to the custom-metrics API of this replica, by HTTP status.",
    ["status"],
)
METRICS_API_SILENT = Counter(
    "semantic_search_operator_metrics_api_silent_pods_total",
    "Encoder pods that were left out of an answer, for they told no tokens in flight in time.",
)
METRICS_API_CERTIFICATE_ENDS = Gauge(
    "semantic_search_operator_metrics_api_certificate_ends_seconds",
    "When the serving certificate of the custom-metrics API ends, in seconds since 1970.",
)
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
ON_POLICY = Gauge(
    "semantic_search_index_gateways_on_policy",
    "Gateways that answer by the policy that the spec declares, by their own word.",
    ["namespace", "index"],
)
BREAKER = Gauge(
    "semantic_search_index_breakers_open",
    "Gateways that do without a dependency, by their own word.",
    ["namespace", "index", "dependency"],
)
RERANKERS = Gauge(
    "semantic_search_index_rerankers", "Re-ranker pods of an index.", ["namespace", "index", "state"]
)
COST = {
    "spent": Gauge(
        "ssi_cost_spent", "What was spent in this billing month.", ["namespace", "index", "currency"]
    ),
    "projected": Gauge(
        "ssi_cost_projected",
        "What this billing month comes to as it runs now.",
        ["namespace", "index", "currency"],
    ),
    "atMinimum": Gauge(
        "ssi_cost_at_minimum",
        "What this billing month comes to with the fewest encoders from now on.",
        ["namespace", "index", "currency"],
    ),
    "cap": Gauge("ssi_cost_cap", "The monthly cap.", ["namespace", "index", "currency"]),
    "hourly": Gauge(
        "ssi_cost_hourly", "What an hour costs as it runs now.", ["namespace", "index", "currency"]
    ),
}
ALLOWED = Gauge(
    "ssi_encoders_allowed", "Encoders of all releases that the guard allows.", ["namespace", "index"]
)
DECLARED = Gauge(
    "ssi_encoders_declared",
    "Encoders that the spec declares, as bound min or max.",
    ["namespace", "index", "bound"],
)
DEFERRED = Gauge("ssi_deferred", "Always 1: what waits for money.", ["namespace", "index", "what"])
WINDOW = Gauge(
    "ssi_prewarm_window_state",
    "Always 1: a pre-warm window with its state, Next, Warming or Open; of those to come only the next one.",
    ["namespace", "index", "window", "state"],
)
WINDOW_TIMES = {
    "warmFrom": Gauge(
        "ssi_prewarm_window_warm_from_timestamp_seconds",
        "From when on encoders are started for a pre-warm window.",
        ["namespace", "index", "window", "state"],
    ),
    "start": Gauge(
        "ssi_prewarm_window_start_timestamp_seconds",
        "When a pre-warm window starts.",
        ["namespace", "index", "window", "state"],
    ),
    "end": Gauge(
        "ssi_prewarm_window_end_timestamp_seconds",
        "When a pre-warm window ends.",
        ["namespace", "index", "window", "state"],
    ),
}
WINDOW_ENCODERS = {
    "replicas": Gauge(
        "ssi_prewarm_window_encoders",
        "Encoders that a pre-warm window asks for.",
        ["namespace", "index", "window", "state"],
    ),
    "granted": Gauge(
        "ssi_prewarm_window_encoders_granted",
        "Encoders that the cap and other releases leave a pre-warm window.",
        ["namespace", "index", "window", "state"],
    ),
}
OPEN_COST = {
    "spent": Gauge(
        "ssi_opencost_spent",
        "What OpenCost says this month has cost, of the items that the ledger counts too.",
        ["namespace", "index", "currency"],
    ),
    "ledger": Gauge(
        "ssi_opencost_ledger_spent",
        "What the ledger says of the same items and time.",
        ["namespace", "index", "currency"],
    ),
}
OPEN_COST_AS_OF = Gauge(
    "ssi_opencost_as_of_timestamp_seconds",
    "Until when the ledger and OpenCost are compared.",
    ["namespace", "index"],
)
OPEN_COST_AGREES = Gauge(
    "ssi_opencost_agrees",
    "1 while the ledger and OpenCost are no further apart than the tolerance, else 0.",
    ["namespace", "index"],
)
_SERIES = (
    CONDITION,
    BREAKER,
    RELEASE,
    GATE,
    ALLOWED,
    DECLARED,
    DEFERRED,
    WINDOW,
    OPEN_COST_AS_OF,
    OPEN_COST_AGREES,
    *COST.values(),
    *OPEN_COST.values(),
    *WINDOW_TIMES.values(),
    *WINDOW_ENCODERS.values(),
)
_Wanted = dict[Gauge, dict[tuple[str, ...], float]]
_VALUES = {"True": 1, "False": 0, "Unknown": -1}
_GATE_VALUES = {"Passed": 1, "Failed": 0, "Pending": -1}
_told: dict[tuple[str, str], dict[Gauge, set[tuple[str, ...]]]] = {}


def tell(namespace: str, index: str, said: Mapping[str, Any]) -> None:
    """Show a status as metrics."""
    encoder = said.get("encoder", {})
    for state in ("ready", "desired"):
        ENCODERS.labels(namespace, index, state).set(encoder.get(state, 0))
    for release in said.get("releases", ()):
        if release.get("role") == "Active":
            ROWS.labels(namespace, index).set(release.get("rows", 0))
    ON_ACTIVE.labels(namespace, index).set(said.get("gateway", {}).get("onActive", 0))
    search = said.get("search", {})
    ON_POLICY.labels(namespace, index).set(search.get("onPolicy", 0))
    for state in ("ready", "desired"):
        RERANKERS.labels(namespace, index, state).set(search.get(f"rerankers{state.capitalize()}", 0))
    _tell_series((namespace, index), said)


def _tell_series(key: tuple[str, str], said: Mapping[str, Any]) -> None:
    """Show conditions, money, breakers, releases and gates; what is said no more goes, once the new series are there."""
    wanted: _Wanted = {gauge: {} for gauge in _SERIES}
    _money(wanted, key, said.get("cost", {}))
    _encoders(wanted, key, said.get("encoder", {}))
    for condition in said.get("conditions", ()):
        wanted[CONDITION][*key, condition["type"]] = _VALUES[condition["status"]]
    for breaker in said.get("search", {}).get("breakers", ()):
        wanted[BREAKER][*key, breaker["name"]] = breaker["open"]
    for release in said.get("releases", ()):
        name = release["name"]
        wanted[RELEASE][*key, name, release["role"], release.get("stage") or ""] = 1
        for gate in release.get("gates", ()):
            wanted[GATE][*key, name, gate["name"]] = _GATE_VALUES[gate["result"]]
    before = _told.get(key, {})
    for gauge, series in wanted.items():
        for labels, value in series.items():
            gauge.labels(*labels).set(value)
        for labels in before.get(gauge, set()) - series.keys():
            gauge.remove(*labels)
    _told[key] = {gauge: set(series) for gauge, series in wanted.items()}


def _money(wanted: _Wanted, key: tuple[str, str], cost: Mapping[str, Any]) -> None:
    for name, gauge in COST.items():
        if name in cost:
            wanted[gauge][*key, cost.get("currency", "")] = float(cost[name])
    if "allowedMax" in cost:
        wanted[ALLOWED][key] = cost["allowedMax"]
    for what in cost.get("deferred", ()):
        wanted[DEFERRED][*key, what] = 1
    compared = cost.get("openCost", {})
    for name, gauge in OPEN_COST.items():
        if name in compared:
            wanted[gauge][*key, cost.get("currency", "")] = float(compared[name])
    if "asOf" in compared:
        wanted[OPEN_COST_AS_OF][key] = _seconds(compared["asOf"])
    if "agrees" in compared:
        wanted[OPEN_COST_AGREES][key] = int(compared["agrees"])


def _encoders(wanted: _Wanted, key: tuple[str, str], encoder: Mapping[str, Any]) -> None:
    for bound in ("min", "max"):
        if f"{bound}Replicas" in encoder:
            wanted[DECLARED][*key, bound] = encoder[f"{bound}Replicas"]
    for window in encoder.get("windows", ()):
        labels = (*key, window["name"], window["state"])
        wanted[WINDOW][labels] = 1
        for name, gauge in WINDOW_TIMES.items():
            wanted[gauge][labels] = _seconds(window[name])
        for name, gauge in WINDOW_ENCODERS.items():
            if name in window:
                wanted[gauge][labels] = window[name]


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def forget(namespace: str, index: str) -> None:
    """Drop the series of a deleted index."""
    _told.pop((namespace, index), None)
    for metric in (ENCODERS, ROWS, ON_ACTIVE, ON_POLICY, RERANKERS, *_SERIES):
        metric.remove_by_labels({"namespace": namespace, "index": index})


def forget_all() -> None:
    """Drop the series of all indexes: another replica tells of them now."""
    for key in list(_told):
        forget(*key)
