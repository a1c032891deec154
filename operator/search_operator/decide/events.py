"""Events: only when a condition or a stage has changed, so that a steady index is silent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

COLLECTION_GONE = "CollectionGone"
DEGRADED = "Degraded"
TOLD = (
    "Ready",
    "EncoderReady",
    "VectorStoreReady",
    "CatalogueReady",
    "SearchReady",
    "EntryReady",
    "Autoscaling",
    "WithinBudget",
    "Paused",
)
# Reasons of a False condition that are the way to True, not trouble.
UNDER_WAY = frozenset(
    [
        "Pending",
        "Provisioning",
        "Building",
        "CatchingUp",
        "Verifying",
        "Switching",
        "Starting",
        "Creating",
        "Changing",
        "Loading",
        "NoActiveRelease",
        "GatewayNotReady",
        "WaitingForController",
        "Deleting",
        "NotPaused",
    ]
)


@dataclass(frozen=True)
class Event:
    """One Kubernetes event about an index."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def events(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    """What a person following the index should hear between two statuses."""
    old = {c["type"]: c for c in before.get("conditions", ())}
    found: list[Event] = []
    for condition in after.get("conditions", ()):
        kind, told = condition["type"], old.get(condition["type"], {})
        news = (told.get("status"), told.get("reason")) != (condition["status"], condition["reason"])
        if kind not in TOLD or not news or (not told and condition["reason"] in UNDER_WAY):
            continue
        # Between two looks of its controller an autoscaler is often not known; what it was stays told.
        if kind == "Autoscaling" and condition["status"] == "Unknown" and condition["reason"] != "Changing":
            continue
        trouble = condition["reason"] in (COLLECTION_GONE, DEGRADED) or _worse_scaler(told, condition)
        warning = trouble or (condition["status"] == "False" and condition["reason"] not in UNDER_WAY)
        message = f"{kind} is {condition['status']}: {condition['message']}"
        found.append(Event("Warning" if warning else "Normal", condition["reason"], message))
    found += _money(before.get("cost") or {}, after.get("cost") or {})
    stages = {r["name"]: r.get("stage", r.get("role")) for r in before.get("releases", ())}
    for release in after.get("releases", ()):
        stage = release.get("stage", release["role"])
        if stages.get(release["name"]) != stage:
            waits = f": waiting for {release['waitingFor']}" if release.get("waitingFor") else ""
            found.append(Event("Normal", stage, f"release {release['name']} is {stage}{waits}"))
    return [*found, *_window_events(_windows(before), _windows(after))]


def _worse_scaler(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the autoscaler has lost the metric that it went by, and goes by CPU now."""
    reasons = (before.get("reason"), after["reason"])
    return after["type"] == "Autoscaling" and reasons in (("InflightTokens", "CPU"), ("KEDA", "CPU"))


def _money(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    """What the guard has changed, and a cap that is reached; nothing of a first look."""
    if not before or not after:
        return []
    found: list[Event] = []
    was, allowed = before.get("allowedMax"), after.get("allowedMax")
    of_cap = f"{after.get('projected')} of {after.get('cap')} {after.get('currency')} projected"
    if was is not None and allowed is not None and was != allowed:
        message = f"the cap allows {allowed} encoders, {was} before: {of_cap}"
        lowered = allowed < was
        found.append(
            Event("Warning", "EncodersLowered", message)
            if lowered
            else Event("Normal", "EncodersRaised", message)
        )
    gone, left = set(before.get("deferred", ())), set(after.get("deferred", ()))
    found += [
        Event("Warning", "Deferred", f"{what} waits for money: {of_cap}") for what in sorted(left - gone)
    ]
    found += [
        Event("Normal", "Resumed", f"{what} is affordable again: {of_cap}") for what in sorted(gone - left)
    ]
    if _reached(after) and not (_reached(before) and before.get("month") == after.get("month")):
        message = f"the cap of {after['cap']} {after.get('currency')} is reached: {after['spent']} is spent"
        found.append(Event("Warning", "CapReached", message))
    return [*found, *_bills(before.get("openCost") or {}, after.get("openCost") or {})]


def _bills(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Event]:
    """The ledger and OpenCost have come apart or together, or can't be compared any more."""
    said = f"OpenCost says {after.get('spent')} where the ledger says {after.get('ledger')}"
    if after.get("agrees") is False and before.get("agrees") is not False:
        by = f" ({after['differencePercent']} %)" if after.get("differencePercent") else ""
        yield Event("Warning", "BillsDiffer", f"{said}{by}: check spec.cost.prices")
    if after.get("agrees") and before.get("agrees") is False:
        yield Event("Normal", "BillsAgree", said)
    if after.get("message") and not before.get("message"):
        yield Event("Warning", "NotCompared", f"not compared with OpenCost: {after['message']}")


def _reached(cost: Mapping[str, Any]) -> bool:
    spent, cap = cost.get("spent"), cost.get("cap")
    return bool(spent and cap and Decimal(spent) >= Decimal(cap))


def _windows(said: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The windows that are warming or open, by name."""
    told = (said.get("encoder") or {}).get("windows", ())
    return {w["name"]: w for w in told if w["state"] != "Next"}


def _window_events(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]
) -> Iterator[Event]:
    """What becomes of windows; one that gets fewer encoders than it asks for is a warning."""
    for name, window in new.items():
        if name in old and old[name]["state"] == window["state"]:
            continue
        replicas, granted = window["replicas"], window.get("granted")
        short = granted is not None and granted < replicas
        fewer = f", of which the cap and other releases leave {granted}" if short else ""
        kind: Literal["Normal", "Warning"] = "Warning" if short else "Normal"
        asked = f"{replicas} encoders{fewer}"
        if window["state"] == "Open":
            yield Event(kind, "WindowOpened", f"window {name} is open until {window['end']}: {asked}")
        else:
            yield Event(kind, "WindowWarming", f"window {name} opens at {window['start']}: {asked}")
    for name, window in old.items():
        if name not in new:
            said = f"window {name}, open from {window['start']} to {window['end']}, is over or no longer asked for"
            yield Event("Normal", "WindowClosed", said)
