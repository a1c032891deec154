"""Which release an index should have, which one is active, and how far the way there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from search_plane.release.record import ReleaseRecord, collection_name

from search_operator.api.derive import desired_release, encoder_identity, hnsw_index
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.gates import Gate, evaluate, passed
from search_operator.observe.observation import CollectionView, JobView, Observation
from search_operator.render.encoder import encoder_name

# Two readings this far apart must agree before an active release's missing collection is believed.
CONFIRM_GONE = timedelta(seconds=10)
COLLECTION_GONE = "CollectionGone"


class Stage(StrEnum):
    """Where the release stands; the words of the status."""

    PROVISIONING = "Provisioning"
    BUILDING = "Building"
    VERIFYING = "Verifying"
    SWITCHING = "Switching"
    ACTIVE = "Active"


@dataclass(frozen=True)
class Situation:
    """The release that is being worked on or served, and everything decided about it so far.

    `wanted` is the name that the spec asks for; it differs from `record.release` only when an active release
    is kept because another one is asked for.
    """

    record: ReleaseRecord
    wanted: str
    stage: Stage
    collection_name: str
    collection: CollectionView | None
    build: JobView | None
    gates: tuple[Gate, ...]
    waiting_for: str
    encoders_ready: int
    encoders_desired: int


def desired_record(index: SemanticSearchIndex) -> ReleaseRecord:
    """The release that the spec asks for."""
    return ReleaseRecord(
        namespace=index.namespace,
        index=index.name,
        release=desired_release(index.spec),
        encoder=encoder_identity(index.spec),
        hnsw=hnsw_index(index.spec),
        shards=index.spec.vector_store.milvus.shards,
    )


def active_record(observation: Observation) -> ReleaseRecord | None:
    """The release that queries run on now, by the pointer; None once its collection is known to be gone.

    While Milvus does not answer, or answers without the collection for the first time, nothing is concluded.
    """
    snapshot = observation.snapshot
    if snapshot is None:
        return _from_alias(observation)
    seen = observation.milvus.collection(snapshot.milvus.collection)
    if seen is not None:
        return seen.record
    if observation.milvus.known and gone_is_confirmed(observation):
        return None
    wanted = desired_record(observation.index)
    return wanted if wanted.release == snapshot.release else _record_of(observation, wanted)


def gone_is_confirmed(observation: Observation) -> bool:
    """Whether the status has been saying for long enough that the active collection is gone."""
    told = told_condition(observation.index, "VectorStoreReady")
    # Unknown is said for this reason only, so that its time is that of the first answer without the collection.
    if not told or (told.get("status"), told.get("reason")) != ("Unknown", COLLECTION_GONE):
        return False
    since = datetime.fromisoformat(told["lastTransitionTime"])
    return observation.now - since >= CONFIRM_GONE


def abandoned(observation: Observation, current: str) -> list[CollectionView]:
    """Collections of candidates that a newer spec has replaced before they were active, by the last status.

    Others are left alone: they may be what an index of this name left behind on purpose.
    """
    told = {r.get("name") for r in observation.index.status.get("releases", ()) if r.get("role") != "Active"}
    return [c for c in observation.milvus.collections if c.record.release in told - {current}]


def told_condition(index: SemanticSearchIndex, kind: str) -> Mapping[str, Any] | None:
    """What the last status said in the condition of that type."""
    return next((c for c in index.status.get("conditions", ()) if c.get("type") == kind), None)


def active_collection_is_missing(observation: Observation) -> bool:
    """Milvus answers, but without the collection that queries run on."""
    snapshot = observation.snapshot
    return (
        snapshot is not None
        and observation.milvus.known
        and observation.milvus.collection(snapshot.milvus.collection) is None
    )


def a_gateway_serves(observation: Observation) -> bool:
    """Whether a gateway pod is ready, which none is without a release.

    They query by name until the kubelets have brought them an emptied pointer, which takes up to a minute and a half.
    """
    return any(pod.component == "gateway" and pod.ready for pod in observation.pods)


def situation(observation: Observation) -> Situation:
    """Everything that plan and status need to know about the release of this index."""
    index = observation.index
    wanted = desired_record(index)
    active = active_record(observation)
    record = active or wanted
    name = collection_name(index.namespace, index.name, record.release)
    collection = observation.milvus.collection(name)
    build = newest_job(observation, "build", record.release)
    ready, desired = encoder_counts(observation, record)
    gates = evaluate(collection, build, index.spec.vector_store.milvus.replicas)
    snapshot = observation.snapshot
    if active is not None:
        restored = snapshot is not None
        stage = Stage.ACTIVE if restored else Stage.SWITCHING
        waiting = "" if restored else "the lost pointer to be written again"
    elif missing := _provisioning_waits_for(observation, collection, build, ready):
        stage, waiting = Stage.PROVISIONING, missing
    elif build is None or not build.succeeded:
        stage, waiting = Stage.BUILDING, _build_waits_for(build)
    elif not passed(gates):
        stage, waiting = Stage.VERIFYING, "; ".join(g.message for g in gates if g.result != "Passed")
    else:
        stage, waiting = Stage.SWITCHING, "the gateway to take over the release"
    return Situation(record, wanted.release, stage, name, collection, build, gates, waiting, ready, desired)


def newest_job(observation: Observation, component: str, release: str = "") -> JobView | None:
    """The latest Job of a component (and release), by its start."""
    found = [j for j in observation.jobs if j.component == component and release in ("", j.release)]
    return max(found, key=lambda j: j.started_at, default=None)


def encoder_counts(observation: Observation, record: ReleaseRecord) -> tuple[int, int]:
    """(ready, desired) encoder pods; desired is at least the autoscaler's minimum."""
    minimum = observation.index.spec.encoder.autoscaling.min_replicas
    deployment = observation.child("Deployment", encoder_name(observation.index.name, record.encoder))
    if deployment is None:
        return 0, minimum
    ready = int(deployment.get("status", {}).get("readyReplicas", 0))
    return ready, max(minimum, int(deployment["spec"].get("replicas", minimum)))


