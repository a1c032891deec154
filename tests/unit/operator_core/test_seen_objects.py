"""What the watches told, pods and Jobs as views, and when the operator counts as frozen."""

from typing import Any

import pytest
from search_operator.observe.cache import Cache
from search_operator.observe.workloads import job_view, pod_view
from search_operator.run.health import Pulse, frozen

from tests.unit.operator_core.builders import Object, report

KEY = ("search", "products")
LABELS = {"semanticsearch.io/index": "products", "app.kubernetes.io/component": "build"}


def thing(kind: str, name: str, version: str, **more: Any) -> Object:
    """A child or pod of the index."""
    meta = {"name": name, "namespace": "search", "resourceVersion": version, "labels": LABELS, "uid": "u"}
    return {"kind": kind, "metadata": meta | {"managedFields": [{"manager": "x"}]}, **more}


def test_the_newest_version_is_kept_slim() -> None:
    cache = Cache()
    assert cache.put(thing("Service", "a", "9")) == KEY
    cache.put(thing("Service", "a", "10", spec={"new": True}))
    cache.put(thing("Service", "a", "9", spec={"new": False}))
    live = cache.children(KEY)["Service", "a"]
    assert live["spec"] == {"new": True}
    assert "managedFields" not in live["metadata"]
    cache.put_index(thing("SemanticSearchIndex", "products", "12", status={"a": 1}))
    cache.put_index(thing("SemanticSearchIndex", "products", "11"))
    assert cache.indexes[KEY]["status"] == {"a": 1}


def test_the_late_news_of_a_deletion_does_not_hide_the_child_that_came_after() -> None:
    cache = Cache()
    cache.put(thing("Service", "a", "20"))
    assert cache.drop(thing("Service", "a", "15")) == KEY
    assert ("Service", "a") in cache.children(KEY)
    cache.drop(thing("Service", "a", "21"))
    assert cache.children(KEY) == {}


def test_pods_are_no_children_and_foreign_objects_are_nobodys() -> None:
    cache = Cache()
    cache.put(thing("Pod", "p", "1"))
    stranger = thing("Service", "s", "1")
    stranger["metadata"] = {**stranger["metadata"], "labels": {}}
    assert cache.put(stranger) is None
    assert cache.drop(stranger) is None
    assert cache.children(KEY) == {}
    assert [p["metadata"]["name"] for p in cache.pods(KEY)] == ["p"]


def test_a_fresh_list_removes_ghosts_and_names_who_changed() -> None:
    cache = Cache()
    for name in ("same", "changed", "ghost"):
        cache.put(thing("Service", name, "1"))
    cache.put(thing("Job", "job", "1"))
    assert cache.replace("Service", [thing("Service", "same", "1"), thing("Service", "changed", "2")]) == {
        KEY
    }
    assert sorted(cache.children(KEY)) == [("Job", "job"), ("Service", "changed"), ("Service", "same")]
    assert (
        cache.replace("Service", [thing("Service", "same", "1"), thing("Service", "changed", "2")]) == set()
    )


def waiting(reason: str, message: str) -> Object:
    """Container status of a pod that can't start."""
    return {"name": "encoder", "state": {"waiting": {"reason": reason, "message": message}}}


def test_a_pending_pod_tells_why_it_has_no_node() -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    view = pod_view(thing("Pod", "p", "1", status={"phase": "Pending", "conditions": [refused]}))
    assert (view.unschedulable, view.ready, view.phase) == (message, False, "Pending")


def test_a_crashing_pod_tells_its_last_report() -> None:
    told = report("r-1", 0, "EmptyCatalogue", message="no document").to_termination_message()
    status = waiting("CrashLoopBackOff", "back-off 40s") | {
        "lastState": {
            "terminated": {"exitCode": 3, "message": told, "finishedAt": "2026-11-22T03:00:00Z"},
        }
    }
    view = pod_view(thing("Pod", "p", "1", status={"phase": "Running", "containerStatuses": [status]}))
    assert view.waiting_reason == "CrashLoopBackOff"
    assert view.report is not None
    assert view.report.reason == "EmptyCatalogue"


@pytest.mark.parametrize("status", [None, {}, {"containerStatuses": []}, {"conditions": []}])
def test_a_pod_that_is_just_made_is_seen_without_complaint(status: Object | None) -> None:
    body = thing("Pod", "p", "1") | ({} if status is None else {"status": status})
    assert pod_view(body).report is None


def finished(name: str, at: str, rows: int) -> Object:
    """A pod of the Job `job` that has reported."""
    body = thing("Pod", name, "1")
    body["metadata"]["labels"] = {**LABELS, "batch.kubernetes.io/job-name": "job"}
    message = report("r-1", rows).to_termination_message()
    ended = {"name": "build", "state": {"terminated": {"message": message, "finishedAt": at}}}
    return {**body, "status": {"phase": "Succeeded", "containerStatuses": [ended]}}


@pytest.mark.parametrize("second", ["2026-11-22T03:00:01Z", "2026-11-22T03:00:00Z"])
def test_a_job_has_its_newest_pods_report(second: str) -> None:
    pods = [pod_view(finished("p1", "2026-11-22T03:00:00Z", 1)), pod_view(finished("p2", second, 2))]
    job = thing("Job", "job", "1")
    job["metadata"]["creationTimestamp"] = "2026-11-22T02:00:00Z"
    view = job_view(job, pods, None)
    assert view.report is not None
    assert view.report.rows == 2 or second.endswith("00Z")
    assert (view.started_at, view.finished_at, view.succeeded) == ("2026-11-22T02:00:00Z", "", False)


@pytest.mark.parametrize(("kind", "succeeded"), [("Complete", True), ("Failed", False)])
def test_a_job_ends_by_its_condition(kind: str, succeeded: bool) -> None:
    criteria = {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2026-11-22T03:00:00Z"}
    ended = {"type": kind, "status": "True", "lastTransitionTime": "2026-11-22T03:00:05Z"}
    state = {"startTime": "2026-11-22T02:00:00Z", "conditions": [criteria, ended]}
    view = job_view(thing("Job", "job", "1", status=state), [], None)
    assert (view.succeeded, view.failed) == (succeeded, not succeeded)
    assert view.finished_at == "2026-11-22T03:00:05Z"


@pytest.mark.parametrize(
    ("pulse", "why"),
    [
        (Pulse(1, 1, 0), ""),
        (Pulse(121, 1, 0), "watch"),
        (Pulse(121, 31, 0), ""),
        (Pulse(1, 1, 301), "work queue"),
        (Pulse(120, 1, 300), ""),
    ],
)
def test_frozen(pulse: Pulse, why: str) -> None:
    said = frozen(pulse)
    assert (why in said) if why else said == ""
