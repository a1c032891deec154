"""Conditions: small pure functions, one statement each, with a reason for machines and a remedy for people."""

from collections.abc import Sequence

from search_operator.decide.autoscaling import autoscaling
from search_operator.decide.budgeting import within_budget
from search_operator.decide.entering import entry_ready
from search_operator.decide.release import Release, State
from search_operator.decide.rollout import Rollout
from search_operator.decide.searching import remarks, search_status
from search_operator.decide.statement import Statement
from search_operator.decide.steps import (
    CreateCollection,
    CreateIndex,
    DropAlias,
    DropCollection,
    Failure,
    LoadCollection,
    Outcome,
    PointAlias,
)
from search_operator.decide.transitions import COLLECTION_GONE, active_collection_is_missing
from search_operator.observe.observation import Observation, PodView, Problem
from search_operator.render.encoder import encoder_name
from search_operator.render.gateway import gateway_name

MILVUS_STEPS = (CreateCollection, CreateIndex, LoadCollection, PointAlias, DropAlias, DropCollection)
# Reasons of a job's report that go when a store or the encoder answers again.
HEALS_BY_ITSELF = frozenset(
    ["EncoderUnavailable", "CatalogueUnavailable", "VectorStoreUnavailable", "NeverEqual", "Terminated"]
)
WORKED_BY = {State.BUILDING: "build", State.CATCHING_UP: "catchup", State.VERIFYING: "verify"}
PULL_FAILURES = frozenset({"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"})


def statements(observation: Observation, now: Rollout, outcome: Outcome) -> list[Statement]:
    """Every condition of the API, always all of them, EntryReady where an entry is asked for.

    Ready, Reconciling and Stalled summarise the others.
    """
    parts = [
        encoder_ready(observation, now),
        vector_store_ready(observation, now, outcome),
        catalogue_ready(observation),
        search_ready(observation, now),
    ]
    rollout = promotable(observation, now)
    entry = entry_ready(observation)
    others = [
        *([entry] if entry else []),
        autoscaling(observation, now.focus),
        rollout,
        within_budget(observation),
        backed_up(),
        paused(observation),
    ]
    other_failures = [f for f in outcome.failures if not _of_focus(f, now)]
    return [
        ready(now, parts),
        reconciling(observation, now, [*parts, rollout], other_failures),
        stalled([*parts, rollout], other_failures),
        *parts,
        *others,
    ]


def _of_focus(failure: Failure, now: Rollout) -> bool:
    """Whether a failed step is about the collection that VectorStoreReady tells of; a candidate's is not."""
    name = getattr(failure.step, "collection", now.focus.collection_name)
    return isinstance(failure.step, MILVUS_STEPS) and name == now.focus.collection_name


