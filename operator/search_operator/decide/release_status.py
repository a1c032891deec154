"""What the status says of each release: its part, its stage, what it waits for, its numbers and gates."""

from datetime import datetime, timedelta
from typing import Any

from search_plane.release.report import JobProgress, JobReport

from search_operator.api.status import BuildProgress, Gate, JobOutcome, ReleaseStatus, SkippedDocument
from search_operator.decide.gates import Gate as JudgedGate
from search_operator.decide.release import DEADLINES, Release, State, told_release
from search_operator.decide.rollout import Rollout
from search_operator.decide.schedule import rfc3339
from search_operator.observe.book import Held
from search_operator.observe.observation import Observation

Object = dict[str, Any]


def release_statuses(observation: Observation, now: Rollout) -> list[ReleaseStatus]:
    """Every release that has a part, the one that answers first; one on its way is told as that."""
    book = now.book
    found: list[ReleaseStatus] = []
    if now.active and book.active:
        found.append(_held(observation, now.active, book.active))
    if now.candidate and book.candidate:
        found.append(_candidate(observation, now.candidate, judged=book.candidate.by == "Spec"))
    elif now.active is None:
        found.append(_candidate(observation, now.focus, judged=True))
    # A wish that comes back is told as that, though it is retained or on its way out: the API takes each name once.
    told = {status.name for status in found}
    if now.previous and book.previous and now.previous.name not in told:
        found.append(_held(observation, now.previous, book.previous))
        told.add(now.previous.name)
    found += [_retiring(observation, release) for release in now.retiring if release.name not in told]
    told |= {release.name for release in now.retiring}
    if now.failure and now.failure.release not in told:
        found.append(_failed(observation, now))
    return found


def _held(observation: Observation, release: Release, held: Held) -> ReleaseStatus:
    told = told_release(observation.index, release.name)
    return ReleaseStatus.model_validate(
        {
            **_identity(observation, release),
            "role": release.state.value,
            "since": rfc3339(held.since),
            "retainedUntil": rfc3339(held.until) if held.until else None,
            "build": told.get("build"),
            "gates": told.get("gates", ()),
        }
    )


def _candidate(observation: Observation, release: Release, *, judged: bool) -> ReleaseStatus:
    """One on its way; `judged`: whether gates are asked, which they are not of a release that comes back at once."""
    told = told_release(observation.index, release.name)
    stage = release.state.value
    same = told.get("role") == "Candidate" and told.get("stage") == stage
    since = told["since"] if same and "since" in told else rfc3339(observation.now)
    limit = DEADLINES.get(release.state)
    job = {State.BUILDING: release.build, State.CATCHING_UP: release.catchup}.get(release.state)
    return ReleaseStatus.model_validate(
        {
            **_identity(observation, release),
            "role": "Candidate",
            "stage": stage,
            "waitingFor": release.waiting_for or None,
            "since": since,
            "deadline": rfc3339(datetime.fromisoformat(since) + limit)
            if limit and judged and observation.book.active
            else None,
            "progress": dump(build_progress(job.progress, observation.now))
            if job and job.progress and job.progress.total
            else None,
            "build": _built(release) or told.get("build"),
            "gates": [dump(_gate(gate)) for gate in release.gates] if judged else told.get("gates", ()),
        }
    )


def _retiring(observation: Observation, release: Release) -> ReleaseStatus:
    told = told_release(observation.index, release.name)
    since = told.get("since") if told.get("role") == "Retiring" else None
    return ReleaseStatus.model_validate(
        {
            **_identity(observation, release),
            "role": "Retiring",
            "waitingFor": release.waiting_for or None,
            "since": since or rfc3339(observation.now),
        }
    )


def _failed(observation: Observation, now: Rollout) -> ReleaseStatus:
    assert now.failure is not None
    told = told_release(observation.index, now.failure.release)
    return ReleaseStatus.model_validate(
        {
            "name": now.failure.release,
            "role": "Failed",
            "since": rfc3339(now.failure.at),
            "message": f"{now.failure.reason}: {now.failure.message}"[:4096],
            "fingerprint": now.wanted.encoder.fingerprint(),
            "build": told.get("build"),
            "gates": told.get("gates", ()),
        }
    )


def _identity(observation: Observation, release: Release) -> Object:
    told = told_release(observation.index, release.name)
    seen = release.collection
    return {
        "name": release.name,
        "fingerprint": release.record.encoder.fingerprint(),
        "collection": release.collection_name,
        "rows": seen.rows if seen and seen.rows is not None else told.get("rows"),
        "rebuild": release.record.rebuild or None,
    }


def _built(release: Release) -> Object | None:
    """How the build ended; where a catch-up did it all, how that ended."""
    job = release.build if release.build and release.build.report else release.catchup
    return dump(job_outcome(job.report)) if job and job.report else None


def _gate(gate: JudgedGate) -> Gate:
    return Gate(
        name=gate.name,
        result=gate.result,
        value=gate.value or None,
        threshold=gate.threshold or None,
        message=gate.message or None,
    )


def build_progress(progress: JobProgress | None, now: datetime) -> BuildProgress:
    """A job's progress as the status has it; zeros while there is none."""
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


def job_outcome(report: JobReport) -> JobOutcome:
    """A job's report as the status has it."""
    return JobOutcome(
        embedded=report.embedded,
        unchanged=report.unchanged,
        reused=report.reused,
        updated=report.updated,
        deleted=report.deleted,
        failed=report.failed,
        skipped=tuple(SkippedDocument(id=bad.id, reason=bad.reason[:256]) for bad in report.bad),
        rows_per_second=round(report.rows_per_second),
        duration_seconds=round(report.duration_seconds),
        finished_at=rfc3339(report.finished_at),
    )


def dump(model: Any) -> Any:
    """The model as JSON, without what it does not say."""
    return model.model_dump(by_alias=True, exclude_none=True, mode="json")
