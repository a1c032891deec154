"""Pods and Jobs as views: what is worth telling of them."""

from collections.abc import Sequence
from typing import Any

import aiohttp
from pydantic import ValidationError
from search_plane.release.report import JobProgress, JobReport

from search_operator.observe.observation import JobView, PodView

Object = dict[str, Any]
PROGRESS_PORT = 8080
PROGRESS_TIMEOUT = aiohttp.ClientTimeout(total=1.5, sock_connect=1.0)


def pod_view(pod: Object) -> PodView:
    """What status needs of a pod."""
    labels, state = pod["metadata"].get("labels", {}), pod.get("status", {})
    conditions = {c["type"]: c for c in state.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    container: Object = next(iter(state.get("containerStatuses", ())), {})
    waiting = container.get("state", {}).get("waiting", {})
    ended = (
        container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    )
    return PodView(
        name=pod["metadata"]["name"],
        component=labels.get("app.kubernetes.io/component", ""),
        release=labels.get("semanticsearch.io/release", ""),
        job=labels.get("batch.kubernetes.io/job-name", ""),
        phase=state.get("phase", "Unknown"),
        ip=state.get("podIP", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        finished_at=ended.get("finishedAt", ""),
        report=JobReport.from_termination_message(ended.get("message", "")),
    )


def job_view(job: Object, pods: Sequence[PodView], progress: JobProgress | None) -> JobView:
    """A Job with its newest pod's report."""
    state = job.get("status", {})
    done = {c["type"]: c for c in state.get("conditions", ()) if c["status"] == "True"}
    ended = done.get("Complete") or done.get("Failed")
    told = [p for p in pods if p.job == job["metadata"]["name"] and p.report]
    newest = max(told, key=lambda pod: pod.finished_at, default=None)
    labels = job["metadata"].get("labels", {})
    return JobView(
        name=job["metadata"]["name"],
        release=labels.get("semanticsearch.io/release", ""),
        component="build" if labels.get("app.kubernetes.io/component") == "build" else "refresh",
        uid=job["metadata"]["uid"],
        started_at=state.get("startTime") or job["metadata"]["creationTimestamp"],
        finished_at=ended.get("lastTransitionTime", "") if ended else "",
        succeeded="Complete" in done,
        failed="Failed" in done,
        progress=progress,
        report=newest.report if newest else None,
    )


async def job_progress(http: aiohttp.ClientSession, pods: Sequence[PodView], job: str) -> JobProgress | None:
    """What the Job's running pod says of itself; None when none answers in time."""
    pod = next((p for p in pods if p.job == job and p.phase == "Running" and p.ip), None)
    if pod is None:
        return None
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    try:
        async with http.get(f"http://{host}:{PROGRESS_PORT}/progress", timeout=PROGRESS_TIMEOUT) as answer:
            return JobProgress.model_validate(await answer.json()) if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValidationError, ValueError):
        return None
