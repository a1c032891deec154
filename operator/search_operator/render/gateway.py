"""The search gateway: Deployment, Service, PodDisruptionBudget, and the snapshot that it serves."""

from search_plane.release.record import ReleaseSnapshot

from search_operator.api.index import SemanticSearchIndex
from search_operator.render.child import (
    TMP_VOLUME,
    Images,
    Object,
    child,
    environment,
    labels,
    restricted_container,
    restricted_pod,
)
from search_operator.render.stores import RELEASE_DIR, release_file_volume, store_mounts, store_volumes
from search_operator.render.workload import disruption_budget, probe, service, spread


def gateway_name(index: str) -> str:
    """Name of the gateway's Deployment and of the Service that clients use."""
    return f"{index}-gateway"


def active_name(index: str) -> str:
    """Name of the ConfigMap that says which release queries run on: the durable pointer of the index."""
    return f"{index}-active"


def active_release(index: SemanticSearchIndex, snapshot: ReleaseSnapshot | None) -> Object:
    """The pointer; `{}` while no release is active, which keeps the gateway unready."""
    data = {"release.json": snapshot.to_json() if snapshot else "{}"}
    return child(index, "v1", "ConfigMap", active_name(index.name), "gateway", {"data": data})


def gateway_objects(index: SemanticSearchIndex, images: Images) -> list[Object]:
    """The gateway. Its pods never change when the release does: they re-read the mounted snapshot."""
    name = gateway_name(index.name)
    selector = labels(index.name, "gateway")
    deployment = {
        "spec": {
            "replicas": index.spec.search.replicas,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": selector}, "spec": _pod(index, images, selector)},
        }
    }
    return [
        child(index, "apps/v1", "Deployment", name, "gateway", deployment),
        service(index, name, "gateway", selector),
        disruption_budget(index, name, "gateway", selector),
    ]


def _pod(index: SemanticSearchIndex, images: Images, selector: dict[str, str]) -> Object:
    container = restricted_container(
        {
            "name": "gateway",
            "image": index.spec.search.image or images.plane,
            "imagePullPolicy": images.pull_policy,
            "args": ["gateway"],
            "env": environment({"RELEASE_FILE": f"{RELEASE_DIR}/release.json"}),
            "resources": index.spec.search.resources.model_dump(exclude_none=True),
            "startupProbe": probe("/healthz", periodSeconds=1, failureThreshold=120),
            "readinessProbe": probe("/readyz", periodSeconds=2, timeoutSeconds=3, failureThreshold=2),
            "livenessProbe": probe("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
            "volumeMounts": store_mounts(index),
        }
    )
    return restricted_pod(
        {
            "serviceAccountName": f"{index.name}-gateway",
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
            "volumes": [TMP_VOLUME, release_file_volume(active_name(index.name)), *store_volumes(index)],
            "topologySpreadConstraints": spread(selector, "kubernetes.io/hostname"),
        }
    )
