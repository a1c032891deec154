"""status(): what people and tools read, a pure function of spec, observation, outcome and the last status."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from search_plane.release.report import JobProgress

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.status import (
    CapacityStatus,
    Condition,
    CostStatus,
    EncoderStatus,
    GatewayStatus,
    MonthSpent,
    RefreshStatus,
    ReleaseStatus,
    Status,
    Summary,
)
from search_operator.decide.capacity import Fleet, binary_size, fleets
from search_operator.decide.conditions import gateway_counts, statements
from search_operator.decide.prewarm import start_seconds, starts, window_statuses
from search_operator.decide.reconciling import open_cost_status
from search_operator.decide.release import Release, State, newest_job, told_condition
from search_operator.decide.release_status import build_progress, dump, job_outcome, release_statuses
from search_operator.decide.rollout import Rollout, pointer_is_lost, rollout
from search_operator.decide.scaling import choice_of
from search_operator.decide.schedule import next_due, rfc3339
from search_operator.decide.searching import search_status
from search_operator.decide.second_release import fleet_order, second_need
from search_operator.decide.spending import prices_of
from search_operator.decide.statement import Statement
from search_operator.decide.steps import Outcome
from search_operator.money.months import moment_of
from search_operator.money.tariff import amount
from search_operator.observe.observation import Observation
from search_operator.render.encoder import encoder_name
from search_operator.render.gateway import gateway_name
from search_operator.render.scaler import scaler_text

Object = dict[str, Any]


def status(observation: Observation, outcome: Outcome) -> Object:
    """The whole status as JSON. Equal to the last one when nothing has changed, times included."""
    index = observation.index
    if index.being_deleted:
        return _deletion_status(observation, outcome)
    now = rollout(observation)
    # What was told is then all that is left to know the active release by.
    lost, told = pointer_is_lost(observation), index.active_release or None
    conditions = _timed(index, statements(observation, now, outcome), observation.now)
    said: Object = dump(
        Status(
            observed_generation=index.generation,
            phase=_phase(index, now, conditions),
            active_release=told if lost else now.active.name if now.active else None,
            conditions=conditions,
            releases=_releases(index) if lost else tuple(release_statuses(observation, now)),
            encoder=EncoderStatus(
                ready=now.focus.encoders_ready,
                desired=now.focus.encoders_desired,
                min_replicas=index.spec.encoder.autoscaling.min_replicas,
                max_replicas=index.spec.encoder.autoscaling.max_replicas,
                allowed_max=observation.allowed_encoders,
                scaler=_scaler(observation, now),
                start_seconds=start_seconds(started := starts(observation)),
                starts=started,
                windows=window_statuses(observation, _answering_fleet(observation, now)),
            ),
            gateway=_gateway(observation, now),
            search=search_status(observation),
            refresh=_refresh(observation, now),
            capacity=_capacity(observation, now),
            cost=_cost(observation),
            summary=_summary(observation, now),
        )
    )
    return said


def _answering_fleet(observation: Observation, now: Rollout) -> Fleet | None:
    """The fleet of the release that answers."""
    order = fleet_order(now.book)
    return (
        fleets(observation.index.spec, order, observation.allowed_encoders)[order[0]] if now.active else None
    )


def _scaler(observation: Observation, now: Rollout) -> str:
    """What scales the release's fleet, or is about to."""
    choice = choice_of(observation, encoder_name(observation.index.name, now.focus.record.encoder))
    return scaler_text(choice.scaler, observation.index.spec.encoder.autoscaling)


def _releases(index: SemanticSearchIndex) -> tuple[ReleaseStatus, ...]:
    """The releases as the last status told them."""
    return tuple(ReleaseStatus.model_validate(release) for release in index.status.get("releases", ()))


def unreadable_status(index_object: Mapping[str, Any], message: str, now: datetime) -> Object:
    """For a spec that this version can't read: keeps what the last status said, and says what is wrong."""
    last = dict(index_object.get("status") or {})
    generation = index_object["metadata"].get("generation", 0)
    told = {c.get("type"): c for c in last.get("conditions", ())}
    wrong = (
        Statement("Ready", "False", "InvalidSpec", message),
        Statement("Reconciling", "False", "Stalled", ""),
        Statement("Stalled", "True", "InvalidSpec", message),
    )
    for statement in wrong:
        told[statement.type] = dump(_condition(statement, told.get(statement.type), generation, now))
    return {**last, "observedGeneration": generation, "conditions": list(told.values())}


def _deletion_status(observation: Observation, outcome: Outcome) -> Object:
    index = observation.index
    blocked = observation.secret_problem or observation.milvus.problem
    failure = outcome.failures[0] if outcome.failures else None
    if index.spec.deletion_policy == "Delete" and (blocked or failure):
        cause = blocked.message if blocked else failure.message if failure else ""
        message = f"{cause}. To leave the data behind, set spec.deletionPolicy to Retain"
        wrong = [
            Statement("Ready", "False", "DeletionBlocked", message),
            Statement("Reconciling", "False", "Stalled", ""),
            Statement("Stalled", "True", "DeletionBlocked", message),
        ]
    else:
        wrong = [
            Statement("Ready", "False", "Deleting", "collections and jobs are being removed"),
            Statement("Reconciling", "True", "Deleting", ""),
            Statement("Stalled", "False", "NotStalled", ""),
        ]
    said = {s.type for s in wrong}
    kept = [c for c in index.status.get("conditions", ()) if c.get("type") not in said]
    last = {key: value for key, value in index.status.items() if key != "conditions"}
    conditions = [dump(c) for c in _timed(index, wrong, observation.now)]
    return {
        **last,
        "observedGeneration": index.generation,
        "phase": "Deleting",
        "conditions": [*conditions, *kept],
    }


