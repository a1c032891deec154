"""Fake jobs: what build, catchup, verify and refresh do to a collection, and the reports that they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_operator.decide.schedule import rfc3339
from search_plane.release.report import JobReport, Verification

from tests.unit.operator_core.builders import Object, report

if TYPE_CHECKING:
    from tests.unit.operator_core.simulated_milvus import Collection
    from tests.unit.operator_core.world import World

COMPONENT = "app.kubernetes.io/component"
RELEASE = "semanticsearch.io/release"


def run_jobs(world: World, only: str = "") -> None:
    """Each running Job (of a component) ends well, if it finds Milvus, the catalogue, and its release's encoder."""
    for (kind, name), job in list(world.children.items()):
        if kind != "Job" or job["status"].get("conditions"):
            continue
        component, release = job["metadata"]["labels"][COMPONENT], job["metadata"]["labels"][RELEASE]
        found = world.milvus.of_release(release)
        lacking = world.milvus.problem or world.catalogue_problem or found is None or not found.serves
        if lacking or found is None or only not in ("", component):
            continue
        if world.encoders_of(found.record.encoder):
            workers = int(job.get("spec", {}).get("completions") or 1)
            _end(world, name, job, _work(world, component, release, found, workers))


def _work(world: World, component: str, release: str, found: Collection, workers: int) -> list[JobReport]:
    """What the job does, and what each of its workers reports."""
    if component == "build":
        # The catalogue goes on changing while it is read.
        found.rows, found.filled = world.documents - 2, True
        rows = found.rows // workers
        return [report(release, rows, id_sets_equal=False, finished_at=world.now)] * workers
    if component == "verify":
        return [_measured(world, release, found)]
    found.rows, found.filled, found.caught_up = world.documents, True, True
    return [report(release, found.rows, watermark=world.now, finished_at=world.now)]


def _measured(world: World, release: str, found: Collection) -> JobReport:
    good: dict[str, Any] = {
        "rows": found.rows,
        "missing": 0,
        "extra": 0,
        "stale": 0,
        "vectors_match": 1.0,
        "vectors_checked": 64,
        "encoder_sound": True,
        "recall": 0.99,
        "recall_k": 100,
        "recall_queries": 100,
        "overlap": 0.98,
        "ndcg": 0.8,
        "active_ndcg": 0.8,
        "judged": 20,
        "zero_results": 0.0,
        "active_zero_results": 0.0,
        "p95_ms": 12.0,
        "timed_queries": 100,
    }
    verification = Verification(**(good | world.measures))
    return report(release, found.rows, verification=verification, finished_at=world.now)


def _end(world: World, name: str, job: Object, reports: list[JobReport]) -> None:
    at = rfc3339(world.now)
    job["status"] = {
        **job["status"],
        "succeeded": len(reports),
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": at}],
    }
    for number, told in enumerate(reports):
        world.pods[f"{name}.{number}"] = _pod(name, number, told.to_termination_message(), at)


def _pod(job: str, number: int, message: str, finished: str) -> Object:
    labels = {
        COMPONENT: "build",
        "batch.kubernetes.io/job-name": job,
        "batch.kubernetes.io/job-completion-index": str(number),
    }
    ended = {"name": "build", "state": {"terminated": {"message": message, "finishedAt": finished}}}
    return {
        "metadata": {"name": f"{job}.{number}", "labels": labels},
        "status": {"phase": "Succeeded", "containerStatuses": [ended]},
    }
