"""plan(): from what is observed to the ordered steps that bring it closer to what is declared."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from search_plane.release.record import alias_name

from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.cost import allowed_max_replicas
from search_operator.decide.drift import covers
from search_operator.decide.release import (
    Situation,
    Stage,
    a_gateway_serves,
    abandoned,
    active_collection_is_missing,
    situation,
)
from search_operator.decide.steps import (
    FINALIZER,
    AddFinalizer,
    ApplyObject,
    CreateCollection,
    CreateIndex,
    DeleteObject,
    DropAlias,
    DropCollection,
    LoadCollection,
    NameTaken,
    Plan,
    PointAlias,
    ReleaseFinalizer,
    Step,
)
from search_operator.observe.observation import Observation
from search_operator.render.access import access_objects
from search_operator.render.child import Images, Object
from search_operator.render.encoder import encoder_objects
from search_operator.render.gateway import active_release, gateway_objects
from search_operator.render.jobs import build_job, build_name, refresh_cron_job, release_config
from search_operator.render.stores import snapshot_of

# A finished build's report and a strong count may reach us later than its end; only then are they judged.
BELIEVE_AFTER = timedelta(seconds=30)


@dataclass(frozen=True)
class Installation:
    """What the operator knows of its own installation: the images it hands out, and where it lives."""

    images: Images
    namespace: str


def plan(observation: Observation, installation: Installation) -> Plan:
    """The steps that are due now. Only steps whose preconditions have been seen are planned; none at rest."""
    index = observation.index
    if index.being_deleted:
        return Plan(tuple(_deletion(observation)))
    first: tuple[Step, ...] = ()
    if FINALIZER not in index.finalizers:
        first = (AddFinalizer("nothing may exist that only we could clean up"),)
    if index.spec.paused:
        return Plan(first)
    now = situation(observation)
    children = desired_children(observation, now, installation)
    return Plan(
        (
            *first,
            *_apply(observation, children),
            *_garbage(observation, children, now),
            *_milvus(observation, now),
        )
    )


def desired_children(observation: Observation, now: Situation, installation: Installation) -> list[Object]:
    """Every child that should exist now, in the order in which others lean on it."""
    index = observation.index
    active = now.stage in (Stage.ACTIVE, Stage.SWITCHING)
    children = [
        *access_objects(index, installation.namespace),
        release_config(index, now.record),
        active_release(index, snapshot_of(index, now.record) if active else None),
        *encoder_objects(index, now.record.encoder, installation.images, allowed_max_replicas(index.spec)),
        *gateway_objects(index, installation.images),
        refresh_cron_job(index, now.record, installation.images, suspended=now.stage != Stage.ACTIVE),
    ]
    if now.stage is Stage.BUILDING:
        children.append(build_job(index, now.record, installation.images))
    return children


def _apply(observation: Observation, children: list[Object]) -> list[Step]:
    steps: list[Step] = []
    for wish in children:
        kind, name = wish["kind"], wish["metadata"]["name"]
        live = observation.child(kind, name)
        if live is None:
            steps.append(ApplyObject(f"{kind} {name} is missing", wish))
        elif not _controlled(live, observation.index):
            # Taking it over would hand its fate to our index.
            steps.append(NameTaken(f"{kind} {name} is somebody else's", f"{kind} {name}"))
        elif kind != "Job" and not covers(live, wish):
            steps.append(ApplyObject(f"{kind} {name} differs from what is declared", wish))
    return steps


def _garbage(observation: Observation, children: list[Object], now: Situation) -> list[Step]:
    """Children of ours that nothing asks for; a finished build is kept for its log."""
    wanted = {(c["kind"], c["metadata"]["name"]) for c in children}
    keep = ("Job", build_name(observation.index.name, now.record.release))
    steps: list[Step] = []
    for (kind, name), live in sorted(observation.children.items()):
        if (kind, name) in wanted or (kind, name) == keep or not _controlled(live, observation.index):
            continue
        if not live["metadata"].get("deletionTimestamp"):
            steps.append(DeleteObject(f"no release needs {kind} {name}", kind, name, live["metadata"]["uid"]))
    if now.build and (why := _why_build_again(observation, now)):
        steps.append(DeleteObject(f"{why}: run the build again", "Job", now.build.name, now.build.uid))
    return steps


def _why_build_again(observation: Observation, now: Situation) -> str:
    """Why a build that has ended must be repeated; empty when it need not. A build is cheap when little differs."""
    build = now.build
    if build is None or now.stage is Stage.ACTIVE:
        return ""
    if build.failed:
        return "the build Job has failed"
    if not build.succeeded or now.stage is not Stage.VERIFYING:
        return ""
    if observation.now - datetime.fromisoformat(build.finished_at) < BELIEVE_AFTER:
        return ""
    if build.report is None:
        return "the build's report is lost"
    return next((gate.message for gate in now.gates if gate.result == "Failed"), "")


def _controlled(live: Object, index: SemanticSearchIndex) -> bool:
    owners = live["metadata"].get("ownerReferences", ())
    return any(owner.get("uid") == index.uid and owner.get("controller") for owner in owners)


def _milvus(observation: Observation, now: Situation) -> list[Step]:
    # While the pointer names a missing collection, a new one of that name would be queried before it is filled.
    if not observation.milvus.known or active_collection_is_missing(observation):
        return []
    replicas = observation.index.spec.vector_store.milvus.replicas
    alias = alias_name(observation.index.namespace, observation.index.name)
    seen = now.collection
    steps: list[Step] = []
    if seen is None:
        if observation.milvus.alias_target == now.collection_name:
            return [DropAlias("its collection is gone", alias)]
        if now.build:
            steps.append(DeleteObject("its collection is gone", "Job", now.build.name, now.build.uid))
        if a_gateway_serves(observation):
            return steps
        steps.append(
            CreateCollection(
                f"release {now.record.release} has no collection", now.collection_name, now.record
            )
        )
    elif not seen.indexed:
        steps.append(CreateIndex(f"collection {seen.name} has no index", seen.name, now.record))
    elif seen.loading:
        pass
    elif not seen.loaded:
        steps.append(LoadCollection(f"collection {seen.name} is not loaded", seen.name, replicas, False))
    elif _must_reload(now, replicas):
        reason = (
            f"collection {seen.name} is loaded {seen.replicas} times, not {replicas}; nothing queries it yet"
        )
        steps.append(LoadCollection(reason, seen.name, replicas, True))
    elif now.stage is Stage.ACTIVE and observation.milvus.alias_target != seen.name:
        steps.append(PointAlias(f"alias {alias} should name the active release", alias, seen.name))
    steps += [
        DropCollection(
            f"release {c.record.release} was replaced before it was active", c.name, c.record.release
        )
        for c in abandoned(observation, now.record.release)
        if c.name != observation.milvus.alias_target
    ]
    return steps


def _must_reload(now: Situation, replicas: int) -> bool:
    """Whether a candidate is loaded in another number than is asked for, which only a new load changes.

    A build in progress is not disturbed; once it has ended, only a number that Milvus tells (not 0) is believed.
    """
    seen = now.collection
    if seen is None or seen.replicas == replicas:
        return False
    return now.stage is Stage.PROVISIONING or (now.stage is Stage.VERIFYING and seen.replicas > 0)


def _deletion(observation: Observation) -> list[Step]:
    """Workloads first, then data, then our finalizer. With `Retain` the data stays for the next index of that name."""
    index = observation.index
    if FINALIZER not in index.finalizers:
        return []
    jobs: list[Step] = [
        DeleteObject("the index is being deleted", kind, name, live["metadata"]["uid"])
        for (kind, name), live in sorted(observation.children.items())
        if kind in ("CronJob", "Job")
        and _controlled(live, index)
        and not live["metadata"].get("deletionTimestamp")
    ]
    if index.spec.deletion_policy == "Retain":
        return [*jobs, ReleaseFinalizer("the data is kept (deletionPolicy: Retain)")]
    if not observation.milvus.known:
        return jobs
    steps = jobs
    if observation.milvus.alias_target:
        steps.append(DropAlias("the index is being deleted", alias_name(index.namespace, index.name)))
    steps += [
        DropCollection("the index is being deleted", c.name, c.record.release)
        for c in observation.milvus.collections
    ]
    if not observation.milvus.alias_target and not observation.milvus.collections and not jobs:
        steps.append(ReleaseFinalizer("all that was made is gone"))
    return steps
