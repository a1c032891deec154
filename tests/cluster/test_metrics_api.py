"""The operator's custom-metrics API behind a real API server: aggregated, for those allowed, beside nobody, gone with us."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from demo.cluster_access import get, rolled_out
from demo.parts import OPERATOR, SYSTEM_NAMESPACE
from tests.cluster.index_bed import NAMESPACE, Bed, eventually, install
from tests.testbed.cluster import TestbedError

pytestmark = pytest.mark.cluster

Object = dict[str, Any]
GROUP = "custom.metrics.k8s.io"
OURS = f"v1beta2.{GROUP}"
METRIC = "encoder_inflight_tokens"
ROOT = f"/apis/{GROUP}/v1beta2"
HPA_CONTROLLER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
# Longer than the operator rests between two looks.
LOOKS_WITHIN = 60.0


def api_service(bed: Bed, name: str = OURS) -> Object | None:
    """The APIService of that name."""
    return get(bed.cluster, "apiservice", name)


def is_available(bed: Bed) -> bool:
    """Whether the API server reaches ours."""
    conditions = (api_service(bed) or {}).get("status", {}).get("conditions", ())
    return any((c["type"], c["status"]) == ("Available", "True") for c in conditions)


def tokens_path(index: str) -> str:
    """What an HPA asks for."""
    return f"{ROOT}/namespaces/{NAMESPACE}/pods/*/{METRIC}?labelSelector=semanticsearch.io%2Findex%3D{index}"


def raw(bed: Bed, path: str, *options: str) -> Object:
    """The JSON that the API server answers with."""
    answer: Object = json.loads(bed.cluster.ask("get", "--raw", path, *options))
    return answer


@pytest.fixture(scope="module")
def available(bed: Bed, served: str) -> str:
    """An index that is served, and the metrics API that came with it."""
    eventually(lambda: is_available(bed), f"{OURS} to be available", LOOKS_WITHIN)
    return served


def test_encoders_tokens_are_read_through_the_api_server(bed: Bed, available: str) -> None:
    listed = raw(bed, ROOT)
    assert [found["name"] for found in listed["resources"]] == [f"pods/{METRIC}"]

    def told() -> dict[str, Object]:
        answer = raw(bed, tokens_path(available))
        assert answer["kind"] == "MetricValueList"
        return {item["describedObject"]["name"]: item for item in answer["items"]}

    def all_are_told() -> bool:
        return set(told()) == {pod["metadata"]["name"] for pod in bed.pods(available, "encoder")}

    # One that another test has deleted may still be on its way out.
    eventually(all_are_told, "every encoder pod, and no other, to be told", LOOKS_WITHIN)
    assert all(item["metric"]["name"] == METRIC and item["value"] for item in told().values())


def test_what_is_unknown_is_an_error_and_no_zero(bed: Bed, available: str) -> None:
    with pytest.raises(TestbedError, match="there is no metric requests of pods here"):
        raw(bed, f"{ROOT}/namespaces/{NAMESPACE}/pods/*/requests")
    with pytest.raises(TestbedError, match="no encoder pod with the labels a=b runs in namespace"):
        raw(bed, f"{ROOT}/namespaces/{NAMESPACE}/pods/*/{METRIC}?labelSelector=a%3Db")


def test_only_who_has_the_right_may_ask(bed: Bed, available: str) -> None:
    assert raw(bed, tokens_path(available), f"--as={HPA_CONTROLLER}")["items"]
    with pytest.raises(TestbedError, match=r"(?i)forbidden"):
        raw(bed, tokens_path(available), "--as=nobody")


def test_past_the_api_server_nobody_is_let_in(bed: Bed, available: str) -> None:
    if not bed.cluster.host_reaches_pods:
        pytest.skip("this machine can't connect to Services of the cluster")
    service = get(bed.cluster, "service", "semantic-search-operator-metrics", SYSTEM_NAMESPACE)
    assert service is not None
    # Who it is we know from the API server; here is only asked whom it answers.
    anyone = ssl._create_unverified_context()
    url = f"https://{service['spec']['clusterIP']}{tokens_path(available)}"
    answer = httpx.get(url, verify=anyone, trust_env=False, timeout=10)
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_it_is_ours_by_label_service_and_owner(bed: Bed, available: str) -> None:
    found = api_service(bed)
    assert found is not None
    assert found["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "semantic-search-operator"
    assert found["spec"]["service"]["name"] == "semantic-search-operator-metrics"
    role = get(bed.cluster, "clusterrole", OPERATOR)
    assert role is not None
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [role["metadata"]["uid"]]
    assert not found["spec"].get("insecureSkipTLSVerify")


@pytest.fixture
def two_replicas(bed: Bed) -> Iterator[None]:
    """As the base installs it; the demo has one."""
    bed.cluster.ask("-n", SYSTEM_NAMESPACE, "scale", "deployment", OPERATOR, "--replicas=2")
    rolled_out(bed.cluster, SYSTEM_NAMESPACE, OPERATOR, 120)
    yield
    bed.cluster.ask("-n", SYSTEM_NAMESPACE, "scale", "deployment", OPERATOR, "--replicas=1")
    eventually(lambda: len(bed.operator_pods()) == 1, "one operator to be left", 30)


def answered(pod: Object) -> float:
    """Requests that an operator's pod has answered with 200, by its own count."""
    page = httpx.get(f"http://{pod['status']['podIP']}:8080/metrics", trust_env=False, timeout=10).text
    name = "semantic_search_operator_metrics_api_requests_total"
    samples = [s for family in text_string_to_metric_families(page) for s in family.samples if s.name == name]
    return sum(sample.value for sample in samples if sample.labels["status"] == "200")


