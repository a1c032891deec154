"""Pods and Jobs as views; several workers as one."""

from datetime import timedelta
from typing import Any

import pytest
from search_operator.observe.slices import as_progress, sum_of_progress, sum_of_reports
from search_operator.observe.workloads import job_view, pod_view
from search_plane.release.report import BadDocument, JobProgress, JobReport, Phase

from tests.unit.operator_core.builders import START, Object, report

RELEASE = "r-00000001"


def job(component: str = "build", *, completions: int = 1, succeeded: int = 0, attempt: str = "") -> Object:
    """A Job as the API server returns it, not ended."""
    return {
        "metadata": {
            "name": f"products-{component}",
            "uid": "u",
            "creationTimestamp": "2026-11-22T03:00:00Z",
            "labels": {
                "app.kubernetes.io/component": component,
                "semanticsearch.io/release": RELEASE,
                "semanticsearch.io/attempt": attempt,
            },
        },
        "spec": {"completions": completions},
        "status": {"succeeded": succeeded},
    }


def worker(
    index: int, said: JobReport | None, *, finished: str = "2026-11-22T03:10:00Z", **more: Any
) -> Object:
    """A pod of that Job's slice that has ended with a report."""
    labels = {
        "batch.kubernetes.io/job-name": "products-build",
        "batch.kubernetes.io/job-completion-index": str(index),
    }
    ended = {"finishedAt": finished, "message": said.to_termination_message() if said else ""}
    status = {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": ended}}]}
    name = f"products-build-{index}-{finished}"
    return {"metadata": {"name": name, "labels": labels, **more}, "status": status}


def views(*pods: Object) -> list[Any]:
    return [pod_view(pod) for pod in pods]


def test_a_gateway_pod_tells_what_it_was_nudged_with_and_whether_it_goes() -> None:
    body: Object = {"metadata": {"name": "g", "annotations": {"semanticsearch.io/pointer": "abc"}}}
    view = pod_view(body)
    assert (view.nudged, view.deleted, view.slice) == ("abc", False, 0)
    body["metadata"]["deletionTimestamp"] = "2026-11-22T03:00:00Z"
    assert pod_view(body).deleted
    assert pod_view({"metadata": {"name": "g"}}).nudged == ""


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_a_worker_knows_its_slice(place: str) -> None:
    meta = {"name": "w", place: {"batch.kubernetes.io/job-completion-index": "3"}}
    assert pod_view({"metadata": meta}).slice == 3


@pytest.mark.parametrize("component", ["build", "catchup", "verify", "refresh"])
def test_each_kind_of_job_is_told_apart(component: str) -> None:
    view = job_view(job(component, attempt="2"), [], None)
    assert (view.component, view.attempt, view.slices, view.request) == (component, 2, 1, "")


def test_a_job_without_an_attempt_is_the_first_and_names_the_request_it_serves() -> None:
    body = job("refresh", attempt="many")
    body["metadata"]["annotations"] = {"semanticsearch.io/refresh-requested-at": "2026-11-22T03:00:00Z"}
    view = job_view(body, [], None)
    assert (view.attempt, view.request) == (1, "2026-11-22T03:00:00Z")


def test_slices_are_counted_and_their_reports_summed_once_all_are_there() -> None:
    first = report(
        RELEASE, 100, embedded=90, failed=2, duration_seconds=10.0, rows_per_second=9.0, id_sets_equal=False
    )
    second = report(
        RELEASE,
        50,
        embedded=40,
        reused=8,
        updated=2,
        duration_seconds=30.0,
        rows_per_second=2.0,
        finished_at=START + timedelta(minutes=1),
        id_sets_equal=False,
    )
    building = job(completions=2, succeeded=1)
    half = job_view(building, views(worker(0, first)), None)
    assert (half.slices, half.slices_done, half.report) == (2, 1, None)

    # A slice that ran twice counts once, with its last report.
    old = worker(1, report(RELEASE, 7), finished="2026-11-22T03:01:00Z")
    whole = job_view(building, views(worker(1, second), old, worker(0, first)), None).report
    assert whole is not None
    assert (whole.rows, whole.embedded, whole.reused, whole.updated, whole.failed) == (150, 130, 8, 2, 2)
    assert (whole.duration_seconds, whole.rows_per_second) == (30.0, 11.0)
    assert (whole.result, whole.id_sets_equal) == ("Succeeded", False)
    assert whole.finished_at == START + timedelta(minutes=1)


def test_one_failed_slice_is_what_is_told() -> None:
    failing = report(RELEASE, 0, "EncoderUnavailable", message="no encoder answers")
    told = job_view(job(completions=3), views(worker(0, report(RELEASE)), worker(2, failing)), None).report
    assert told is not None
    assert (told.reason, told.message) == ("EncoderUnavailable", "no encoder answers")


def test_only_the_first_bad_documents_of_all_slices_are_named() -> None:
    bad = tuple(BadDocument(id=f"p{number}", reason="no title") for number in range(15))
    whole = sum_of_reports({n: report(RELEASE, bad=bad, failed=15) for n in range(2)}, 2)
    assert whole is not None
    assert (len(whole.bad), whole.failed) == (20, 30)


def test_the_watermark_is_the_earliest_and_only_known_when_all_are() -> None:
    early, late = report(RELEASE, watermark=START), report(RELEASE, watermark=START + timedelta(minutes=5))
    whole = sum_of_reports({0: late, 1: early}, 2)
    assert whole is not None
    assert whole.watermark == START
    partly = sum_of_reports({0: late, 1: report(RELEASE)}, 2)
    assert partly is not None
    assert partly.watermark is None


def test_a_single_worker_is_told_as_it_is() -> None:
    said = report(RELEASE, 5)
    assert sum_of_reports({0: said}, 1) == said
    assert sum_of_reports({}, 1) is None


def progress(phase: Phase = "Scanning", *, eta: float | None = 60.0, **counts: Any) -> JobProgress:
    return JobProgress.model_validate({"phase": phase, "eta_seconds": eta, "started_at": START, **counts})


def test_progress_is_summed_and_ends_with_the_slowest() -> None:
    fast = progress("Flushing", done=90, total=100, embedded=80, unchanged=10, rows_per_second=50.0, eta=2.0)
    slow = progress(done=10, total=100, embedded=10, rows_per_second=5.0, eta=18.0)
    ended = as_progress(report(RELEASE, 100, embedded=60, unchanged=30, failed=10))
    whole = sum_of_progress([fast, slow, ended], 3)
    assert whole is not None
    assert (whole.done, whole.total, whole.embedded, whole.unchanged) == (200, 300, 150, 40)
    assert (whole.phase, whole.eta_seconds, whole.rows_per_second) == ("Scanning", 18.0, 55.0)
    assert whole.started_at == min(START, ended.started_at)


def test_a_worker_that_is_not_heard_counts_as_not_begun() -> None:
    whole = sum_of_progress([progress(done=30, total=100), progress(done=30, total=102)], 4)
    assert whole is not None
    assert (whole.done, whole.total) == (60, 404)
    assert (whole.phase, whole.eta_seconds) == ("Starting", None)


def test_an_end_that_one_worker_does_not_know_is_not_known() -> None:
    whole = sum_of_progress([progress(eta=5.0), progress(eta=None)], 2)
    assert whole is not None
    assert whole.eta_seconds is None


def test_nothing_heard_is_no_progress() -> None:
    assert sum_of_progress([], 2) is None
    assert sum_of_progress([progress(done=3)], 1) == progress(done=3)
