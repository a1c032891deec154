"""One YAML file becomes a search that answers; at rest the operator is silent, and it mends what is changed by hand."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from demo.cluster_access import documents
from demo.index_status import condition, is_ready
from demo.queries import QUERIES
from tests.cluster.index_bed import ALL_CONDITIONS, CATALOGUE_PREFIX, NAMESPACE, OPERATOR_USER, Bed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

RESTORED_WITHIN = 10.0
SILENT_SECONDS = 60.0


def managers(thing: dict[str, Any]) -> set[str]:
    return {entry["manager"] for entry in thing["metadata"]["managedFields"]}


def with_managed_fields(bed: Bed, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bed.k("get", kind, name, "-o", "json", "--show-managed-fields"))
    return found


def test_three_queries_are_answered_with_price_and_stock_from_the_catalogue(bed: Bed, served: str) -> None:
    with bed.gateway(served) as gateway, bed.elasticsearch() as catalogue:
        for query in QUERIES:
            answer = gateway.get("/search", params={"q": query, "k": 5}).raise_for_status().json()
            assert len(answer["hits"]) == 5
            assert answer["path"] == "fused"
            assert answer["degraded"] == []
            for hit in answer["hits"]:
                product = catalogue.get(index=CATALOGUE_PREFIX + served, id=hit["id"])["_source"]
                assert (hit["price"], hit["stock"]) == (product["price"], product["stock"])
                assert hit["title"] == product["title"]


def test_the_image_has_the_whole_page(bed: Bed, served: str) -> None:
    with bed.gateway(served) as gateway:
        page = gateway.get("/").raise_for_status().text
        parts = set(re.findall(r'(?:src|href)="(page/[^"]+)"', page))
        assert {"page/page.js", "page/page.css"} <= parts
        for part in parts:
            gateway.get(f"/{part}").raise_for_status()


def test_every_condition_is_told_and_the_resource_holds_nothing_of_the_framework(
    bed: Bed, served: str
) -> None:
    index = with_managed_fields(bed, "ssi", served)
    assert {c["type"] for c in index["status"]["conditions"]} == ALL_CONDITIONS
    assert {c["observedGeneration"] for c in index["status"]["conditions"]} == {
        index["metadata"]["generation"]
    }
    assert index["metadata"]["finalizers"] == ["semanticsearch.io/cleanup"]
    assert set(index["metadata"]["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}
    assert managers(index) == {"kubectl-client-side-apply", "semantic-search-operator"}
    for child in bed.children(served):
        writers = managers(with_managed_fields(bed, child["kind"], child["metadata"]["name"]))
        assert writers <= {"semantic-search-operator", "kube-controller-manager"}, child["metadata"]["name"]


def test_kubectl_get_tells_it_in_one_line(bed: Bed, served: str) -> None:
    heading, line = bed.k("get", "ssi", served).strip().splitlines()
    columns = "NAME READY RELEASE CANDIDATE PROGRESS ROWS ENCODERS COST(MONTH) AGE"
    assert heading.split() == columns.split()
    status = bed.index(served)["status"]
    cells = line.split()
    rows = status["summary"]["rows"]
    assert cells[:6] == [served, "True", status["activeRelease"], "Active", rows, "1/1"]


def test_the_collection_holds_exactly_the_catalogue(bed: Bed, served: str) -> None:
    (collection,) = bed.collections(served)
    assert bed.ids_in_milvus(collection) == bed.ids_in_catalogue(CATALOGUE_PREFIX + served)


def test_at_rest_the_operator_writes_nothing(bed: Bed, served: str) -> None:
    if bed.cluster.audit_log is None:
        pytest.skip("only a cluster of ours has an audit log")
    # Work that ended just before may still have a status to tell; the silence is measured after it.
    bed.follow(served, lambda i: condition(i, "Reconciling").get("reason") == "Steady", "to be steady", 60)
    scales = "the HPA's controller to have found its metric"
    bed.follow(served, lambda i: condition(i, "Autoscaling").get("status") == "True", scales, 180)
    assert bed.operator_writes(0), f"the audit log shows no write of {OPERATOR_USER} at all"
    began = time.time()
    time.sleep(SILENT_SECONDS)
    assert bed.operator_writes(began) == []


CHILDREN = [
    ("hpa", "{encoder}"),
    ("service", "{index}-gateway"),
    ("service", "{encoder}"),
    ("networkpolicy", "{index}-gateway"),
    ("pdb", "{encoder}"),
    ("configmap", "{index}-active"),
    ("deployment", "{index}-gateway"),
    ("deployment", "{encoder}"),
    ("cronjob", "{index}-refresh"),
    ("serviceaccount", "{index}-encoder"),
]


@pytest.mark.parametrize(("kind", "name"), CHILDREN)
def test_a_deleted_child_comes_back(bed: Bed, served: str, kind: str, name: str) -> None:
    name = name.format(index=served, encoder=bed.encoder_name(served))
    before = json.loads(bed.k("get", kind, name, "-o", "json"))["metadata"]["uid"]
    bed.k("delete", kind, name, "--wait=false")
    bed.follow(
        name, lambda thing: thing["metadata"]["uid"] != before, "to come back", RESTORED_WITHIN, kind=kind
    )
    bed.await_ready(served)


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("hpa", "{encoder}", "/spec/maxReplicas", 7),
        ("service", "{index}-gateway", "/spec/ports/0/port", 8123),
        ("service", "{index}-gateway", "/spec/ports/0/targetPort", 9),
        ("deployment", "{index}-gateway", "/spec/template/spec/containers/0/image", "example.invalid/other"),
        ("deployment", "{index}-gateway", "/spec/template/spec/containers/0/env/0/value", "/nowhere"),
        ("networkpolicy", "{index}-encoder", "/spec/podSelector/matchLabels", {"app": "other"}),
        ("cronjob", "{index}-refresh", "/spec/suspend", True),
        ("configmap", "{index}-active", "/data/release.json", "{}"),
    ],
)
def test_an_owned_field_edited_by_hand_is_mended(
    bed: Bed, served: str, kind: str, name: str, path: str, value: object
) -> None:
    name = name.format(index=served, encoder=bed.encoder_name(served))

    def at_path(thing: Any) -> Any:
        for step in path.strip("/").split("/"):
            thing = thing[int(step) if step.isdigit() else step]
        return thing

    before = json.loads(bed.k("get", kind, name, "-o", "json"))
    edit = json.dumps([{"op": "replace", "path": path, "value": value}])
    edited = json.loads(bed.k("patch", kind, name, "--type=json", "-p", edit, "-o", "json"))
    assert at_path(edited) == value
    bed.follow(
        name,
        lambda thing: at_path(thing) == at_path(before),
        f"{path} to be mended",
        RESTORED_WITHIN,
        kind=kind,
    )
    bed.await_ready(served)


def test_what_others_add_to_a_child_stays(bed: Bed, served: str) -> None:
    name = f"{served}-gateway"
    added = {
        "metadata": {"labels": {"team": "search"}, "annotations": {"example.com/note": "ours"}},
        "spec": {
            "template": {
                "metadata": {"annotations": {"example.com/scrape": "true"}},
                "spec": {
                    "priorityClassName": "",
                    "containers": [{"name": "gateway", "env": [{"name": "EXTRA", "value": "1"}]}],
                },
            }
        },
    }
    bed.k("patch", "deployment", name, "--type=strategic", "-p", json.dumps(added))
    # A repair of the same object must not sweep the additions away with it.
    bed.k("patch", "deployment", name, "--type=merge", "-p", '{"spec": {"replicas": 2}}')
    mended = bed.follow(name, lambda d: d["spec"]["replicas"] == 1, "replicas to be mended", 20, "deployment")
    template = mended["spec"]["template"]
    assert mended["metadata"]["labels"]["team"] == "search"
    assert mended["metadata"]["annotations"]["example.com/note"] == "ours"
    assert template["metadata"]["annotations"]["example.com/scrape"] == "true"
    assert {"name": "EXTRA", "value": "1"} in template["spec"]["containers"][0]["env"]
    bed.await_ready(served)
    removal = [
        {"op": "remove", "path": "/spec/template/metadata/annotations"},
        {
            "op": "remove",
            "path": f"/spec/template/spec/containers/0/env/{len(template['spec']['containers'][0]['env']) - 1}",
        },
    ]
    bed.k("patch", "deployment", name, "--type=json", "-p", json.dumps(removal))
    bed.await_ready(served)


def test_the_encoders_number_is_the_autoscalers(bed: Bed, served: str) -> None:
    name = bed.encoder_name(served)
    deployment = with_managed_fields(bed, "deployment", name)
    ours = [
        e["fieldsV1"]["f:spec"]
        for e in deployment["metadata"]["managedFields"]
        if e["manager"] == "semantic-search-operator"
    ]
    assert ours
    assert all("f:replicas" not in fields for fields in ours)
    before = time.time()
    bed.k("scale", "deployment", name, "--replicas=2")
    # The autoscaler, whose maximum is 1, takes the second away, at its own pace.
    bed.follow(name, lambda d: d["spec"]["replicas"] == 1, "the autoscaler to act", 120, "deployment")
    bed.follow(served, lambda i: is_ready(i) and i["status"]["encoder"]["desired"] == 1, "to be Ready", 120)
    if bed.cluster.audit_log is not None:
        writes = [w for w in bed.operator_writes(before) if "deployments" in w]
        assert writes == []


def test_what_scales_is_told_by_the_hpas_own_word(bed: Bed, served: str) -> None:
    index = bed.follow(
        served,
        lambda i: condition(i, "Autoscaling").get("status") == "True",
        "the HPA's controller to look",
        180,
    )
    hpa = json.loads(bed.k("get", "hpa", bed.encoder_name(served), "-o", "json"))
    by_tokens = hpa["spec"]["metrics"][0]["type"] == "Pods"
    told = condition(index, "Autoscaling")
    assert told["reason"] == ("InflightTokens" if by_tokens else "CPU")
    assert "with 1 encoder, no fewer and no more" in told["message"]
    assert index["status"]["encoder"]["scaler"].startswith("HPA (Pods" if by_tokens else "HPA (cpu")


MAY = [
    ("patch", "semanticsearchindexes.semanticsearch.io", NAMESPACE),
    ("patch", "semanticsearchindexes.semanticsearch.io/status", NAMESPACE),
    ("create", "deployments.apps", NAMESPACE),
    ("delete", "jobs.batch", NAMESPACE),
    ("get", "secrets", NAMESPACE),
    ("create", "events", NAMESPACE),
    ("patch", "pods", NAMESPACE),
    ("get", "ingresses.networking.k8s.io", NAMESPACE),
    ("patch", "ingresses.networking.k8s.io", NAMESPACE),
    ("get", "httproutes.gateway.networking.k8s.io", NAMESPACE),
    ("create", "httproutes.gateway.networking.k8s.io", NAMESPACE),
    ("list", "nodes", NAMESPACE),
    ("update", "leases.coordination.k8s.io/semantic-search-operator", "semantic-search-system"),
]
MAY_NOT = [
    ("list", "secrets", NAMESPACE),
    ("watch", "secrets", NAMESPACE),
    ("create", "secrets", NAMESPACE),
    ("create", "pods", NAMESPACE),
    ("delete", "pods", NAMESPACE),
    ("create", "pods/exec", NAMESPACE),
    ("get", "pods/log", NAMESPACE),
    ("create", "serviceaccounts/token", NAMESPACE),
    ("create", "semanticsearchindexes.semanticsearch.io", NAMESPACE),
    ("delete", "semanticsearchindexes.semanticsearch.io", NAMESPACE),
    ("create", "roles.rbac.authorization.k8s.io", NAMESPACE),
    ("create", "rolebindings.rbac.authorization.k8s.io", NAMESPACE),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", NAMESPACE),
    ("bind", "clusterroles.rbac.authorization.k8s.io", NAMESPACE),
    ("impersonate", "users", NAMESPACE),
    ("watch", "nodes", NAMESPACE),
    ("patch", "gateways.gateway.networking.k8s.io", NAMESPACE),
    ("create", "ingressclasses.networking.k8s.io", NAMESPACE),
    ("get", "nodes/proxy", NAMESPACE),
    ("patch", "nodes", NAMESPACE),
    ("patch", "namespaces", NAMESPACE),
    ("delete", "persistentvolumeclaims", NAMESPACE),
    ("patch", "customresourcedefinitions.apiextensions.k8s.io", NAMESPACE),
    ("update", "leases.coordination.k8s.io/kube-scheduler", "kube-system"),
]


def access_review(verb: str, resource: str, namespace: str) -> dict[str, Any]:
    """What `kubectl auth can-i --as` asks; after the slash a subresource, or the name of a Lease."""
    kind, _, part = resource.partition("/")
    name, _, group = kind.partition(".")
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": OPERATOR_USER,
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {
                "verb": verb,
                "resource": name,
                "group": group,
                "namespace": namespace,
                **({"name": part} if name == "leases" else {"subresource": part}),
            },
        },
    }


@pytest.mark.parametrize(("asked", "allowed"), [(MAY, True), (MAY_NOT, False)], ids=["may", "may-not"])
def test_the_operators_rights(bed: Bed, asked: list[tuple[str, str, str]], allowed: bool) -> None:
    reviews = {"apiVersion": "v1", "kind": "List", "items": [access_review(*question) for question in asked]}
    answers = bed.cluster.ask("create", "-f", "-", "-o", "json", stdin=json.dumps(reviews))
    told = [bool(answer["status"]["allowed"]) for answer in documents(answers.splitlines(keepends=True))]
    assert [question for question, said in zip(asked, told, strict=True) if said is not allowed] == []
