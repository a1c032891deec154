"""Who may talk to whom: one ServiceAccount and one NetworkPolicy per component."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from search_operator.api.index import SemanticSearchIndex
from search_operator.render.child import HTTP_PORT, MANAGED_BY, Component, Object, child, labels
from search_operator.render.reranker import reranker_of

LINK_LOCAL = "169.254.0.0/16"
_RERANKER: tuple[str, Component] = ("reranker", "reranker")
_JOBS: tuple[Component, ...] = ("build", "catchup", "verify", "refresh")


def access_objects(index: SemanticSearchIndex, operator_namespace: str) -> list[Object]:
    """ServiceAccounts without any right and without a token, and policies that allow what is needed."""
    return [
        *_service_accounts(index),
        _policy(index, "encoder", _encoder_policy(index, operator_namespace)),
        _policy(index, "gateway", _gateway_policy(index)),
        _policy(index, "jobs", _jobs_policy(index, operator_namespace)),
        *([_policy(index, "reranker", _reranker_policy(index))] if reranker_of(index) else []),
    ]


def _service_accounts(index: SemanticSearchIndex) -> list[Object]:
    accounts: tuple[tuple[str, Component], ...] = (
        ("encoder", "encoder"),
        ("gateway", "gateway"),
        ("jobs", "build"),
        *([_RERANKER] if reranker_of(index) else []),
    )
    return [
        child(
            index,
            "v1",
            "ServiceAccount",
            f"{index.name}-{name}",
            component,
            {"automountServiceAccountToken": False},
        )
        for name, component in accounts
    ]


_COMPONENTS: Mapping[str, Component] = {
    "encoder": "encoder",
    "gateway": "gateway",
    "jobs": "build",
    "reranker": "reranker",
}


def _policy(index: SemanticSearchIndex, name: str, spec: Object) -> Object:
    component = _COMPONENTS[name]
    body = {"spec": {"policyTypes": ["Ingress", "Egress"], **spec}}
    return child(index, "networking.k8s.io/v1", "NetworkPolicy", f"{index.name}-{name}", component, body)


def _encoder_policy(index: SemanticSearchIndex, operator_namespace: str) -> Object:
    # The operator asks for the tokens in flight, by which the autoscaler goes.
    callers = [*(_pods(index, component) for component in ("gateway", *_JOBS)), _operator(operator_namespace)]
    return {
        "podSelector": {"matchLabels": labels(index.name, "encoder")},
        "ingress": [{"from": [*callers, *_keda(index)], "ports": [_tcp(HTTP_PORT)]}],
    }


def _keda(index: SemanticSearchIndex) -> list[Object]:
    """KEDA's own pods, wherever they are, where they ask the encoders and not Prometheus."""
    scaling = index.spec.encoder.autoscaling
    if scaling.mode != "keda" or scaling.prometheus_address:
        return []
    anywhere = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]}
    return [{"namespaceSelector": anywhere, "podSelector": {"matchLabels": {"app": "keda-operator"}}}]


def _gateway_policy(index: SemanticSearchIndex) -> Object:
    models: tuple[Component, ...] = ("encoder", "reranker") if reranker_of(index) else ("encoder",)
    return {
        "podSelector": {"matchLabels": labels(index.name, "gateway")},
        "ingress": [{"ports": [_tcp(HTTP_PORT)]}],
        "egress": _egress(index, *models),
    }


def _reranker_policy(index: SemanticSearchIndex) -> Object:
    return {
        "podSelector": {"matchLabels": labels(index.name, "reranker")},
        "ingress": [{"from": [_pods(index, "gateway")], "ports": [_tcp(HTTP_PORT)]}],
    }


def _jobs_policy(index: SemanticSearchIndex, operator_namespace: str) -> Object:
    return {
        "podSelector": {
            "matchLabels": {**MANAGED_BY, "semanticsearch.io/index": index.name},
            "matchExpressions": [
                {"key": "app.kubernetes.io/component", "operator": "In", "values": list(_JOBS)}
            ],
        },
        "ingress": [{"from": [_operator(operator_namespace)], "ports": [_tcp(HTTP_PORT)]}],
        "egress": _egress(index, "encoder"),
    }


def _egress(index: SemanticSearchIndex, *models: Component) -> list[Object]:
    """Name resolution, models' pods, and the two stores' ports; never the node's metadata address."""
    milvus = urlsplit(index.spec.vector_store.milvus.uri).port or 19530
    url = urlsplit(index.spec.catalogue.elasticsearch.endpoint or "")
    elasticsearch = url.port or (443 if url.scheme == "https" else 80)
    return [
        {"ports": [{"protocol": "UDP", "port": 53}, _tcp(53)]},
        {"to": [_pods(index, model) for model in models], "ports": [_tcp(HTTP_PORT)]},
        {
            "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [LINK_LOCAL]}}],
            "ports": [_tcp(port) for port in sorted({milvus, elasticsearch})],
        },
    ]


def _pods(index: SemanticSearchIndex, component: Component) -> Object:
    return {"podSelector": {"matchLabels": labels(index.name, component)}}


def _operator(namespace: str) -> Object:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "semantic-search-operator"}},
    }


def _tcp(port: int) -> Object:
    return {"protocol": "TCP", "port": port}
