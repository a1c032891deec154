"""Whose the APIService is: ours is made and kept right, another's is never touched."""

import copy
from typing import Any

import pytest
from search_operator.metrics_api.registration import (
    API_SERVICE_NAME,
    Correct,
    Create,
    Leave,
    Remove,
    Seen,
    Wish,
    api_service,
    decide,
    holder,
)

Object = dict[str, Any]
NAMESPACE = "semantic-search-system"
WISH = Wish(on=True, needed=True, namespace=NAMESPACE, authorities="PEM")
OFF = Wish(on=False, needed=True, namespace=NAMESPACE, authorities="")


def ours(**spec: Any) -> Object:
    """Ours as the API server tells it."""
    body = copy.deepcopy(api_service("role-uid", WISH))
    body["metadata"] |= {"uid": "api-uid", "resourceVersion": "7"}
    body["spec"] |= spec
    return body


def theirs(**service: Any) -> Object:
    """An adapter's."""
    return {
        "metadata": {
            "name": API_SERVICE_NAME,
            "uid": "their-uid",
            "resourceVersion": "8",
            "labels": {"a": "b"},
        },
        "spec": {"service": {"namespace": "monitoring", "name": "prometheus-adapter", **service}},
    }


def seen(newer: Object | None = None, older: Object | None = None, owner_uid: str = "role-uid") -> Seen:
    return Seen(newer, older, owner_uid)


def test_it_is_made_where_nobody_serves_it_and_an_index_needs_it() -> None:
    step = decide(seen(), WISH)
    assert isinstance(step, Create)
    assert step.body["spec"]["service"] == {
        "namespace": NAMESPACE,
        "name": "semantic-search-operator-metrics",
        "port": 443,
    }
    assert step.body["spec"]["caBundle"] == "UEVN"
    assert step.body["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "name": "semantic-search-operator",
            "uid": "role-uid",
        }
    ]
    assert holder(ours(), NAMESPACE) == "Ours"
    assert decide(seen(ours()), WISH) == Leave()


def test_without_an_index_it_is_not_made_but_stays() -> None:
    idle = Wish(on=True, needed=False, namespace=NAMESPACE, authorities="PEM")
    assert decide(seen(), idle) == Leave()
    assert decide(seen(ours()), idle) == Leave()


def test_without_an_owner_it_is_not_made_for_it_would_stay_behind() -> None:
    step = decide(seen(owner_uid=""), WISH)
    assert isinstance(step, Leave)
    assert "no ClusterRole semantic-search-operator" in step.why


@pytest.mark.parametrize("wish", [WISH, OFF])
@pytest.mark.parametrize(
    "live",
    [theirs(), theirs(name="semantic-search-operator-metrics"), {**theirs(), "spec": {}}],
    ids=["adapter", "other namespace", "local"],
)
def test_anothers_is_left_alone(wish: Wish, live: Object) -> None:
    assert holder(live, NAMESPACE) == "Theirs"
    step = decide(seen(live), wish)
    assert isinstance(step, Leave)
    assert step.why


def test_our_service_without_our_label_is_somebodys_own() -> None:
    live = ours()
    live["metadata"]["labels"] = {}
    assert holder(live, NAMESPACE) == "Theirs"


def test_the_older_version_of_another_keeps_ours_away() -> None:
    # The HPA controller would prefer ours, and every autoscaler on theirs would lose its metric.
    step = decide(seen(older=theirs()), WISH)
    assert isinstance(step, Leave)
    assert (
        "v1beta1.custom.metrics.k8s.io is served by another Service, monitoring/prometheus-adapter"
        in step.why
    )
    assert decide(seen(ours(), older=theirs()), WISH) == Remove(step.why, "api-uid")


def test_a_changed_bundle_is_corrected_on_top_of_what_was_seen() -> None:
    step = decide(seen(ours(caBundle="b3RoZXI=")), WISH)
    assert isinstance(step, Correct)
    assert step.body == {"metadata": {"resourceVersion": "7"}, "spec": {"caBundle": "UEVN"}}


def test_checks_of_the_certificate_are_not_switched_off() -> None:
    step = decide(seen(ours(insecureSkipTLSVerify=True)), WISH)
    assert isinstance(step, Correct)
    assert step.body["spec"] == {"insecureSkipTLSVerify": None}


def test_a_clusterrole_made_anew_is_its_owner() -> None:
    step = decide(seen(ours(), owner_uid="new-uid"), WISH)
    assert isinstance(step, Correct)
    assert [o["uid"] for o in step.body["metadata"]["ownerReferences"]] == ["new-uid"]
    assert "spec" not in step.body
    assert decide(seen(ours(), owner_uid=""), WISH) == Leave()


def test_one_that_another_took_over_is_not_to_go_with_us() -> None:
    taken = ours(service={"namespace": "monitoring", "name": "prometheus-adapter", "port": 443})
    taken["metadata"]["ownerReferences"].append({"kind": "Deployment", "name": "x", "uid": "u"})
    step = decide(seen(taken), WISH)
    assert isinstance(step, Correct)
    assert step.body == {
        "metadata": {
            "resourceVersion": "7",
            "ownerReferences": [{"kind": "Deployment", "name": "x", "uid": "u"}],
            "labels": {"app.kubernetes.io/managed-by": None},
        }
    }


def test_another_installation_of_this_operator_keeps_its_own() -> None:
    assert isinstance(decide(seen(ours()), Wish(True, True, "elsewhere", "PEM")), Leave)


def test_switched_off_it_goes() -> None:
    assert decide(seen(ours()), OFF) == Remove("the metrics API is switched off", "api-uid")
    assert decide(seen(), OFF) == Leave()


def test_one_that_is_going_is_left_to_go() -> None:
    going = ours(caBundle="b3RoZXI=")
    going["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    assert decide(seen(going), WISH) == Leave()
    assert decide(seen(going), OFF) == Leave()