def _timed(index: SemanticSearchIndex, said: Sequence[Statement], now: datetime) -> tuple[Condition, ...]:
    return tuple(_condition(s, told_condition(index, s.type), index.generation, now) for s in said)


def _condition(said: Statement, told: Mapping[str, Any] | None, generation: int, now: datetime) -> Condition:
    """With the time of its last change of status; a new reason or message alone does not move it."""
    since = told["lastTransitionTime"] if told and told.get("status") == said.status else rfc3339(now)
    return Condition(
        type=said.type,
        status=said.status,
        reason=said.reason,
        message=said.message[:4096],
        observed_generation=generation,
        last_transition_time=since,
    )


def _phase(index: SemanticSearchIndex, now: Rollout, conditions: Sequence[Condition]) -> str:
    if index.spec.paused:
        return "Paused"
    if now.active is None:
        return now.focus.state.value
    return "Serving" if conditions[0].status == "True" else "Degraded"


def _gateway(observation: Observation, now: Rollout) -> GatewayStatus:
    ready, wanted = gateway_counts(observation)
    index = observation.index
    answering = [g.state for g in observation.gateways if g.ready and g.state]
    return GatewayStatus(
        ready=ready,
        desired=wanted,
        url=f"http://{gateway_name(index.name)}.{index.namespace}.svc/search",
        on_active=sum(state.release == now.active.name for state in answering) if now.active else 0,
    )


def _refresh(observation: Observation, now: Rollout) -> RefreshStatus:
    index = observation.index
    told = index.status.get("refresh", {})
    job = newest_job(observation, "refresh", now.active.name if now.active else "")
    report = job.report if job else None
    succeeded = report is not None and report.result == "Succeeded"
    due = next_due(index, observation.now)
    requests = [job.request for job in observation.jobs if job.request]
    return RefreshStatus.model_validate(
        {
            "lastSuccess": rfc3339(report.finished_at) if report and succeeded else told.get("lastSuccess"),
            "lastFailure": rfc3339(report.finished_at)
            if report and not succeeded
            else told.get("lastFailure"),
            "next": rfc3339(due) if due and now.active and not index.spec.paused else None,
            "running": job is not None and not job.finished_at,
            "progress": dump(build_progress(job.progress, observation.now))
            if job and not job.finished_at
            else None,
            "last": dump(job_outcome(report)) if report else told.get("last"),
            "servedRequest": max([*requests, told.get("servedRequest") or ""]) or None,
            "message": report.message if report and not succeeded else None,
        }
    )


def _capacity(observation: Observation, now: Rollout) -> CapacityStatus | None:
    """What there is for a second release and what it still needs, while one is on its way."""
    wanted = second_need(observation, now.book)
    if wanted is None:
        return None
    lacking, found = wanted[0], observation.capacity
    return CapacityStatus(
        gpus_needed=lacking.devices + lacking.rerankers,
        gpus_free=found.gpus_free,
        memory_needed=binary_size(lacking.memory),
        memory_free=binary_size(found.memory_free) if found.memory_free is not None else None,
    )


def _cost(observation: Observation) -> CostStatus | None:
    account, prices = observation.account, prices_of(observation)
    if account is None or prices is None:
        # What was spent stays spent while prices can't be read.
        told = observation.index.status.get("cost") if observation.prices.problem else None
        return CostStatus.model_validate(told) if told else None
    said = account.outlook
    past = [kept for kept in account.ledger.months if kept.month < said.month][-3:]
    return CostStatus(
        currency=account.tariff.currency,
        month=said.month,
        spent=amount(said.spent),
        projected=amount(said.projected),
        at_minimum=amount(account.lowest.projected),
        cap=amount(said.cap),
        hourly=amount(said.hour),
        allowed_max=account.allowed,
        reached_at=rfc3339(moment_of(said.reached)) if said.reached is not None else None,
        deferred=account.ledger.deferred,
        as_of=rfc3339(moment_of(account.ledger.upto)),
        prices_as_of=prices.as_of,
        months=tuple(MonthSpent(month=kept.month, spent=amount(kept.spent)) for kept in past),
        open_cost=open_cost_status(observation),
    )


def _summary(observation: Observation, now: Rollout) -> Summary:
    focus, candidate = now.focus, now.candidate
    money = observation.account
    rows = focus.collection.rows if focus.collection else None
    return Summary(
        release=focus.name,
        progress=_how_far(focus, observation.now),
        candidate=f"{candidate.name} {_how_far(candidate, observation.now)}"
        if candidate and now.active
        else None,
        rows=str(rows) if rows is not None else None,
        encoders=f"{focus.encoders_ready}/{focus.encoders_desired}",
        month_cost=f"{amount(money.outlook.projected)} {money.tariff.currency}" if money else None,
    )


def _how_far(release: Release, now: datetime) -> str:
    """The state, or while a job works, how much of it is done."""
    job = {State.BUILDING: release.build, State.CATCHING_UP: release.catchup}.get(release.state)
    return _short_progress(job.progress if job else None, now) or release.state.value


def _short_progress(progress: JobProgress | None, now: datetime) -> str:
    """`58%` of the first pass, `check 58%` of a later one, which starts again at 0; empty when there is none."""
    if progress is None or not progress.total or progress.phase not in ("Scanning", "Reconciling"):
        return ""
    percent = f"{build_progress(progress, now).percent}%"
    return percent if progress.phase == "Scanning" else f"check {percent}"
