"""Which conditions are not as they should be: pure, from a status as the API server has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]

# What each says when all is well. Reconciling is no trouble: it is work, which the releases tell of.
_WELL = {
    "Ready": "True",
    "Stalled": "False",
    "EncoderReady": "True",
    "VectorStoreReady": "True",
    "CatalogueReady": "True",
    "SearchReady": "True",
    "EntryReady": "True",
    "WithinBudget": "True",
    "Paused": "False",
}
# True, and yet worth a line.
_REMARKABLE = frozenset({"Clamped", "Degraded"})
# Not promotable, and nothing is wrong with that.
_ON_ITS_WAY = frozenset({"NoCandidate", "GatesPassed", "GatesPending", "GoingBack", "Pending"})
_NO_TROUBLE = frozenset({"Reconciling"})
SUMMARIES = ("Ready", "Stalled")
"""Conditions that sum the others up."""


@dataclass(frozen=True)
class Concern:
    """A condition that is not fine, as it says itself."""

    type: str
    status: str
    reason: str
    message: str
    since: str


def conditions_of(status: Object) -> dict[str, Object]:
    """The status' conditions by type."""
    return {str(c["type"]): c for c in status.get("conditions") or () if "type" in c}


def concerns(status: Object) -> tuple[Concern, ...]:
    """The conditions that are not fine, in the status' own order; without a summary that only repeats another one."""
    found = [
        Concern(
            kind,
            str(said.get("status", "")),
            str(said.get("reason", "")),
            str(said.get("message", "")),
            str(said.get("lastTransitionTime", "")),
        )
        for kind, said in conditions_of(status).items()
        if not fine(kind, said)
    ]
    causes = {each.message for each in found if each.type not in SUMMARIES}
    return tuple(each for each in found if each.type not in SUMMARIES or each.message not in causes)


def fine(kind: str, said: Object) -> bool:
    """Whether a condition says nothing that a person should look at; one of a newer version is when it is not False."""
    if kind in _NO_TROUBLE:
        return True
    if kind == "Promotable":
        return said.get("reason") in _ON_ITS_WAY
    wanted = _WELL.get(kind)
    if wanted is None:
        return said.get("status") != "False" and said.get("reason") not in _REMARKABLE
    return said.get("status") == wanted and said.get("reason") not in _REMARKABLE


def is_ready(status: Object) -> bool:
    """Whether the index says that it is Ready."""
    return conditions_of(status).get("Ready", {}).get("status") == "True"


def lagging(index: Object) -> str:
    """Why the status is not about the resource as it is now; empty when it is."""
    seen = (index.get("status") or {}).get("observedGeneration")
    generation = (index.get("metadata") or {}).get("generation", 0)
    if seen is None:
        return "the operator has not looked at it yet"
    if seen < generation:
        return (
            f"the status is of generation {seen}, the spec is {generation}: the operator has not looked yet"
        )
    return ""
