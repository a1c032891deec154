"""`status` and `explain` on recorded statuses."""

import json
from typing import Any

import pytest
from search_operator.api.status import Status
from search_operator.cli.screen import screen

from tests.unit.cli.conftest import Ssi
from tests.unit.cli.recorded_api import RecordedApi
from tests.unit.cli.recorded_indexes import recorded, release_named

Object = dict[str, Any]


def _ready(index: Object, status: str, reason: str, message: str = "", kind: str = "Ready") -> None:
    for condition in index["status"]["conditions"]:
        if condition["type"] == kind:
            condition.update(status=status, reason=reason, message=message)


def test_one_screen_has_releases_fleet_and_money(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("switching"))
    candidate = next(r for r in index["status"]["releases"] if r["role"] == "Candidate")
    candidate["progress"] = {"done": 580, "total": 1000, "percent": 58, "rowsPerSecond": 1200}
    said = ssi("status", "products")
    assert said.exit_code == 0, said.output
    text = " ".join(said.stdout.split())
    for role in ("Active", "Candidate", "Previous"):
        assert f"{release_named(index, role)} {role}" in text
    assert "58 % 580 of 1,000 1,200 rows/s" in text
    assert "2 of 11 gates passed; not measured yet: IdSetsEqual" in text
    assert "4 of 4 ready; minimum 4, maximum 12; the HPA may run 12" in text
    assert "double-11 Next 12 encoders, 8 granted" in text
    assert "0.04 spent, 878.19 projected, cap 5000.00 USD" in text
    assert "conditions all as they should be" in text
    assert all(line == line.rstrip() for line in said.stdout.splitlines())


def test_failed_gates_are_told_with_value_and_threshold(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("failing"))
    assert "✗ RecallAtK 0.5000 asked >= 0.95" in " ".join(ssi("status", "products").stdout.split())
    assert "gate RecallAtK: 0.5000 was measured, >= 0.95 is asked" in ssi("explain", "products").stdout
    index = api.add(recorded("failed"))
    text = " ".join(ssi("status", "products").stdout.split())
    assert f"{release_named(index, 'Failed')} Failed" in text
    assert "GatesFailed: RecallAtK: recall of the first 100 hits is 0.5000" in text
    assert "not fine Promotable False ReleaseFailed" in text


def test_all_of_a_namespace_is_a_table_and_of_a_cluster_too(api: RecordedApi, ssi: Ssi) -> None:
    for name, life in (("products", "serving"), ("shoes", "building")):
        index = recorded(life)
        index["metadata"]["name"] = name
        api.add(index)
    elsewhere = recorded("serving")
    elsewhere["metadata"]["namespace"] = "default"
    api.add(elsewhere)
    head, first, second = ssi("status").stdout.splitlines()
    assert head.split()[:4] == ["NAME", "READY", "PHASE", "RELEASE"]
    assert first.split()[:5] == ["products", "True", "Serving", "r-bd4de74d", "-"]
    assert second.split()[:3] == ["shoes", "False", "Provisioning"]
    rows = ssi("status", "-A").stdout.splitlines()
    assert [row.split()[:2] for row in rows[1:]] == [
        ["default", "products"],
        ["search", "products"],
        ["search", "shoes"],
    ]
    assert ssi("status", "products", "-A").exit_code == 2


def test_json_is_the_model_of_the_screen(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("switching"))
    told = json.loads(ssi("status", "products", "-o", "json").stdout)
    assert [r["role"] for r in told["releases"]] == ["Active", "Candidate", "Previous"]
    assert told["fleet"] == {
        "ready": 4,
        "desired": 4,
        "minimum": 4,
        "maximum": 12,
        "allowed": 12,
        "scaler": index["status"]["encoder"]["scaler"],
    }
    assert told["money"]["spent"] == "0.04"
    assert [i["name"] for i in json.loads(ssi("status", "-o", "json").stdout)] == ["products"]


def test_a_status_that_lags_is_not_taken_for_the_present(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("serving"))
    index["metadata"]["generation"] = 7
    assert "the status is of generation 1, the spec is 7" in ssi("status", "products").stdout
    explained = ssi("explain", "products")
    assert explained.exit_code == 1
    assert "see that the operator runs" in explained.stdout
    del index["status"]
    assert "the operator has not looked at it yet" in ssi("status", "products").stdout
    assert ssi("explain", "products").exit_code == 1


