"""What encoder and gateway have in common as workloads: their Service, disruption budget, probes and spread."""

from collections.abc import Mapping

from search_operator.api.index import SemanticSearchIndex
from search_operator.render.child import Component, Object, child


def service(
    index: SemanticSearchIndex, name: str, component: Component, selector: Mapping[str, str]
) -> Object:
    """A ClusterIP Service on port 80 in front of the pods' HTTP port."""
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    return child(index, "v1", "Service", name, component, {"spec": {"selector": selector, "ports": [port]}})


def disruption_budget(
    index: SemanticSearchIndex, name: str, component: Component, selector: Mapping[str, str]
) -> Object:
    """At most one pod at a time is taken away by a drain."""
    body = {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}}}
    return child(index, "policy/v1", "PodDisruptionBudget", name, component, body)


def probe(path: str, **timing: int) -> Object:
    """An HTTP probe of the port named `http`; timing as in Kubernetes, in seconds."""
    return {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, **timing}


def spread(selector: Mapping[str, str], *topology_keys: str) -> list[Object]:
    """Pods apart over hosts (and zones) as far as that goes; a full node must not keep one Pending."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }
        for key in topology_keys
    ]