def _from_alias(observation: Observation) -> ReleaseRecord | None:
    """When the pointer is lost: the alias was moved last of all, so what it names was active.

    It counts only when this index's own status agrees: data retained from an earlier index is caught up first.
    """
    seen = observation.milvus.collection(observation.milvus.alias_target)
    return seen.record if seen and seen.record.release == observation.index.active_release else None


def _record_of(observation: Observation, wanted: ReleaseRecord) -> ReleaseRecord | None:
    snapshot = observation.snapshot
    if snapshot is None:
        return None
    return wanted.model_copy(update={"release": snapshot.release, "encoder": snapshot.encoder})


def _provisioning_waits_for(
    observation: Observation, collection: CollectionView | None, build: JobView | None, ready: int
) -> str:
    """What the release lacks before it can be filled; a build that has begun is only sent back for its collection."""
    waits = [] if build else _before_the_build(observation, ready)
    replicas = observation.index.spec.vector_store.milvus.replicas
    if not observation.milvus.known:
        waits += [] if build else ["Milvus"]
    elif collection is None and a_gateway_serves(observation):
        waits.append("the gateways to let go of the lost collection")
    elif collection is None or not collection.indexed:
        waits.append("the collection")
    elif not collection.loaded or (collection.replicas != replicas and build is None):
        waits.append(f"the collection to be loaded with {replicas} replica{'s' if replicas > 1 else ''}")
    return ", ".join(waits)


def _before_the_build(observation: Observation, ready: int) -> list[str]:
    waits = []
    if observation.secret_problem:
        waits.append("a Secret")
    if ready == 0:
        waits.append("the first encoder to be ready")
    if observation.catalogue.problem:
        waits.append("the catalogue")
    return waits


def _build_waits_for(build: JobView | None) -> str:
    if build is None:
        return "the build Job to start"
    progress = build.progress
    if progress is None or not progress.total:
        return "the build Job to report progress"
    rows = f"{max(progress.total - progress.done, 0):,} of {progress.total:,} rows"
    return (
        rows
        if progress.phase == "Scanning"
        else f"a second reading of the catalogue, which must agree: {rows}"
    )