@pytest.mark.parametrize("part", sorted(Status.model_json_schema(by_alias=True)["properties"]))
def test_a_status_without_a_part_is_shown_all_the_same(part: str) -> None:
    index = recorded("switching")
    index["status"].pop(part, None)
    assert screen(index).name == "products"


def test_explain_ends_with_0_when_ready_and_1_when_not(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("serving"))
    ready = ssi("explain", "products")
    assert (ready.exit_code, ready.stdout.splitlines()[1:]) == (0, [])
    assert "search/products is Ready: release" in ready.stdout
    api.add(recorded("building"))
    assert ssi("explain", "products").exit_code == 1


def test_explain_begins_with_what_a_person_must_do(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("building"))
    lacking = "Secret milvus is missing: create it with the keys username and password"
    _ready(index, "False", "SecretMissing", lacking, "VectorStoreReady")
    _ready(index, "False", "SecretMissing", lacking, "CatalogueReady")
    _ready(index, "True", "Clamped", "the HPA has a maximum of 5", "WithinBudget")
    told = json.loads(ssi("explain", "products", "-o", "json").stdout)
    subjects = [cause["subject"] for cause in told["causes"]]
    # Both stores lack the same Secret, which is said once; money comes last.
    assert subjects[0] == "VectorStoreReady"
    assert "CatalogueReady" not in subjects
    assert subjects[-1] == "WithinBudget"
    assert "create the Secret" in told["causes"][0]["do"]
    assert told["causes"][0]["page"] == "docs/operations.md#what-a-condition-says-and-what-to-do"


def test_explain_reads_pods_and_recent_events_of_this_index_only(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("building"))
    longer = recorded("serving")
    longer["metadata"]["name"] = "products-new"
    api.add(longer)
    api.pods = [_waiting("products-encoder-1"), _waiting("products-encoder-2")]
    quota = 'pods "x" is forbidden: exceeded quota: gpus'
    api.events = [
        _event("products-encoder-5f", "FailedCreate", quota),
        _event("products-new-encoder-5f", "FailedMount", "another index's"),
        _event("products-gateway-1", "FailedMount", "long ago", at="2026-11-22T01:00:00Z"),
    ]
    told = ssi("explain", "products")
    text = " ".join(told.stdout.split())
    assert "Pods of encoder ImagePullBackOff: pod products-encoder-1: no such image" in text
    assert "(and 1 more encoder pods)" in text
    assert f"Events FailedCreate: ReplicaSet products-encoder-5f: {quota}" in text
    assert "do: raise the namespace's ResourceQuota" in text
    assert "another index's" not in text
    assert "long ago" not in text
    # What has to be done is before what goes by itself.
    assert text.index("ImagePullBackOff") < text.index("SearchReady")
    assert index["metadata"]["name"] in text


def test_an_hpa_without_metrics_is_told_after_what_keeps_from_answers(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("building"))
    api.events = [
        _event("products-encoder-5f", "FailedGetResourceMetric", "no metrics returned"),
        _event("products-encoder-5f", "FailedComputeMetricsReplicas", "1 invalid: no metrics returned"),
    ]
    told = json.loads(ssi("explain", "products", "-o", "json").stdout)
    assert [cause["reason"] for cause in told["causes"]][-1] == "FailedGetResourceMetric"
    assert "FailedComputeMetricsReplicas" not in json.dumps(told)


def test_what_may_not_be_looked_at_is_said(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("building"))
    api.refuse = {"/api/v1/namespaces/search/pods": 403, "/api/v1/namespaces/search/events": 403}
    told = ssi("explain", "products")
    assert told.exit_code == 1
    assert 'not looked at: pods: User "jane" cannot list' in told.stdout
    assert "not looked at: events" in told.stdout


def test_a_failed_candidate_is_worth_a_line_while_another_one_answers(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("failed"))
    told = ssi("explain", "products")
    assert told.exit_code == 0
    assert "kubectl ssi refresh products -n search" in told.stdout


def _waiting(name: str) -> Object:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    return {
        "metadata": {"name": name, "labels": {"app.kubernetes.io/component": "encoder"}},
        "status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]},
    }


def _event(target: str, reason: str, message: str, at: str = "2126-01-01T00:00:00Z") -> Object:
    about = {"kind": "ReplicaSet", "name": target}
    return {"involvedObject": about, "reason": reason, "message": message, "lastTimestamp": at}