def encoder_ready(observation: Observation, now: Rollout) -> Statement:
    """Enough encoders answer: three quarters of the autoscaler's minimum, and at least one.

    A scale-up that is still on its way, or has no nodes, is told but takes nothing from those that answer.
    """
    ready_pods, wanted = now.focus.encoders_ready, now.focus.encoders_desired
    count = f"{ready_pods} of {wanted} encoders are ready"
    trouble = encoder_trouble(observation, now.focus)
    minimum = observation.index.spec.encoder.autoscaling.min_replicas
    if ready_pods >= max(1, -(-minimum * 3 // 4)):
        missing = f": {trouble.message}" if trouble and ready_pods < wanted else ""
        return Statement("EncoderReady", "True", "Ready", count + missing)
    if trouble:
        return Statement(
            "EncoderReady", "False", trouble.reason, f"{count}: {trouble.message}", trouble.needs_a_person
        )
    return Statement("EncoderReady", "False", "Starting", count)


def encoder_trouble(observation: Observation, release: Release) -> Problem | None:
    """What keeps encoders of that release from running."""
    fleet = encoder_name(observation.index.name, release.record.encoder)
    return pod_trouble(
        [pod for pod in observation.pods if pod.component == "encoder" and pod.name.startswith(fleet)]
    )


def pod_trouble(pods: Sequence[PodView]) -> Problem | None:
    """The first thing that keeps pods of a workload from running."""
    for pod in pods:
        if pod.unschedulable:
            remedy = "add nodes that fit, or lower the replicas or what each pod asks for"
            message = f"pod {pod.name} has no node: {pod.unschedulable}; {remedy}"
            # A cluster autoscaler may be adding nodes: told at once, but not given up on.
            return Problem("Unschedulable", message, needs_a_person=False)
        if pod.waiting_reason in PULL_FAILURES:
            remedy = "check the image's name and the nodes' access to its registry"
            return Problem(pod.waiting_reason, f"pod {pod.name}: {pod.waiting_message}; {remedy}")
        if pod.waiting_reason in ("CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError"):
            detail = pod.report.message if pod.report else pod.waiting_message
            reason = pod.report.reason if pod.report else pod.waiting_reason
            message = f"pod {pod.name}: {detail}; see kubectl logs {pod.name}"
            return Problem(reason, message, reason not in HEALS_BY_ITSELF)
    return None


def vector_store_ready(observation: Observation, now: Rollout, outcome: Outcome) -> Statement:
    """The release's collection is in memory, as many times as asked for."""
    kind = "VectorStoreReady"
    replicas = now.focus.record.replicas
    if problem := observation.secret_problem or observation.milvus.problem:
        return Statement(kind, "False", problem.reason, problem.message, problem.needs_a_person)
    if active_collection_is_missing(observation, now.book):
        message = (
            f"Milvus has no collection {now.focus.collection_name}, which queries run on; "
            "unless it comes back at once, it is built anew"
        )
        return Statement(kind, "Unknown", COLLECTION_GONE, message)
    failed = [f for f in outcome.failures if _of_focus(f, now)]
    if failed:
        return Statement(kind, "False", failed[0].reason, failed[0].message, failed[0].needs_a_person)
    seen = now.focus.collection
    if seen is None or not seen.indexed:
        return Statement(
            kind, "False", "Creating", f"collection {now.focus.collection_name} is being created"
        )
    if not seen.loaded:
        return Statement(kind, "False", "Loading", f"collection {seen.name} is being loaded")
    if seen.replicas < replicas:
        message = f"{seen.replicas} of {replicas} replicas of {seen.name} are in memory: a query node is gone"
        return Statement(kind, "False", "ReplicaMissing", message)
    return Statement(kind, "True", "Loaded", f"collection {seen.name} is loaded, replicas: {seen.replicas}")


def catalogue_ready(observation: Observation) -> Statement:
    """Elasticsearch answers for the declared index, and there is something in it."""
    kind, index = "CatalogueReady", observation.index.spec.catalogue.elasticsearch.index
    if problem := observation.secret_problem or observation.catalogue.problem:
        return Statement(kind, "False", problem.reason, problem.message, problem.needs_a_person)
    return Statement(kind, "True", "Reachable", f"Elasticsearch answers for index {index}")


def search_ready(observation: Observation, now: Rollout) -> Statement:
    """A gateway serves the active release."""
    kind = "SearchReady"
    gateway_ready, wanted = gateway_counts(observation)
    if now.active is None:
        if trouble := job_trouble(observation, now.focus):
            message = f"release {now.focus.name} can't be filled: {trouble.message}"
            return Statement(kind, "False", trouble.reason, message, trouble.needs_a_person)
        waiting = f": waiting for {now.focus.waiting_for}" if now.focus.waiting_for else ""
        return Statement(
            kind, "False", "NoActiveRelease", f"release {now.focus.name} is {now.focus.state.value}{waiting}"
        )
    if gateway_ready > 0:
        said = search_status(observation)
        serving = f"{gateway_ready} of {wanted} gateways serve {now.focus.name}"
        reason = "Degraded" if said.degraded else "PolicyRefused" if said.refused else "Serving"
        return Statement(kind, "True", reason, "; ".join([serving, *remarks(said)]))
    trouble = pod_trouble([pod for pod in observation.pods if pod.component == "gateway"])
    if trouble:
        return Statement(kind, "False", trouble.reason, trouble.message, trouble.needs_a_person)
    return Statement(kind, "False", "GatewayNotReady", f"0 of {wanted} gateways serve {now.focus.name} yet")


def job_trouble(observation: Observation, release: Release) -> Problem | None:
    """What keeps the Job that a release waits for from getting on."""
    component = WORKED_BY.get(release.state)
    return pod_trouble([p for p in observation.pods if (p.component, p.release) == (component, release.name)])


def gateway_counts(observation: Observation) -> tuple[int, int]:
    """(ready, wanted) gateway pods."""
    deployment = observation.child("Deployment", gateway_name(observation.index.name))
    live = int((deployment or {}).get("status", {}).get("readyReplicas", 0))
    return live, observation.index.spec.search.replicas


def promotable(observation: Observation, now: Rollout) -> Statement:
    """How far the candidate is from taking over, or why there is none."""
    kind, candidate = "Promotable", now.candidate
    if candidate is None:
        return _no_candidate(now)
    if now.book.candidate and now.book.candidate.by != "Spec":
        waiting = f": waiting for {candidate.waiting_for}" if candidate.waiting_for else ""
        return Statement(kind, "True", "GoingBack", f"going back to release {candidate.name}{waiting}")
    if candidate.state is State.PENDING:
        reason = f"Insufficient{now.shortages[0].what}" if now.shortages else "Pending"
        message = f"release {candidate.name} waits: {candidate.waiting_for}"
        return Statement(kind, "False", reason, message, stalls=bool(now.shortages))
    if candidate.state is State.AWAITING_APPROVAL:
        message = f"release {candidate.name} has passed every gate and waits for {candidate.waiting_for}"
        return Statement(kind, "True", "AwaitingApproval", message)
    if candidate.state is State.SWITCHING:
        return Statement(kind, "True", "GatesPassed", f"release {candidate.name} has passed every gate")
    if trouble := job_trouble(observation, candidate) or encoder_trouble(observation, candidate):
        message = f"release {candidate.name} is held up: {trouble.message}"
        return Statement(kind, "False", trouble.reason, message, trouble.needs_a_person)
    tight = "".join(f"; {shortage.message}" for shortage in now.shortages)
    if failed := candidate.gates_failed:
        said = "; ".join(f"{gate.name}: {gate.message}" for gate in failed)
        return Statement(
            kind, "False", "GatesFailed", f"release {candidate.name} is tried again: {said}{tight}"
        )
    message = (
        f"release {candidate.name} is {candidate.state.value}: waiting for {candidate.waiting_for}{tight}"
    )
    return Statement(kind, "False", "GatesPending", message)


def _no_candidate(now: Rollout) -> Statement:
    kind = "Promotable"
    if begun := now.decided.candidate:
        return Statement(kind, "False", "GatesPending", f"release {begun.release} begins")
    if now.unknown_target:
        kept = now.previous.name if now.previous else "none"
        message = (
            f"spec.rollout.rollbackTo names {now.unknown_target}, which is not retained (retained: {kept}); "
            "name that one, or remove it"
        )
        return Statement(kind, "False", "RollbackTargetUnknown", message, stalls=True)
    if now.failure and now.active:
        message = (
            f"release {now.failure.release}, which the spec asks for, has failed ({now.failure.reason}): "
            f"{now.failure.message}; {now.active.name} goes on answering. Change the spec, or set annotation "
            "semanticsearch.io/refresh-requested-at to the time now to try it again"
        )
        return Statement(kind, "False", "ReleaseFailed", message, stalls=True)
    if now.active and now.active.name != now.wanted.release:
        message = (
            f"the spec asks for {now.wanted.release}, but rollout.rollbackTo holds {now.active.name}; "
            "remove it to go forward"
        )
        return Statement(kind, "False", "HeldByRollback", message)
    return Statement(kind, "False", "NoCandidate", "there is no candidate release")


def backed_up() -> Statement:
    """Backups are not served yet, and the status says so rather than nothing."""
    return Statement("BackedUp", "Unknown", "NotServed", "backups are not served by this version")


def paused(observation: Observation) -> Statement:
    """Whether changes are held back."""
    if observation.index.spec.paused:
        return Statement(
            "Paused", "True", "PausedBySpec", "spec.paused is true: nothing is changed until it is false"
        )
    return Statement("Paused", "False", "NotPaused", "")


def ready(now: Rollout, parts: Sequence[Statement]) -> Statement:
    """The summary: every part is as it should be."""
    bad = next((s for s in parts if s.status != "True"), None)
    if bad and now.active is None and not bad.stalls and bad.type != "SearchReady":
        stalled_part = next((s for s in parts if s.stalls), None)
        bad = stalled_part or bad
    if bad:
        return Statement("Ready", "False", bad.reason if now.active else now.focus.state.value, bad.message)
    rows = now.focus.collection.rows if now.focus.collection and now.focus.collection.rows is not None else 0
    fleet = f"{now.focus.encoders_ready} encoder{'s' if now.focus.encoders_ready != 1 else ''}"
    return Statement(
        "Ready", "True", "Serving", f"release {now.focus.name} serves {rows:,} products from {fleet}"
    )


def reconciling(
    observation: Observation, now: Rollout, parts: Sequence[Statement], failures: Sequence[Failure]
) -> Statement:
    """Work is going on or being retried (kstatus: the resource is in progress)."""
    kind = "Reconciling"
    if observation.index.spec.paused:
        return Statement(kind, "False", "Paused", "")
    if stalled(parts, failures).status == "True":
        return Statement(kind, "False", "Stalled", "")
    if failures:
        return Statement(kind, "True", failures[0].reason, failures[0].message)
    if now.candidate is None and (begun := now.decided.candidate):
        return Statement(kind, "True", "Pending", f"release {begun.release} begins")
    if moving := now.candidate or (now.focus if now.active is None else None):
        waiting = f": waiting for {moving.waiting_for}" if moving.waiting_for else ""
        return Statement(kind, "True", moving.state.value, f"release {moving.name}{waiting}")
    bad = next((s for s in parts if s.status != "True" and s.type != "Promotable"), None)
    return Statement(kind, "True", bad.reason, bad.message) if bad else Statement(kind, "False", "Steady", "")


def stalled(parts: Sequence[Statement], failures: Sequence[Failure]) -> Statement:
    """Only a person can remove what is in the way (kstatus: failed). It heals by itself once they have."""
    kind = "Stalled"
    if failure := next((f for f in failures if f.needs_a_person), None):
        return Statement(kind, "True", failure.reason, failure.message)
    if part := next((s for s in parts if s.stalls), None):
        return Statement(kind, "True", part.reason, part.message)
    return Statement(kind, "False", "NotStalled", "")