def test_both_replicas_answer_not_only_the_leader(bed: Bed, available: str, two_replicas: None) -> None:
    if not bed.cluster.host_reaches_pods:
        pytest.skip("this machine can't connect to pods of the cluster")

    def both_have_answered() -> bool:
        assert raw(bed, tokens_path(available))["items"]
        return all(answered(pod) > 0 for pod in bed.operator_pods())

    eventually(both_have_answered, "the API server to have asked both replicas", 30)
    assert len(bed.operator_pods()) == 2


@pytest.fixture
def adapter(bed: Bed) -> Iterator[str]:
    """The older version of the API, another's, as an adapter for Prometheus registers it; nothing is behind it."""
    name = f"v1beta1.{GROUP}"
    body = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name, "labels": {"app": "adapter"}},
        "spec": {
            "group": GROUP,
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": NAMESPACE, "name": "prometheus-adapter", "port": 443},
        },
    }
    bed.cluster.ask("apply", "-f", "-", stdin=json.dumps(body))
    yield name
    bed.cluster.ask("delete", "apiservice", name, "--ignore-not-found")
    eventually(lambda: is_available(bed), f"{OURS} to be back", LOOKS_WITHIN)


def test_anothers_api_is_left_alone_and_ours_makes_way(bed: Bed, available: str, adapter: str) -> None:
    before = api_service(bed, adapter)
    assert before is not None
    eventually(lambda: api_service(bed) is None, f"{OURS} to be withdrawn", LOOKS_WITHIN)
    after = api_service(bed, adapter)
    assert after is not None
    assert after["spec"] == before["spec"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert "ownerReferences" not in after["metadata"]


@pytest.fixture
def uninstalled(bed: Bed) -> Iterator[None]:
    """The operator and its ClusterRole are gone, as after `kubectl delete -k`; the CRD stays, for others' indexes."""
    bed.cluster.ask("-n", SYSTEM_NAMESPACE, "scale", "deployment", OPERATOR, "--replicas=0")
    bed.cluster.ask(
        *("-n", SYSTEM_NAMESPACE, "wait", "pods", "--for=delete", "--timeout=60s"),
        *("-l", f"app.kubernetes.io/name={OPERATOR}"),
    )
    bed.cluster.ask("delete", "clusterrole", OPERATOR)
    yield
    install(bed.cluster)
    rolled_out(bed.cluster, SYSTEM_NAMESPACE, OPERATOR, 120)
    eventually(lambda: is_available(bed), f"{OURS} to be made anew", LOOKS_WITHIN)


def test_uninstalling_takes_ours_with_it_and_namespaces_can_go(
    bed: Bed, available: str, uninstalled: None
) -> None:
    eventually(lambda: api_service(bed) is None, f"{OURS} to be collected with its owner", 60)
    secret = "semantic-search-operator-metrics-tls"
    eventually(
        lambda: get(bed.cluster, "secret", secret, SYSTEM_NAMESPACE) is None, "the certificate to go", 60
    )
    bed.cluster.ask("create", "namespace", "short-lived")
    bed.cluster.ask("delete", "namespace", "short-lived", "--timeout=60s")
