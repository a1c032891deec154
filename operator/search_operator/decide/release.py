"""The life of one release: a pure state machine over what is observed.

Pending -> Provisioning -> Building -> CatchingUp -> Verifying -> AwaitingApproval -> Switching -> Active -> Previous
-> Retiring, and Failed from each of the first seven. Nothing of it is remembered but who plays which part (the book).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from search_plane.release.record import ReleaseRecord, collection_name

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.rollout import Rollout
from search_operator.decide.capacity import Shortage
from search_operator.decide.gates import Gate, evaluate, passed
from search_operator.observe.book import Book, Held
from search_operator.observe.observation import CollectionView, GatewayView, JobView, Observation
from search_operator.render.encoder import encoder_name
from search_operator.render.stores import snapshot_of

Component = Literal["build", "catchup", "verify", "refresh"]

# A switch happens at most this long after the catalogue was last read for the candidate.
FRESH = timedelta(minutes=15)
# A finished job's report and a strong count may reach us later than its end; only then are they judged.
BELIEVE_AFTER = timedelta(seconds=30)
ATTEMPTS = 3


class State(StrEnum):
    """Where a release stands; the words of the status."""

    PENDING = "Pending"
    PROVISIONING = "Provisioning"
    BUILDING = "Building"
    CATCHING_UP = "CatchingUp"
    VERIFYING = "Verifying"
    AWAITING_APPROVAL = "AwaitingApproval"
    SWITCHING = "Switching"
    ACTIVE = "Active"
    PREVIOUS = "Previous"
    RETIRING = "Retiring"
    FAILED = "Failed"


# How long a candidate may be in a state while another release answers; a pending or approved one waits for a person.
DEADLINES: Mapping[State, timedelta] = {
    State.PROVISIONING: timedelta(hours=1),
    State.BUILDING: timedelta(hours=24),
    State.CATCHING_UP: timedelta(hours=12),
    State.VERIFYING: timedelta(hours=2),
    State.SWITCHING: timedelta(minutes=15),
}


@dataclass(frozen=True)
class Release:
    """A release in its part, and everything decided about it.

    `attempt` is the number of the catch-up and verification that are running or due.
    """

    record: ReleaseRecord
    state: State
    collection_name: str
    collection: CollectionView | None
    encoders_ready: int
    encoders_desired: int
    build: JobView | None = None
    catchup: JobView | None = None
    verify: JobView | None = None
    gates: tuple[Gate, ...] = ()
    waiting_for: str = ""
    attempt: int = 1

    @property
    def name(self) -> str:
        """Its name, r-xxxxxxxx."""
        return self.record.release

    @property
    def gates_failed(self) -> tuple[Gate, ...]:
        """The gates that stopped it."""
        return tuple(gate for gate in self.gates if gate.result == "Failed")

    @property
    def ready_to_commit(self) -> bool:
        """Whether nothing stands between it and the queries."""
        return self.state is State.SWITCHING and not self.waiting_for


def plain_release(observation: Observation, record: ReleaseRecord, state: State) -> Release:
    """A release that is not on its way: active, previous or retiring."""
    name = collection_name(record.namespace, record.index, record.release)
    ready, desired = encoder_counts(observation, record)
    build = newest_job(observation, "build", record.release)
    return Release(record, state, name, observation.milvus.collection(name), ready, desired, build=build)


def candidate_release(
    observation: Observation, book: Book, held: Held, shortages: Sequence[Shortage]
) -> Release:
    """The candidate: how far it is, what it waits for, and how its gates stand."""
    index, record = observation.index, held.record
    active = book.active.record if book.active else None
    build, catchup, verify = (newest_job(observation, kind, record.release, held.since) for kind in _KINDS)
    same = active is not None and active.encoder.fingerprint() == record.encoder.fingerprint()
    found = plain_release(observation, record, State.PENDING)

    def judged(verification: JobView | None) -> tuple[Gate, ...]:
        return evaluate(
            found.collection,
            catchup if catchup and catchup.succeeded else None,
            verification if verification and verification.succeeded else None,
            has_active=active is not None,
            same_fingerprint=same,
            spec=index.spec,
        )

    gates = judged(verify)
    # A good verification outlives the catch-up that follows a long wait: quality does not expire with a few changes.
    if verify and catchup and verify.attempt < catchup.attempt and any(g.result == "Failed" for g in gates):
        verify, gates = None, judged(None)
    attempt = _attempt(observation, record.release, catchup, verify, gates)
    found = replace(found, build=build, catchup=catchup, verify=verify, gates=gates, attempt=attempt)
    retained = book.previous is not None and book.previous.release == record.release
    state, waiting = _where(observation, held, found, shortages, first=active is None, retained=retained)
    return replace(found, state=state, waiting_for=waiting)


def _where(
    observation: Observation,
    held: Held,
    found: Release,
    shortages: Sequence[Shortage],
    *,
    first: bool,
    retained: bool,
) -> tuple[State, str]:
    """(state, what it waits for). A release that comes back in an emergency needs nothing but gateways that reach it."""
    rollout = observation.index.spec.rollout
    catchup, begun = found.catchup, found.build is not None or found.catchup is not None
    if held.by == "Spec":
        lacking = [s for s in shortages if _holds_back(s, rollout, begun=begun or retained)]
        if lacking and not first:
            return State.PENDING, "; ".join(shortage.message for shortage in lacking)
        if missing := _provisioning_waits_for(observation, found, begun):
            return State.PROVISIONING, missing
        filled = retained or catchup is not None or (found.build is not None and found.build.succeeded)
        if not filled:
            return State.BUILDING, _job_waits_for("build", found.build)
        if catchup is None or not catchup.succeeded or catchup.attempt < found.attempt:
            return State.CATCHING_UP, _job_waits_for("catch-up", catchup)
        if not (passed(found.gates) or _held_up_by_writes(observation, found)):
            return State.VERIFYING, _gates_wait_for(found)
        if rollout.promotion == "Manual" and not first and rollout.approved_release != found.name:
            return State.AWAITING_APPROVAL, f"approval: set spec.rollout.approvedRelease to {found.name}"
    elif not first and (missing := _cannot_answer(observation, found)):
        return State.SWITCHING, missing
    return State.SWITCHING, "" if first else "; ".join(unprepared(observation, found.record))


def _cannot_answer(observation: Observation, found: Release) -> str:
    """What a release to go back to lacks, where no gateway has seen it answer yet."""
    revision = snapshot_of(observation.index, found.record).revision()
    states = [gateway.state for gateway in observation.gateways if gateway.ready and gateway.state]
    if any(s.revision == revision or (s.prepared and s.next_revision == revision) for s in states):
        return ""
    loaded = found.collection is not None and found.collection.loaded and found.collection.indexed
    waits = [] if loaded else [f"collection {found.collection_name} to be loaded"]
    return ", ".join(waits + ([] if found.encoders_ready else ["its first encoder to be ready"]))


def _holds_back(shortage: Shortage, rollout: Rollout, *, begun: bool) -> bool:
    """Without an encoder of its own nothing goes on; what else is short is known before a build, not amidst one."""
    return shortage.what == "Encoders" or (rollout.capacity_check == "Enforce" and not begun)


def _held_up_by_writes(observation: Observation, found: Release) -> bool:
    """Whether gates that had all passed lack but the index of rows that a refresh has written since."""
    told = told_release(observation.index, found.name).get("stage")
    lacking = {gate.name for gate in found.gates if gate.result != "Passed"}
    return told in (State.AWAITING_APPROVAL, State.SWITCHING) and lacking == {"IndexFinished"}


_KINDS: tuple[Component, ...] = ("build", "catchup", "verify")


def _attempt(
    observation: Observation,
    release: str,
    catchup: JobView | None,
    verify: JobView | None,
    gates: tuple[Gate, ...],
) -> int:
    """Which catch-up and verification is due: the next one when the last has failed for good or is too old."""
    if catchup is None:
        return 1 + max(
            (j.attempt for j in observation.jobs if (j.component, j.release) == ("catchup", release)),
            default=0,
        )
    latest = catchup.attempt
    if not catchup.finished_at:
        return latest
    if catchup.failed or (not catchup.report and _believed(observation, catchup)):
        return latest + 1
    if passed(gates):
        rollout = observation.index.spec.rollout
        held_back = rollout.promotion == "Manual" and rollout.approved_release != release
        # Once gateways have been told of it, only the deadline ends the wait for them.
        announced = told_release(observation.index, release).get("stage") == State.SWITCHING
        keep = held_back or announced or not _stale(observation, catchup)
        return latest if keep else latest + 1
    if verify is None or not verify.finished_at or not _believed(observation, verify):
        return latest
    broken = verify.failed or not verify.report or any(gate.result == "Failed" for gate in gates)
    return latest + 1 if broken else latest


def _believed(observation: Observation, job: JobView) -> bool:
    return observation.now - datetime.fromisoformat(job.finished_at) >= BELIEVE_AFTER


def _stale(observation: Observation, catchup: JobView) -> bool:
    return observation.now - datetime.fromisoformat(catchup.finished_at) > FRESH


def _provisioning_waits_for(observation: Observation, found: Release, begun: bool) -> str:
    """What the release lacks before it can be filled; a build that has begun is only sent back for its collection."""
    waits = [] if begun else _before_the_build(observation, found.encoders_ready)
    collection, replicas = found.collection, found.record.replicas
    if not observation.milvus.known:
        waits += [] if begun else ["Milvus"]
    elif collection is None and (holders := gateways_on(observation, found.name)):
        waits.append(f"gateways to say that they don't use its collection: {', '.join(holders)}")
    elif collection is None or not collection.indexed:
        waits.append("the collection")
    elif not collection.loaded or (collection.replicas != replicas and not begun):
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


def _job_waits_for(what: str, job: JobView | None) -> str:
    if job is None or job.succeeded:
        return f"the {what} Job to start"
    done = f"{job.slices_done} of {job.slices} slices; " if job.slices > 1 else ""
    progress = job.progress
    if progress is None or not progress.total:
        return f"{done}the {what} Job to report progress"
    rows = f"{done}{max(progress.total - progress.done, 0):,} of {progress.total:,} rows"
    return (
        rows
        if progress.phase == "Scanning"
        else f"a second reading of the catalogue, which must agree: {rows}"
    )


def _gates_wait_for(found: Release) -> str:
    missing = "; ".join(gate.message for gate in found.gates if gate.result != "Passed" and gate.message)
    if found.verify is None or not found.verify.finished_at:
        return "the verify Job to measure" if found.verify else "the verify Job to start"
    return missing


def newest_job(
    observation: Observation, component: Component, release: str = "", since: datetime | None = None
) -> JobView | None:
    """The latest Job of a component (and release), by its attempt and start; of those begun since then."""
    found = [
        j
        for j in observation.jobs
        if j.component == component
        and release in ("", j.release)
        and (since is None or begun_since(j, since))
    ]
    return max(found, key=lambda j: (j.attempt if release else 0, j.started_at), default=None)


def begun_since(job: JobView, since: datetime) -> bool:
    """Whether the Job was begun then or later; times of the API are whole seconds."""
    return datetime.fromisoformat(job.started_at) >= since.replace(microsecond=0)


def encoder_counts(observation: Observation, record: ReleaseRecord) -> tuple[int, int]:
    """(ready, desired) encoder pods; desired is the autoscaler's minimum while there is no Deployment."""
    minimum = observation.index.spec.encoder.autoscaling.min_replicas
    deployment = observation.child("Deployment", encoder_name(observation.index.name, record.encoder))
    if deployment is None:
        return 0, minimum
    ready = int(deployment.get("status", {}).get("readyReplicas", 0))
    return ready, int(deployment["spec"].get("replicas", minimum))


