"""plan(): from what is observed to the ordered steps that bring it closer to what is declared."""

from dataclasses import dataclass

from search_plane.release.record import ReleaseRecord, alias_name

from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.drift import covers
from search_operator.decide.fleets import encoder_children
from search_operator.decide.refreshing import refresh_request
from search_operator.decide.release import Release, State, begun_since, gateways_on
from search_operator.decide.rollout import (
    Rollout,
    pointer_is_lost,
    rollout,
)
from search_operator.decide.scaling import SCALER_KINDS
from search_operator.decide.steps import (
    FINALIZER,
    AddFinalizer,
    ApplyObject,
    CreateCollection,
    CreateIndex,
    DeleteObject,
    DropAlias,
    DropCollection,
    KeepLedger,
    LoadCollection,
    NameTaken,
    NudgeGateway,
    Plan,
    PointAlias,
    ReleaseFinalizer,
    Step,
)
from search_operator.decide.transitions import active_collection_is_missing
from search_operator.observe.book import Book
from search_operator.observe.observation import JobView, Observation
from search_operator.render.access import access_objects
from search_operator.render.child import Images, Object, is_ours
from search_operator.render.encoder import fleet_name
from search_operator.render.entry import entry_key, entry_objects
from search_operator.render.gateway import active_name, gateway_objects, pointer, pointer_revision
from search_operator.render.jobs import (
    attempt_job,
    build_job,
    refresh_cron_job,
    refresh_job,
    release_config,
)
from search_operator.render.ledger import ledger_name, ledger_object
from search_operator.render.policy import policy_of
from search_operator.render.reranker import reranker_objects
from search_operator.render.stores import snapshot_of


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
    now = rollout(observation)
    if now.decided != observation.book:
        # What was decided is durable before anything follows from it.
        pointer = pointer_by(index, now.decided, now.announced)
        return Plan((*first, *_ledger(observation), *_apply(observation, [pointer])))
    children = desired_children(observation, now, installation)
    return Plan(
        (
            *first,
            # The guard's word is durable before anything follows from it.
            *_ledger(observation),
            # Queries wait for these.
            *_nudges(observation, now),
            *_apply(observation, children),
            *_garbage(observation, children, now),
            *_milvus(observation, now),
        )
    )


def desired_children(observation: Observation, now: Rollout, installation: Installation) -> list[Object]:
    """Every child that should exist now, in the order in which others lean on it."""
    index, images = observation.index, installation.images
    children = access_objects(index, installation.namespace)
    for record in _filled(now):
        active = now.active.record if now.active else None
        children.append(release_config(index, record, active, reusable(now, record)))
    if not pointer_is_lost(observation):
        children.append(pointer_by(index, now.book, now.announced))
    children += encoder_children(observation, now, images)
    children += gateway_objects(index, images)
    children += reranker_objects(index, images)
    # What the API can't have is told by a condition; everything else goes on.
    children += [] if observation.entry.problem else entry_objects(index)
    children += _refreshes(observation, now, images)
    if now.candidate:
        children += _candidate_jobs(index, now.candidate, images)
    return children


def pointer_by(index: SemanticSearchIndex, book: Book, announced: Release | None) -> Object:
    """The pointer by a book: its active release, and its candidate as soon as gateways shall make it ready."""
    active, candidate = book.active, book.candidate
    # What comes back in an emergency is announced at once, in the write that decides it.
    due = candidate and (candidate.by != "Spec" or (announced and announced.name == candidate.release))
    following = snapshot_of(index, candidate.record) if active and candidate and due else None
    return pointer(index, snapshot_of(index, active.record) if active else None, following, book)


def reusable(now: Rollout, record: ReleaseRecord) -> tuple[ReleaseRecord, ...]:
    """Releases of the same encoder whose vectors may be copied; none for a full rebuild, which starts from nothing."""
    if record.rebuild and not (now.active and now.active.name == record.release):
        return ()
    fingerprint = record.encoder.fingerprint()
    return tuple(
        held.record
        for held in (now.book.active, now.book.previous)
        if held and held.release != record.release and held.record.encoder.fingerprint() == fingerprint
    )


def _filled(now: Rollout) -> list[ReleaseRecord]:
    """The records of the releases that have a part; only for those may jobs run."""
    return list({held.release: held.record for held in now.book.held}.values())


def _refreshes(observation: Observation, now: Rollout, images: Images) -> list[Object]:
    index = observation.index
    record = now.active.record if now.active else now.wanted
    suspended = now.active is None or index.spec.refresh.mode == "Full"
    found = [refresh_cron_job(index, record, images, previous=False, suspended=suspended)]
    if now.previous:
        found.append(refresh_cron_job(index, now.previous.record, images, previous=True, suspended=False))
    request = refresh_request(observation, now)
    if request and now.active:
        found.append(refresh_job(index, now.active.record, images, request))
    return found


