"""Events: only when a condition or a stage has changed, so that a steady index is silent."""

from collections.abc import Mapping
from dataclasses import dataclass
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
        trouble = condition["reason"] in (COLLECTION_GONE, DEGRADED)
        warning = trouble or (condition["status"] == "False" and condition["reason"] not in UNDER_WAY)
        message = f"{kind} is {condition['status']}: {condition['message']}"
        found.append(Event("Warning" if warning else "Normal", condition["reason"], message))
    stages = {r["name"]: r.get("stage", r.get("role")) for r in before.get("releases", ())}
    for release in after.get("releases", ()):
        stage = release.get("stage", release["role"])
        if stages.get(release["name"]) != stage:
            waits = f": waiting for {release['waitingFor']}" if release.get("waitingFor") else ""
            found.append(Event("Normal", stage, f"release {release['name']} is {stage}{waits}"))
    return found
