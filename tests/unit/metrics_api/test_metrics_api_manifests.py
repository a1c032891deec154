"""manifests/base and the code agree on the metrics API: names, port, rights, and the binding in kube-system."""

from pathlib import Path
from typing import Any

import yaml
from search_operator.metrics_api.keeper import SECRET_NAME, MetricsApi
from search_operator.metrics_api.registration import API_SERVICE_NAME, OLDER_API_SERVICE_NAME, OWNER, SERVICE
from search_operator.metrics_api.wire import GROUP, METRIC
from search_operator.run.settings import settings_from

BASE = Path(__file__).parents[3] / "manifests" / "base"
Object = dict[str, Any]


def objects() -> list[Object]:
    """Everything in the base, before kustomize."""
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    files = [BASE / name for name in kustomization["resources"] if name.endswith(".yaml")]
    return [found for file in files for found in yaml.safe_load_all(file.read_text())]


def the(kind: str, name: str) -> Object:
    (found,) = [o for o in objects() if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def rights(role: Object, group: str, resource: str) -> list[tuple[set[str], set[str]]]:
    """(verbs, names) of each rule on a resource."""
    return [
        (set(rule["verbs"]), set(rule.get("resourceNames", ())))
        for rule in role["rules"]
        if group in rule["apiGroups"] and resource in rule["resources"]
    ]


def test_the_service_leads_to_the_port_that_is_listened_on() -> None:
    (port,) = the("Service", SERVICE)["spec"]["ports"]
    (container,) = the("Deployment", OWNER)["spec"]["template"]["spec"]["containers"]
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    settings = settings_from({"PLANE_IMAGE": "x"})
    assert port["port"] == 443
    assert ports[port["targetPort"]] == settings.metrics_api_port == MetricsApi.port
    (rule,) = the("NetworkPolicy", OWNER)["spec"]["ingress"]
    assert settings.metrics_api_port in {p["port"] for p in rule["ports"]}
    assert "from" not in rule  # the API server has no pod's address


def test_the_operator_may_change_its_own_api_service_only() -> None:
    role = the("ClusterRole", OWNER)
    assert rights(role, "apiregistration.k8s.io", "apiservices") == [
        ({"get"}, {API_SERVICE_NAME, OLDER_API_SERVICE_NAME}),
        ({"create"}, set()),
        ({"patch", "delete"}, {API_SERVICE_NAME}),
    ]
    assert rights(role, "rbac.authorization.k8s.io", "clusterroles") == [({"get"}, {OWNER})]


def test_the_operator_may_make_secrets_in_its_own_namespace_only() -> None:
    assert rights(the("ClusterRole", OWNER), "", "secrets") == [({"get"}, set())]
    assert rights(the("Role", SERVICE), "", "secrets") == [
        ({"create"}, set()),
        ({"get", "patch"}, {SECRET_NAME}),
    ]


def test_the_hpa_controller_may_read_the_metric() -> None:
    name = "semantic-search-inflight-tokens"
    assert rights(the("ClusterRole", name), GROUP, f"pods/{METRIC}") == [({"get"}, set())]
    (subject,) = the("ClusterRoleBinding", name)["subjects"]
    assert (subject["namespace"], subject["name"]) == ("kube-system", "horizontal-pod-autoscaler")


def test_kustomize_leaves_the_binding_in_kube_system() -> None:
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    # `namespace:` would move it.
    assert "namespace" not in kustomization
    transformer = yaml.safe_load((BASE / kustomization["transformers"][0]).read_text())
    assert (transformer["kind"], transformer["unsetOnly"]) == ("NamespaceTransformer", True)
    binding = the("RoleBinding", "semantic-search-operator-authentication")
    assert binding["metadata"]["namespace"] == "kube-system"
    assert binding["roleRef"]["name"] == "extension-apiserver-authentication-reader"
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for found in (o for o in objects() if o["kind"] == kind):
            assert all(subject["namespace"] for subject in found["subjects"])
