"""What a screen about an index shows: frozen data from the resource as it is, no I/O, no layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_operator.cli.concerns import Concern, concerns, conditions_of, is_ready, lagging

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a job is; counts are documents. `eta` in RFC 3339, None where nobody knows."""

    done: int
    total: int
    percent: int
    rows_per_second: int
    eta: str | None = None


@dataclass(frozen=True)
class GateLine:
    """One gate of a release."""

    name: str
    result: str
    value: str
    threshold: str
    message: str


@dataclass(frozen=True)
class ReleaseLine:
    """One release with its part; empty text for what the status does not tell."""

    name: str
    role: str
    stage: str
    waiting_for: str
    since: str
    deadline: str
    retained_until: str
    rows: int | None
    progress: Progress | None
    gates: tuple[GateLine, ...]
    message: str


@dataclass(frozen=True)
class EncoderFleet:
    """The encoders; `allowed` is the maximum that the HPA has, None where it is not told."""

    ready: int
    desired: int
    minimum: int | None
    maximum: int | None
    allowed: int | None
    scaler: str
    start_seconds: int | None


@dataclass(frozen=True)
class WindowLine:
    """A pre-warm window that is open, warming, or the next one."""

    name: str
    state: str
    warm_from: str
    start: str
    end: str
    replicas: int
    granted: int | None


@dataclass(frozen=True)
class Money:
    """The month's money as amounts with two decimals; `reached_at` is when the cap is reached, empty for not this month."""

    currency: str
    month: str
    spent: str
    projected: str
    cap: str
    at_minimum: str
    hourly: str
    allowed_max: int | None
    reached_at: str
    deferred: tuple[str, ...]
    as_of: str


@dataclass(frozen=True)
class RefreshLine:
    """The refresh: when the next one is due, how the last one went."""

    running: bool
    progress: Progress | None
    next: str
    last_success: str
    message: str


@dataclass(frozen=True)
class Screen:
    """One index. `note` says that the status is not about the spec as it is; `doing` what the operator works at."""

    namespace: str
    name: str
    ready: bool
    phase: str
    active: str
    note: str
    doing: str
    releases: tuple[ReleaseLine, ...]
    fleet: EncoderFleet | None
    windows: tuple[WindowLine, ...]
    gateways: str
    refresh: RefreshLine | None
    money: Money | None
    concerns: tuple[Concern, ...]
    candidate: str = ""
    """The candidate and how far it is, in short."""
    rows: str = ""


def screen(index: Object) -> Screen:
    """The screen of one index; whatever the status lacks is left out."""
    meta, status = index["metadata"], index.get("status") or {}
    working = conditions_of(status).get("Reconciling", {})
    short = status.get("summary") or {}
    return Screen(
        namespace=str(meta["namespace"]),
        name=str(meta["name"]),
        ready=is_ready(status),
        phase="Deleting" if meta.get("deletionTimestamp") else str(status.get("phase") or "Unknown"),
        active=str(status.get("activeRelease") or ""),
        note=lagging(index),
        doing=str(working.get("message") or working.get("reason") or "")
        if working.get("status") == "True"
        else "",
        releases=tuple(_release(each) for each in status.get("releases") or ()),
        fleet=_fleet(status.get("encoder")),
        windows=tuple(_window(each) for each in (status.get("encoder") or {}).get("windows") or ()),
        gateways=_gateways(status),
        refresh=_refresh(status.get("refresh")),
        money=money_of(status.get("cost")),
        concerns=concerns(status),
        candidate=str(short.get("candidate") or ""),
        rows=str(short.get("rows") or ""),
    )


def screens(indexes: Sequence[Object]) -> tuple[Screen, ...]:
    """One for each index."""
    return tuple(screen(index) for index in indexes)


def encoders(count: int) -> str:
    """`1 encoder`, `4 encoders`."""
    return f"{count} encoder{'' if count == 1 else 's'}"


def money_of(cost: Object | None) -> Money | None:
    """status.cost; None when nobody counts."""
    if not cost or cost.get("spent") is None:
        return None
    text = {key: str(cost.get(key) or "") for key in ("currency", "month", "spent", "projected", "cap")}
    return Money(
        **text,
        at_minimum=str(cost.get("atMinimum") or ""),
        hourly=str(cost.get("hourly") or ""),
        allowed_max=cost.get("allowedMax"),
        reached_at=str(cost.get("reachedAt") or ""),
        deferred=tuple(cost.get("deferred") or ()),
        as_of=str(cost.get("asOf") or ""),
    )


def _release(told: Object) -> ReleaseLine:
    return ReleaseLine(
        name=str(told.get("name", "")),
        role=str(told.get("role", "")),
        stage=str(told.get("stage") or ""),
        waiting_for=str(told.get("waitingFor") or ""),
        since=str(told.get("since") or ""),
        deadline=str(told.get("deadline") or ""),
        retained_until=str(told.get("retainedUntil") or ""),
        rows=told.get("rows"),
        progress=_progress(told.get("progress")),
        gates=tuple(_gate(each) for each in told.get("gates") or ()),
        message=str(told.get("message") or ""),
    )


def _gate(told: Object) -> GateLine:
    fields = ("name", "result", "value", "threshold", "message")
    return GateLine(*(str(told.get(field) or "") for field in fields))


def _progress(told: Object | None) -> Progress | None:
    if not told or not told.get("total"):
        return None
    done, total = int(told.get("done", 0)), int(told["total"])
    return Progress(
        done, total, int(told.get("percent", 0)), int(told.get("rowsPerSecond", 0)), told.get("eta")
    )


def _fleet(told: Object | None) -> EncoderFleet | None:
    if not told:
        return None
    return EncoderFleet(
        ready=int(told.get("ready", 0)),
        desired=int(told.get("desired", 0)),
        minimum=told.get("minReplicas"),
        maximum=told.get("maxReplicas"),
        allowed=told.get("allowedMax"),
        scaler=str(told.get("scaler") or ""),
        start_seconds=told.get("startSeconds"),
    )


def _window(told: Object) -> WindowLine:
    text = {key: str(told.get(key) or "") for key in ("name", "state", "start", "end")}
    warm_from, replicas = str(told.get("warmFrom") or ""), int(told.get("replicas", 0))
    return WindowLine(**text, warm_from=warm_from, replicas=replicas, granted=told.get("granted"))


def _gateways(status: Object) -> str:
    told, search = status.get("gateway"), status.get("search") or {}
    if not told:
        return ""
    said = [f"{told.get('ready', 0)} of {told.get('desired', 0)} ready"]
    if status.get("activeRelease"):
        said.append(f"{told.get('onActive', 0)} answer from {status['activeRelease']}")
    if search.get("gateways") and search.get("onPolicy") != search.get("gateways"):
        said.append(f"{search.get('onPolicy', 0)} of {search['gateways']} hold the spec's search policy")
    if search.get("rerankersDesired"):
        said.append(f"{search.get('rerankersReady') or 0} of {search['rerankersDesired']} re-rankers ready")
    said += [f"{b['name']} left out by {b.get('open', 0)}" for b in search.get("breakers") or ()]
    return ", ".join(said)


def _refresh(told: Object | None) -> RefreshLine | None:
    if not told:
        return None
    return RefreshLine(
        running=bool(told.get("running")),
        progress=_progress(told.get("progress")),
        next=str(told.get("next") or ""),
        last_success=str(told.get("lastSuccess") or ""),
        message=str(told.get("message") or ""),
    )