def _candidate_jobs(index: SemanticSearchIndex, candidate: Release, images: Images) -> list[Object]:
    """The Job that the candidate's state waits for."""
    match candidate.state:
        case State.BUILDING:
            return [build_job(index, candidate.record, images)]
        case State.CATCHING_UP:
            return [attempt_job(index, candidate.record, images, "catchup", candidate.attempt)]
        case State.VERIFYING if candidate.verify is None or candidate.verify.attempt < candidate.attempt:
            return [attempt_job(index, candidate.record, images, "verify", candidate.attempt)]
    return []


def _nudges(observation: Observation, now: Rollout) -> list[Step]:
    """Gateways that say something else than the pointer, and have not been told of its content yet."""
    live = observation.child("ConfigMap", active_name(observation.index.name))
    if live is None:
        return []
    index, told = observation.index, pointer_revision(live)
    if pointer_revision(pointer_by(index, now.book, now.announced)) != told:
        return []
    active = snapshot_of(index, now.active.record).revision() if now.active else ""
    following = snapshot_of(index, now.announced.record).revision() if now.announced else ""
    policy = policy_of(index).revision()
    return [
        NudgeGateway(f"gateway {gateway.pod} has not heard of the pointer's content", gateway.pod, told)
        for gateway in observation.gateways
        if gateway.nudged != told
        and gateway.state is not None
        and (
            gateway.state.revision != active
            or (following and gateway.state.next_revision != following)
            # An older gateway knows of no policy, and names none.
            or gateway.state.policy not in ("", policy)
        )
    ]


def _ledger(observation: Observation) -> list[Step]:
    """The ledger, when something has happened since it was written, else at most hourly."""
    account, index = observation.account, observation.index
    if account is None or not account.due:
        return []
    live = observation.child("ConfigMap", ledger_name(index.name))
    if live and not is_ours(live, index):
        return [NameTaken("the ledger's name is taken", f"ConfigMap {ledger_name(index.name)}")]
    version = live["metadata"]["resourceVersion"] if live else ""
    spoilt = live is not None and observation.ledger is None
    why = "the ledger can't be read, so it goes on from what the status told" if spoilt else account.due
    return [KeepLedger(why, ledger_object(index, account.ledger, observation.ledger), version)]


def _apply(observation: Observation, children: list[Object]) -> list[Step]:
    steps: list[Step] = []
    for wish in children:
        kind, name = wish["kind"], wish["metadata"]["name"]
        live = observation.child(kind, name)
        if live is None:
            steps.append(ApplyObject(f"{kind} {name} is missing", wish))
        elif not is_ours(live, observation.index):
            # Taking it over would hand its fate to our index.
            steps.append(NameTaken(f"{kind} {name} is somebody else's", f"{kind} {name}"))
        elif kind != "Job" and not covers(live, wish):
            steps.append(ApplyObject(f"{kind} {name} differs from what is declared", wish))
    return steps


def _garbage(observation: Observation, children: list[Object], now: Rollout) -> list[Step]:
    """Children of ours that nothing asks for. Jobs that have ended are kept for their logs, while their release is."""
    wanted = {(wish["kind"], wish["metadata"]["name"]) for wish in children}
    # Money that was spent stays spent, also while nobody counts.
    wanted.add(("ConfigMap", ledger_name(observation.index.name)))
    # Of the release's last time as a candidate: such a Job proves nothing now, and its name is needed.
    wanted -= {("Job", job.name) for job in observation.jobs if _is_stale(job, now)}
    wished = {wish["metadata"]["name"] for wish in children if wish["kind"] == "Job"}
    wanted |= {("Job", name) for name in _kept_jobs(observation, now, wished)}
    # Without the pointer nobody knows whom the rest belongs to.
    if pointer_is_lost(observation):
        return []
    answering = _answering(observation)
    if observation.entry.problem and (unreadable := entry_key(observation.index)):
        wanted.add(unreadable)
    return [
        DeleteObject(f"no release needs {kind} {name}", kind, name, live["metadata"]["uid"])
        for (kind, name), live in sorted(observation.children.items())
        if (kind, name) not in wanted
        and (name not in answering or kind in SCALER_KINDS)
        and (is_ours(live, observation.index) or _scheduled(live, observation))
        and not live["metadata"].get("deletionTimestamp")
    ]


def _answering(observation: Observation) -> set[str]:
    """Names of encoder fleets that gateways answer with by their own word, whatever the book says.

    Such a fleet stays, but it grows no more.
    """
    fingerprints = {gateway.state.fingerprint for gateway in observation.gateways if gateway.state}
    return {fleet_name(observation.index.name, f) for f in fingerprints if f}


