"""What must hold at every step of every history, checked against what is true, not against what was observed."""

from collections.abc import Mapping
from typing import Any, get_args

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.status import ConditionType
from search_operator.decide.scaling import SCALER_KINDS
from search_operator.observe.book import Book, book_in
from search_operator.render.encoder import encoder_name
from search_plane.release.record import ReleaseSnapshot, collection_name

from tests.unit.operator_core.builders import Object
from tests.unit.operator_core.simulated_gateway import SimulatedGateway, named
from tests.unit.operator_core.simulated_milvus import SimulatedMilvus


def check_pointer(
    before: Mapping[str, str],
    after: Mapping[str, str],
    milvus: SimulatedMilvus,
    gateways: Mapping[str, SimulatedGateway],
    *,
    known: bool,
) -> None:
    """A written pointer: of one piece, and moved only to what can answer. `known`: somebody can tell who was active.

    What it names may have vanished, until that is confirmed; it is only never moved there.
    """
    book = book_in({"data": dict(after)})
    active, following = named(after, "release.json"), named(after, "next.json")
    assert _name(active) == (book.active.release if book.active else ""), "pointer and book disagree"
    parts = {_name(active), book.candidate.release if book.candidate and active else ""}
    assert _name(following) in parts, f"{_name(following)} is announced, and is neither active nor candidate"
    was = named(before, "release.json")
    if active is None:
        there = was is not None and was.milvus.collection in milvus.collections
        assert not (there and known), f"queries are stopped though {_name(was)} is there"
        return
    if was is not None and was.release == active.release:
        return
    target = milvus.collections.get(active.milvus.collection)
    assert target is not None, f"the pointer is moved to {active.release}, which is not there"
    if was is None and before == {} and target.was_active:
        return
    assert target.fit_to_answer, f"the pointer is moved to what can't answer: {target}"
    assert target.replicas == target.record.replicas or target.was_active, f"replicas: {target}"
    if was is not None and was.milvus.collection in milvus.collections:
        late = [g.name for g in gateways.values() if g.ready and not g.draining and not g.has_ready(active)]
        assert not late, f"{active.release} takes over before {late} can answer from it"
        unheard = [g.name for g in gateways.values() if g.ready and g.silent]
        assert not unheard, f"{active.release} takes over without a word of {unheard}"


def why_needed(release: str, book: Book, gateways: Mapping[str, SimulatedGateway]) -> str:
    """Why queries need the collection and the encoder of a release; empty when they don't."""
    for part, held in (("active", book.active), ("previous", book.previous)):
        if held and held.release == release:
            return f"it is {part}"
    users = [gateway.name for gateway in gateways.values() if gateway.may_query(release)]
    return f"{', '.join(users)} may query it" if users else ""


def check_encoders_go(
    name: str,
    index: SemanticSearchIndex,
    book: Book,
    gateways: Mapping[str, SimulatedGateway],
    milvus: SimulatedMilvus,
) -> None:
    """No encoder Deployment goes while a release that queries need, and that has its rows, stands on it."""
    snapshots = [g.current for g in gateways.values() if g.current and not g.down]
    snapshots += [g.following for g in gateways.values() if g.following and not g.down]
    identities = {s.release: s.encoder for s in snapshots}
    identities |= {h.release: h.record.encoder for h in (book.active, book.previous) if h}
    for release, identity in identities.items():
        there = collection_name(index.namespace, index.name, release) in milvus.collections
        if there and encoder_name(index.name, identity) == name:
            why = why_needed(release, book, gateways)
            assert not why, f"the encoders {name} are deleted, but of {release}: {why}"


def check_bill(allowed: int, children: Mapping[tuple[str, str], Object]) -> None:
    """All fleets together can't grow beyond what the bill allows."""
    names = {name for kind, name in children if kind in SCALER_KINDS and ("Deployment", name) in children}
    found = {name: bounds for name in names if (bounds := scaler_bounds(children, name))}
    assert all(low <= high for low, high in found.values()), found
    assert sum(high for _, high in found.values()) <= allowed, f"too many encoders: {found}"


def scaler_bounds(children: Mapping[tuple[str, str], Object], name: str) -> tuple[int, int] | None:
    """Fewest and most encoders that the scaler of a Deployment allows; None without one."""
    if hpa := children.get(("HorizontalPodAutoscaler", name)):
        return hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]
    if scaled := children.get(("ScaledObject", name)):
        return scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]
    return None


def check_one_scaler(key: tuple[str, str], children: Mapping[tuple[str, str], Object]) -> None:
    """A scaler is applied only where no other one is."""
    kind, name = key
    if kind in SCALER_KINDS:
        others = [other for other in SCALER_KINDS - {kind} if (other, name) in children]
        assert not others, f"{kind} {name} is applied beside a {others}"


def check_status(
    body: Mapping[str, Any], said: Mapping[str, Any], *, active_is_whole: bool, failed: bool, begun: bool
) -> None:
    """What holds for every status: all conditions, the generation, and times that move only with the status.

    Ready and Reconciling may be True at once only while a candidate has `begun` beside an active release, or a
    step that `failed` is tried again. While
    the active release is whole, whatever befalls a candidate, the index is ready.
    """
    generation = body["metadata"]["generation"]
    deleting = "deletionTimestamp" in body["metadata"]
    types = [c["type"] for c in said["conditions"]]
    assert len(types) == len(set(types))
    if not deleting:
        entry = {"EntryReady"} if body["spec"].get("search", {}).get("entry") else set()
        assert set(types) == set(get_args(ConditionType)) - {"EntryReady"} | entry
        assert all(c["observedGeneration"] == generation for c in said["conditions"])
    assert said["observedGeneration"] == generation
    old = {c["type"]: c for c in (body.get("status") or {}).get("conditions", ())}
    for told in said["conditions"]:
        if (before := old.get(told["type"])) is not None:
            moved = before["lastTransitionTime"] != told["lastTransitionTime"]
            assert not moved or before["status"] != told["status"], f"the time moved alone: {before} {told}"
    held = {c["type"] for c in said["conditions"] if c["status"] == "True"}
    assert not {"Reconciling", "Stalled"} <= held, "kstatus: in progress and failed at once"
    roles = [release["role"] for release in said.get("releases", ())]
    assert len({release["name"] for release in said.get("releases", ())}) == len(roles)
    assert len(roles) <= 16, "more releases than the schema takes"
    if {"Ready", "Reconciling"} <= held and not failed:
        assert begun, "ready, yet under way without a candidate"
        assert "Active" in roles
    if active_is_whole and not deleting:
        ready = next(c for c in said["conditions"] if c["type"] == "Ready")
        assert ready["status"] == "True", f"the active release is whole, but: {ready}"


def _name(snapshot: ReleaseSnapshot | None) -> str:
    return snapshot.release if snapshot else ""