def collection_of(observation: Observation, record: ReleaseRecord) -> CollectionView | None:
    """The release's collection as Milvus has it."""
    return observation.milvus.collection(collection_name(record.namespace, record.index, record.release))


def gateways_on(observation: Observation, release: str) -> list[str]:
    """Gateway pods that answer from the release, make it ready, or can't say; only an unready one surely does not."""
    return [g.pod for g in observation.gateways if _may_use(g, release)]


def _may_use(gateway: GatewayView, release: str) -> bool:
    if gateway.state is None:
        return gateway.ready
    return release in (gateway.state.release, gateway.state.next, *gateway.state.leaving)


def unprepared(observation: Observation, record: ReleaseRecord) -> tuple[str, ...]:
    """Sentences about the gateways that answer queries and have not made the release ready yet."""
    revision = snapshot_of(observation.index, record).revision()
    return tuple(
        sentence
        for gateway in observation.gateways
        if gateway.ready and (sentence := _lacks(gateway, record.release, revision))
    )


def _lacks(gateway: GatewayView, release: str, revision: str) -> str:
    state = gateway.state
    if state is None:
        return f"gateway {gateway.pod} to answer"
    if state.draining or state.revision == revision:
        return ""
    if state.next_revision != revision:
        return f"gateway {gateway.pod} to hear of {release}"
    if not state.prepared:
        why = ", ".join(f"{part} {what}" for part, what in sorted(state.waiting_for.items()))
        return f"gateway {gateway.pod} to make {release} ready ({why or 'asking'})"
    return ""


def told_release(index: SemanticSearchIndex, release: str) -> Mapping[str, Any]:
    """What the last status said of a release; empty when nothing."""
    return next((r for r in index.status.get("releases", ()) if r.get("name") == release), {})


def told_condition(index: SemanticSearchIndex, kind: str) -> Mapping[str, Any] | None:
    """What the last status said in the condition of that type."""
    return next((c for c in index.status.get("conditions", ()) if c.get("type") == kind), None)