def _kept_jobs(observation: Observation, now: Rollout, wished: set[str]) -> set[str]:
    """Jobs of the releases that have a part: what has ended, what the candidate is at, and refreshes."""
    held = {record.release for record in _filled(now)}
    return {
        job.name
        for job in observation.jobs
        if job.release in held and (job.component == "refresh" or _of_use(job, now, wished))
    }


def _of_use(job: JobView, now: Rollout, wished: set[str]) -> bool:
    candidate = now.candidate
    if candidate is None or candidate.name != job.release:
        return bool(job.finished_at)
    if _is_stale(job, now):
        return bool(job.finished_at) and job.name not in wished
    if job.component == "build":
        return True
    return bool(job.finished_at) or job.attempt == candidate.attempt


def _is_stale(job: JobView, now: Rollout) -> bool:
    """Whether the candidate's Job was begun before the release became the candidate."""
    held = now.book.candidate
    return held is not None and held.release == job.release and not begun_since(job, held.since)


def _scheduled(live: Object, observation: Observation) -> bool:
    """Whether a CronJob of ours made it; one whose release has gone would fail on, and hold up those that are due."""
    crons = {
        child["metadata"]["uid"]
        for (kind, _), child in observation.children.items()
        if kind == "CronJob" and is_ours(child, observation.index)
    }
    return any(owner.get("uid") in crons for owner in live["metadata"].get("ownerReferences", ()))


def _milvus(observation: Observation, now: Rollout) -> list[Step]:
    # While the pointer names a missing collection, a new one of that name would be queried before it is filled.
    if not observation.milvus.known or active_collection_is_missing(observation, now.book):
        return []
    index = observation.index
    alias = alias_name(index.namespace, index.name)
    target, steps = observation.milvus.alias_target, list[Step]()
    for release in (now.candidate, now.active, now.previous):
        if release is None or release.state is State.PENDING:
            continue
        if release is now.previous and now.candidate and now.candidate.name == release.name:
            continue
        steps += _collection_steps(observation, release, now, alias)
    if (
        now.active
        and now.active.collection
        and now.active.collection.loaded
        and target != now.active.collection_name
    ):
        steps.append(
            PointAlias(f"alias {alias} should name the active release", alias, now.active.collection_name)
        )
    steps += [
        DropCollection(f"release {r.name} has no part any more", r.collection_name, r.name)
        for r in now.retiring
        if r.collection and not r.waiting_for
    ]
    return steps


def _collection_steps(observation: Observation, release: Release, now: Rollout, alias: str) -> list[Step]:
    """What the release's collection lacks; never a call that would take reads of it away."""
    seen, name, replicas = release.collection, release.collection_name, release.record.replicas
    if seen is None:
        return _creation(observation, release, now, alias)
    if not seen.indexed:
        return [CreateIndex(f"collection {name} has no index", name, release.record)]
    if seen.loading:
        return []
    if not seen.loaded:
        return [LoadCollection(f"collection {name} is not loaded", name, replicas, False)]
    retained = now.previous is not None and now.previous.name == release.name
    used = retained or gateways_on(observation, release.name)
    if release is now.candidate and not used and _must_reload(release):
        reason = f"collection {name} is loaded {seen.replicas} times, not {replicas}; nothing queries it yet"
        return [LoadCollection(reason, name, replicas, True)]
    return []


def _creation(observation: Observation, release: Release, now: Rollout, alias: str) -> list[Step]:
    if release is not now.candidate:
        return []
    if observation.milvus.alias_target == release.collection_name:
        return [DropAlias("its collection is gone", alias)]
    steps: list[Step] = [
        DeleteObject("its collection is gone", "Job", job.name, job.uid)
        for job in observation.jobs
        if job.release == release.name and job.component != "refresh"
    ]
    if gateways_on(observation, release.name):
        return steps
    reason = f"release {release.name} has no collection"
    return [*steps, CreateCollection(reason, release.collection_name, release.record)]


def _must_reload(candidate: Release) -> bool:
    """Whether a candidate is loaded in another number than is asked for, which only a new load changes.

    A build in progress is not disturbed; once it has ended, only a number that Milvus tells (not 0) is believed.
    """
    seen = candidate.collection
    if seen is None or seen.replicas == candidate.record.replicas:
        return False
    if candidate.state is State.PROVISIONING:
        return True
    return candidate.state is State.VERIFYING and seen.replicas > 0


def _deletion(observation: Observation) -> list[Step]:
    """Workloads first, then data, then our finalizer. With `Retain` the data stays for the next index of that name."""
    index = observation.index
    if FINALIZER not in index.finalizers:
        return []
    jobs: list[Step] = [
        DeleteObject("the index is being deleted", kind, name, live["metadata"]["uid"])
        for (kind, name), live in sorted(observation.children.items())
        if kind in ("CronJob", "Job")
        and is_ours(live, index)
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
