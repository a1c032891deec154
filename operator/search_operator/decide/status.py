"""status(): what people and tools read, a pure function of spec, observation, outcome and the last status."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter
from search_plane.release.report import JobProgress, JobReport

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.status import (
    BuildProgress,
    Condition,
    CostStatus,
    EncoderStatus,
    Gate,
    GatewayStatus,
    JobOutcome,
    RefreshStatus,
    ReleaseStatus,
    SkippedDocument,
    Status,
    Summary,
)
from search_operator.decide.conditions import Statement, gateway_counts, statements
from search_operator.decide.cost import allowed_max_replicas, amount, bill
from search_operator.decide.release import (
    Situation,
    Stage,
    abandoned,
    active_record,
    newest_job,
    situation,
    told_condition,
)
from search_operator.decide.steps import Outcome
from search_operator.observe.observation import Observation
from search_operator.render.encoder import CPU_TARGET_PERCENT
from search_operator.render.gateway import gateway_name

Object = dict[str, Any]


def status(observation: Observation, outcome: Outcome) -> Object:
    """The whole status as JSON. Equal to the last one when nothing has changed, times included."""
    index = observation.index
    if index.being_deleted:
        return _deletion_status(observation, outcome)
    now = situation(observation)
    conditions = _timed(index, statements(observation, now, outcome), observation.now)
    said: Object = _dump(
        Status(
            observed_generation=index.generation,
            phase=_phase(index, now, conditions),
            active_release=now.record.release if active_record(observation) else None,
            conditions=conditions,
            releases=(_release(observation, now), *_retired(observation, now)),
            encoder=EncoderStatus(
                ready=now.encoders_ready,
                desired=now.encoders_desired,
                min_replicas=index.spec.encoder.autoscaling.min_replicas,
                max_replicas=index.spec.encoder.autoscaling.max_replicas,
                allowed_max=allowed_max_replicas(index.spec),
                scaler=f"HPA (cpu, target {CPU_TARGET_PERCENT} %)",
            ),
            gateway=_gateway(observation),
            refresh=_refresh(observation, now),
            cost=_cost(observation, now),
            summary=_summary(observation, now),
        )
    )
    return said


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
        told[statement.type] = _dump(_condition(statement, told.get(statement.type), generation, now))
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
    conditions = [_dump(c) for c in _timed(index, wrong, observation.now)]
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


def _phase(index: SemanticSearchIndex, now: Situation, conditions: Sequence[Condition]) -> str:
    if index.spec.paused:
        return "Paused"
    if now.stage is not Stage.ACTIVE:
        return now.stage.value
    return "Serving" if conditions[0].status == "True" else "Degraded"


def _release(observation: Observation, now: Situation) -> ReleaseStatus:
    told: Mapping[str, Any] = next(
        (r for r in observation.index.status.get("releases", ()) if r.get("name") == now.record.release), {}
    )
    active = now.stage is Stage.ACTIVE
    role, stage = ("Active", None) if active else ("Candidate", now.stage.value)
    same = told.get("role") == role and told.get("stage") == stage
    building = now.stage is Stage.BUILDING and now.build is not None
    report = now.build.report if now.build else None
    outcome = _dump(_job_outcome(report)) if report else told.get("build")
    return ReleaseStatus.model_validate(
        {
            "name": now.record.release,
            "role": role,
            "stage": stage,
            "waitingFor": now.waiting_for or None,
            "since": told["since"] if same and "since" in told else rfc3339(observation.now),
            "fingerprint": now.record.encoder.fingerprint(),
            "collection": now.collection_name,
            "rows": now.collection.rows if now.collection else told.get("rows"),
            "progress": _dump(_progress(now.build.progress, observation.now))
            if building and now.build
            else None,
            "build": outcome,
            "gates": [_dump(_gate(gate)) for gate in now.gates] if not active else told.get("gates", ()),
        }
    )


def _retired(observation: Observation, now: Situation) -> list[ReleaseStatus]:
    """Abandoned candidates, told until their collections are gone: the status is how they are remembered."""
    told = {r.get("name"): r for r in observation.index.status.get("releases", ())}
    if observation.milvus.known:
        left = {c.record.release for c in abandoned(observation, now.record.release)}
    else:
        left = {str(n) for n, r in told.items() if n != now.record.release and r.get("role") != "Active"}
    return [
        ReleaseStatus.model_validate(
            {
                "name": name,
                "role": "Retired",
                "collection": told[name].get("collection"),
                "since": told[name]["since"]
                if told[name].get("role") == "Retired"
                else rfc3339(observation.now),
            }
        )
        for name in sorted(left)
    ]


def _gate(gate: Any) -> Gate:
    return Gate(
        name=gate.name,
        result=gate.result,
        value=gate.value or None,
        threshold=gate.threshold or None,
        message=gate.message or None,
    )


def _progress(progress: JobProgress | None, now: datetime) -> BuildProgress:
    if progress is None:
        return BuildProgress()
    eta = now + timedelta(seconds=progress.eta_seconds) if progress.eta_seconds is not None else None
    return BuildProgress(
        done=progress.done,
        total=progress.total,
        percent=100 * progress.done // progress.total if progress.total else 0,
        rows_per_second=round(progress.rows_per_second),
        eta=rfc3339(eta) if eta else None,
    )


def _job_outcome(report: JobReport) -> JobOutcome:
    return JobOutcome(
        embedded=report.embedded,
        unchanged=report.unchanged,
        deleted=report.deleted,
        failed=report.failed,
        skipped=tuple(SkippedDocument(id=bad.id, reason=bad.reason[:256]) for bad in report.bad),
        rows_per_second=round(report.rows_per_second),
        duration_seconds=round(report.duration_seconds),
        finished_at=rfc3339(report.finished_at),
    )


def _gateway(observation: Observation) -> GatewayStatus:
    ready, wanted = gateway_counts(observation)
    index = observation.index
    return GatewayStatus(
        ready=ready, desired=wanted, url=f"http://{gateway_name(index.name)}.{index.namespace}.svc/search"
    )


def _refresh(observation: Observation, now: Situation) -> RefreshStatus:
    index = observation.index
    told = index.status.get("refresh", {})
    job = newest_job(observation, "refresh")
    report = job.report if job else None
    succeeded = report is not None and report.result == "Succeeded"
    return RefreshStatus.model_validate(
        {
            "lastSuccess": rfc3339(report.finished_at) if report and succeeded else told.get("lastSuccess"),
            "lastFailure": rfc3339(report.finished_at)
            if report and not succeeded
            else told.get("lastFailure"),
            "next": _next_refresh(observation)
            if now.stage is Stage.ACTIVE and not index.spec.paused
            else None,
            "running": job is not None and not job.finished_at,
            "progress": _dump(_progress(job.progress, observation.now))
            if job and not job.finished_at
            else None,
            "last": _dump(_job_outcome(report)) if report else told.get("last"),
            "message": report.message if report and not succeeded else None,
        }
    )


def _next_refresh(observation: Observation) -> str | None:
    """When the schedule is due next; None for one that never is, such as the 30th of February."""
    refresh = observation.index.spec.refresh
    here = observation.now.astimezone(ZoneInfo(refresh.time_zone))
    try:
        due: datetime = croniter(refresh.schedule, here).get_next(datetime)
    except CroniterBadDateError:
        return None
    return rfc3339(due)


def _cost(observation: Observation, now: Situation) -> CostStatus | None:
    spec = observation.index.spec
    money = bill(spec, now.encoders_desired)
    if money is None or spec.cost is None or spec.cost.prices is None:
        return None
    return CostStatus(
        currency=money.currency,
        hourly=amount(money.hour_now),
        month_at_minimum=amount(money.month_at_minimum),
        month_at_maximum=amount(money.month_at_maximum),
        cap=amount(money.cap),
        as_of=spec.cost.prices.as_of,
    )


def _summary(observation: Observation, now: Situation) -> Summary:
    money = bill(observation.index.spec, now.encoders_desired)
    progress = now.build.progress if now.build and now.stage is Stage.BUILDING else None
    rows = now.collection.rows if now.collection else None
    return Summary(
        release=now.record.release,
        progress=_short_progress(progress, observation.now) or now.stage.value,
        rows=str(rows) if rows is not None else None,
        encoders=f"{now.encoders_ready}/{now.encoders_desired}",
        month_cost=f"{amount(money.month_now)} {money.currency}" if money else None,
    )


def _short_progress(progress: JobProgress | None, now: datetime) -> str:
    """`58%` of the first pass, `check 58%` of a later one, which starts again at 0; empty when there is none."""
    if progress is None or not progress.total:
        return ""
    percent = f"{_progress(progress, now).percent}%"
    return percent if progress.phase == "Scanning" else f"check {percent}"


def rfc3339(moment: datetime) -> str:
    """UTC to the second, as Kubernetes writes times."""
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def _dump(model: Any) -> Any:
    return model.model_dump(by_alias=True, exclude_none=True, mode="json")
