"""Why an index is not Ready and what it waits for, ordered by what to do first: pure.

First what nothing goes on without, then what only a person can remove, then what holds up others (stores before
encoders before releases before gateways), then what goes by itself; last, what keeps nobody from an answer: scaling
and money.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from search_operator.cli.concerns import SUMMARIES, Concern, concerns, conditions_of, is_ready, lagging
from search_operator.cli.remedies import OPERATORS_PAGE, RELEASES_PAGE, Remedy, remedy_of
from search_operator.decide.conditions import pod_trouble
from search_operator.decide.schedule import rfc3339
from search_operator.observe.workloads import pod_view

Object = Mapping[str, Any]

NOBODY_LOOKS = "OperatorAway"
_ORDER = (
    "Paused",
    "VectorStoreReady",
    "CatalogueReady",
    "EncoderReady",
    "Autoscaling",
    "Pods",
    "Events",
    "Promotable",
    "Releases",
    "SearchReady",
    "EntryReady",
    "WithinBudget",
    "BackedUp",
)
_FATAL = frozenset({"InvalidSpec", "DeletionBlocked", NOBODY_LOOKS, "PausedBySpec"})
# Of scaling: the encoders that are there go on answering.
_ANSWERS_FLOW = frozenset(
    {
        "TwoScalers",
        "CannotScale",
        "MetricsMissing",
        "PausedByKeda",
        "FailedGetResourceMetric",
        "FailedGetPodsMetric",
        "FailedComputeMetricsReplicas",
    }
)
_EVENTS_TOLD = 5
_EVENTS_COUNT = timedelta(minutes=15)
# What a condition says of these already, or what is as old as the pod and over.
_SAID_ELSEWHERE = frozenset({"FailedScheduling", "BackOff", "Failed", "Unhealthy"})
_EVENT_REMEDIES = {
    "FailedCreate": "raise the namespace's ResourceQuota or remove what refuses the pod, as the message says",
    "FailedMount": "create the Secret, ConfigMap or claim that the message names",
    "FailedAttachVolume": "see to the volume that the message names",
    "FailedGetResourceMetric": "see that metrics-server runs: the HPA has no CPU figures",
    "FailedGetPodsMetric": "see that the custom metrics API answers: kubectl get apiservice",
    "FailedComputeMetricsReplicas": "see that the metrics the HPA asks for are served",
}


@dataclass(frozen=True)
class Cause:
    """One thing that keeps the index from being Ready, or that is not as it should be.

    `do` is an order to a person, empty for what goes by itself; `waits` tells what it waits for.
    """

    subject: str
    reason: str
    says: str
    do: str
    page: str
    waits: str = ""


@dataclass(frozen=True)
class Explanation:
    """`causes` in the order of what to do first; `unseen` what could not be looked at, and why."""

    namespace: str
    name: str
    ready: bool
    says: str
    causes: tuple[Cause, ...]
    unseen: tuple[str, ...] = ()


def explain(
    index: Object,
    pods: Sequence[Object],
    events: Sequence[Object],
    now: datetime,
    others: Sequence[str] = (),
    unseen: Sequence[str] = (),
) -> Explanation:
    """From the index, its pods and the namespace's warning events; `others` are the namespace's other indexes."""
    meta, status = index["metadata"], index.get("status") or {}
    ready = is_ready(status) and not lagging(index)
    # What hindered something that is well by now hinders nothing.
    recent = [] if ready else [e for e in events if _when(e) >= rfc3339(now - _EVENTS_COUNT)]
    found = [*_own(index), *_pods(index, pods), *_events(index, recent, others), *_releases(index)]
    headline = str(conditions_of(status).get("Ready", {}).get("message") or "no condition says so yet")
    ordered = sorted(_distinct(found), key=_rank)
    return Explanation(meta["namespace"], meta["name"], ready, headline, tuple(ordered), tuple(unseen))


def _rank(cause: Cause) -> tuple[int, int, int]:
    """Fatal ones, then those with something to do, each in the order of dependence."""
    kind = cause.subject.split(" ", 1)[0]
    place = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
    harmless = kind == "WithinBudget" or cause.reason in _ANSWERS_FLOW
    return (0 if cause.reason in _FATAL else 1, 2 if harmless else 0 if cause.do else 1, place)


def _distinct(causes: Sequence[Cause]) -> Iterator[Cause]:
    """Without what an earlier cause has said in the same words, such as a Secret that two stores lack."""
    said: list[str] = []
    for cause in causes:
        if cause.says and any(cause.says in earlier for earlier in said):
            continue
        said.append(cause.says)
        yield cause


def _own(index: Object) -> Iterator[Cause]:
    """What the operator says, or that it says nothing."""
    status = index.get("status") or {}
    if note := lagging(index):
        do = "see that the operator runs: kubectl get pods -A -l app.kubernetes.io/name=semantic-search-operator"
        yield Cause("Operator", NOBODY_LOOKS, note, do, OPERATORS_PAGE)
    told = concerns(status)
    others = [each for each in told if each.type not in SUMMARIES]
    # A summary is told when it is what matters, or nothing else says why.
    fatal = [each for each in told if each.type in SUMMARIES and each.reason in _FATAL]
    summaries = [each for each in told if each.type in SUMMARIES and each not in fatal]
    for concern in (*fatal, *(others or ([] if fatal else summaries))):
        yield _cause(index, concern)


def _cause(index: Object, concern: Concern) -> Cause:
    remedy = _remedy(index, concern.type, concern.reason)
    return Cause(concern.type, concern.reason, concern.message, remedy.do, remedy.page)


def _remedy(index: Object, kind: str, reason: str, pod: str = "") -> Remedy:
    meta = index["metadata"]
    return remedy_of(kind, reason, name=meta["name"], namespace=meta["namespace"], pod=pod)


def _pods(index: Object, pods: Sequence[Object]) -> Iterator[Cause]:
    """One cause for each kind of pod and reason, with the pods that have it."""
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for pod in pods:
        view = pod_view(dict(pod))
        trouble = None if view.deleted else pod_trouble([view])
        if trouble:
            grouped.setdefault((view.component, trouble.reason), []).append((view.name, trouble.message))
    for (component, reason), found in grouped.items():
        name, says = found[0]
        more = f" (and {len(found) - 1} more {component} pods)" if len(found) > 1 else ""
        remedy = _remedy(index, "Pods", reason, name)
        yield Cause(f"Pods of {component}", reason, f"{says}{more}", remedy.do, remedy.page)


def _events(index: Object, events: Sequence[Object], others: Sequence[str]) -> Iterator[Cause]:
    """The newest warnings about what the index owns, each reason once; others than the conditions tell already."""
    name = str(index["metadata"]["name"])
    longer = [other for other in others if other.startswith(f"{name}-")]
    newest: dict[str, Object] = {}
    for event in sorted(events, key=_when):
        target = str((event.get("involvedObject") or {}).get("name", ""))
        own = target.startswith(f"{name}-") and not any(
            target == other or target.startswith(f"{other}-") for other in longer
        )
        if own and event.get("reason") not in _SAID_ELSEWHERE:
            newest[str(event.get("reason"))] = event
    if newest.keys() & {"FailedGetResourceMetric", "FailedGetPodsMetric"}:
        # Which only says that again.
        newest.pop("FailedComputeMetricsReplicas", None)
    for reason, event in list(reversed(newest.items()))[:_EVENTS_TOLD]:
        about = event["involvedObject"]
        says = f"{about.get('kind')} {about.get('name')}: {event.get('message', '')}"
        remedy = _remedy(index, "Events", reason)
        yield Cause("Events", reason, says, _EVENT_REMEDIES.get(reason, remedy.do), remedy.page)


def _when(event: Object) -> str:
    series = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return max((str(time) for time in times if time), default="")


def _releases(index: Object) -> Iterator[Cause]:
    """What releases on their way wait for, gate by gate where these are what is asked."""
    for release in (index.get("status") or {}).get("releases") or ():
        role, name = release.get("role"), release.get("name")
        subject, waits = f"Releases {name}", str(release.get("waitingFor") or "")
        failed = [gate for gate in release.get("gates") or () if gate.get("result") == "Failed"]
        if role in ("Candidate", "Failed"):
            for gate in failed:
                measured = f"{gate.get('value', 'nothing')} was measured, {gate.get('threshold')} is asked"
                says = f"gate {gate['name']}: {measured}; {gate.get('message') or ''}".rstrip("; ")
                yield Cause(subject, "GateFailed", says, "", RELEASES_PAGE)
        if role == "Candidate" and release.get("stage") not in (None, "AwaitingApproval"):
            progress = release.get("progress") or {}
            far = f"{progress['percent']} % done" if progress.get("total") else "on its way"
            yield Cause(subject, str(release["stage"]), far, "", RELEASES_PAGE, waits)
        if role == "Retiring" and waits:
            yield Cause(subject, "Retiring", "is on its way out", "", RELEASES_PAGE, waits)
