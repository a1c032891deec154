"""Pods and Jobs as views: what is worth telling of them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import aiohttp
from pydantic import ValidationError
from search_plane.release.report import JobProgress, JobReport

from search_operator.observe.asking import ask, reachable
from search_operator.observe.observation import JobView, PodStart, PodView
from search_operator.observe.slices import as_progress, sum_of_progress, sum_of_reports
from search_operator.render.child import ATTEMPT_LABEL, POINTER_ANNOTATION, REFRESH_ANNOTATION, RELEASE_LABEL

Object = dict[str, Any]
JobComponent = Literal["build", "catchup", "verify", "refresh"]
COMPONENT_LABEL = "app.kubernetes.io/component"
PROGRESS_WITHIN_SECONDS = 1.5
# Longer than an encoder's startup probe lets it load its weights.
LOADS_WITHIN = timedelta(minutes=10)
SLICE = "batch.kubernetes.io/job-completion-index"
_JOB_COMPONENTS: Mapping[str, JobComponent] = {"build": "build", "catchup": "catchup", "verify": "verify"}


def pod_view(pod: Object) -> PodView:
    """What status needs of a pod."""
    meta, state = pod["metadata"], pod.get("status", {})
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    conditions = {c["type"]: c for c in state.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    container: Object = next(iter(state.get("containerStatuses", ())), {})
    waiting = container.get("state", {}).get("waiting", {})
    ended = (
        container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    )
    return PodView(
        name=meta["name"],
        component=labels.get(COMPONENT_LABEL, ""),
        release=labels.get(RELEASE_LABEL, ""),
        job=labels.get("batch.kubernetes.io/job-name", ""),
        phase=state.get("phase", "Unknown"),
        ip=state.get("podIP", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        finished_at=ended.get("finishedAt", ""),
        report=JobReport.from_termination_message(ended.get("message", "")),
        nudged=annotations.get(POINTER_ANNOTATION, ""),
        deleted="deletionTimestamp" in meta,
        slice=_number(labels.get(SLICE) or annotations.get(SLICE), 0),
        uid=meta.get("uid", ""),
        scheduled=scheduled.get("lastTransitionTime") or "" if scheduled.get("status") == "True" else "",
        ended=_ended(state),
        started=_start(meta.get("creationTimestamp"), conditions.get("Ready", {}), container),
    )


def _ended(state: Object) -> str:
    """When the last container of a pod that has ended for good did; empty before."""
    if state.get("phase") not in ("Succeeded", "Failed"):
        return ""
    terminated = (c.get("state", {}).get("terminated") or {} for c in state.get("containerStatuses") or ())
    ends = [end["finishedAt"] for end in terminated if end.get("finishedAt")]
    # One that was evicted before it ran has no containers to tell.
    return max(ends or [c.get("lastTransitionTime") or "" for c in state.get("conditions", ())], default="")


def _start(created: str | None, ready: Object, container: Object) -> PodStart | None:
    """How long the pod took to get ready; None when it is not, or when that was not its first time."""
    running = container.get("state", {}).get("running", {}).get("startedAt")
    since = ready.get("lastTransitionTime")
    if ready.get("status") != "True" or not (created and running and since) or container.get("restartCount"):
        return None
    ready_at = datetime.fromisoformat(since)
    # A pod that has lost its readiness and got it back changed long after its container began.
    if ready_at - datetime.fromisoformat(running) > LOADS_WITHIN:
        return None
    return PodStart(ready_at, max(timedelta(), ready_at - datetime.fromisoformat(created)))


def job_view(job: Object, pods: Sequence[PodView], progress: JobProgress | None) -> JobView:
    """A Job with what its pods reported: the newest report, or the sum over the slices of an indexed one."""
    meta, state = job["metadata"], job.get("status", {})
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    done = {c["type"]: c for c in state.get("conditions", ()) if c["status"] == "True"}
    ended = done.get("Complete") or done.get("Failed")
    slices = slices_of(job)
    reports = newest_reports(pods, meta["name"])
    return JobView(
        name=meta["name"],
        release=labels.get(RELEASE_LABEL, ""),
        component=_JOB_COMPONENTS.get(labels.get(COMPONENT_LABEL, ""), "refresh"),
        uid=meta["uid"],
        started_at=state.get("startTime") or meta["creationTimestamp"],
        finished_at=ended.get("lastTransitionTime", "") if ended else "",
        succeeded="Complete" in done,
        failed="Failed" in done,
        progress=progress,
        report=sum_of_reports(reports, slices),
        attempt=_number(labels.get(ATTEMPT_LABEL), 1),
        slices=slices,
        slices_done=int(state.get("succeeded") or 0),
        request=annotations.get(REFRESH_ANNOTATION, ""),
    )


def slices_of(job: Object) -> int:
    """How many workers share the Job, each with its own part."""
    return int(job.get("spec", {}).get("completions") or 1)


def newest_reports(pods: Sequence[PodView], job: str) -> dict[int, JobReport]:
    """By slice, the last report of its pods."""
    told = sorted((p for p in pods if p.job == job), key=lambda pod: pod.finished_at)
    return {pod.slice: pod.report for pod in told if pod.report}


async def job_progress(
    http: aiohttp.ClientSession, pods: Sequence[PodView], job: str, slices: int = 1
) -> JobProgress | None:
    """What the Job's running workers say, plus the reports of those that have ended; None when none is heard."""
    running = [p for p in pods if p.job == job and reachable(p)]
    answers = await asyncio.gather(*(_progress(http, pod) for pod in running))
    told = {pod.slice: answer for pod, answer in zip(running, answers, strict=True) if answer}
    if slices > 1:
        ended = newest_reports([p for p in pods if p.phase == "Succeeded"], job)
        told = {number: as_progress(report) for number, report in ended.items()} | told
    return sum_of_progress(list(told.values()), slices)


async def _progress(http: aiohttp.ClientSession, pod: PodView) -> JobProgress | None:
    said = await ask(http, pod, "/progress", PROGRESS_WITHIN_SECONDS)
    try:
        return JobProgress.model_validate(said) if said else None
    except ValidationError:
        return None


def _number(text: str | None, default: int) -> int:
    """A number in a label; the default where somebody has put something else."""
    return int(text) if text and text.isdecimal() else default
