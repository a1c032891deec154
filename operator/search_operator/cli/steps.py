"""The stages that lie before a release, in order, each with what it does or waits for."""

from collections.abc import Iterator

from search_operator.api.spec import Spec
from search_operator.api.values import duration_of
from search_operator.cli.forecast import BUILDS, SWITCHES, Forecast, Kind
from search_operator.decide.gates import evaluate
from search_operator.decide.release import DEADLINES, FRESH, State

Step = tuple[State, str]


def steps(told: Forecast, spec: Spec) -> tuple[Step, ...]:
    """(stage, what happens in it); empty when no other release will answer. `spec` is the new one."""
    if told.kind not in SWITCHES:
        return ()
    found = [*_built(told, spec)] if told.kind in BUILDS else []
    if told.kind is Kind.PROMOTION:
        minutes = FRESH.total_seconds() / 60
        found.append((State.CATCHING_UP, f"again, when the last is more than {minutes:g} min old"))
    elif told.kind is not Kind.ROLLBACK:
        found += _proven(told, spec)
    return (*found, *_switched(told, spec))


def time_limit(state: State) -> str:
    """How long a candidate may be in that stage, as text; empty for no limit."""
    limit = DEADLINES.get(state)
    if limit is None:
        return ""
    hours = limit.total_seconds() / 3600
    return f"{hours:g} h" if hours >= 1 else f"{hours * 60:g} min"


def _built(told: Forecast, spec: Spec) -> Iterator[Step]:
    milvus = spec.vector_store.milvus
    if told.kind is not Kind.FIRST:
        enforced = spec.rollout.capacity_check == "Enforce"
        what = "too little holds it back" if enforced else "too little is only told"
        if enforced and told.shortages:
            what = "it stays here as long as there are too few"
        yield State.PENDING, f"encoders, GPUs and memory for both releases are checked; {what}"
    encoders = f"the encoders of {told.active} are shared" if told.same_vectors else "its encoders start"
    index = milvus.index
    yield (
        State.PROVISIONING,
        f"{encoders}; a collection with {_counted(milvus.shards, 'shard')}, {index.type} {index.metric} m {index.m} "
        f"efConstruction {index.ef_construction} is made, and loaded as {_counted(milvus.replicas, 'replica')}",
    )
    workers = _counted(spec.refresh.parallelism, "worker")
    if told.same_vectors and told.kind is not Kind.REBUILD:
        source = f"copying vectors from {told.active} where the content hash is equal"
    else:
        source = "embedding every product"
    yield State.BUILDING, f"{workers} fill it, {source}"


def _proven(told: Forecast, spec: Spec) -> Iterator[Step]:
    first = told.kind is Kind.FIRST
    changed = "what changed meanwhile is brought in, deletes too, until catalogue and collection agree"
    yield State.CATCHING_UP, changed
    gates = evaluate(None, None, None, not first, told.same_vectors, spec)
    listed = ", ".join(f"{gate.name} {gate.threshold}".strip() for gate in gates)
    yield State.VERIFYING, f"each gate must pass: {listed}"
    if spec.rollout.promotion == "Manual" and not first:
        given = "which it is" if spec.rollout.approved_release == told.wanted else "which it is not yet"
        waits = f"until spec.rollout.approvedRelease is {told.wanted}, {given}"
        yield State.AWAITING_APPROVAL, waits


def _switched(told: Forecast, spec: Spec) -> Iterator[Step]:
    rollout = spec.rollout
    yield State.SWITCHING, "every gateway makes it ready, then all move between two queries"
    watched = duration_of(rollout.watch).total_seconds() > 0
    if told.kind is Kind.FIRST:
        yield State.ACTIVE, "queries are answered"
        return
    if told.kind is Kind.ROLLBACK or not watched:
        yield State.ACTIVE, "it answers; the switch is not watched"
    else:
        yield State.ACTIVE, f"it answers, watched for {rollout.watch}: broken promises take the switch back"
    if duration_of(rollout.retain).total_seconds() > 0:
        kept = f"kept loaded, fresh and with encoders for {rollout.retain}, to go back to"
        yield State.PREVIOUS, f"{told.active} is {kept}"
    yield State.RETIRING, f"{told.active} goes once every gateway has left it"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
