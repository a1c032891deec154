"""The re-ranker: a cross-encoder in pods of its own, with Deployment, Service and PodDisruptionBudget."""

from typing import Any

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.reranker import Reranker
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
from search_operator.render.workload import disruption_budget, probe, service, spread

RERANKER_DIR = "/reranker"


def reranker_of(index: SemanticSearchIndex) -> Reranker | None:
    """The re-ranker that the spec asks for; None while it is off."""
    reranker = index.spec.search.reranker
    return reranker if reranker and reranker.enabled and reranker.weights else None


def reranker_name(index: str) -> str:
    """Name of its Deployment and Service."""
    return f"{index}-reranker"


def reranker_url(index: SemanticSearchIndex) -> str:
    """Where gateways find it."""
    return f"http://{reranker_name(index.name)}.{index.namespace}.svc:80"


def reranker_objects(index: SemanticSearchIndex, images: Images) -> list[Object]:
    """The re-ranker, while the spec asks for one."""
    reranker = reranker_of(index)
    if reranker is None:
        return []
    name, selector = reranker_name(index.name), labels(index.name, "reranker")
    # A surge pod would wait for a device that the old one holds; queries go on without re-ranking meanwhile.
    update = {"maxSurge": 0, "maxUnavailable": 1} if devices_of(index, reranker) else {"maxSurge": 1}
    deployment = {
        "spec": {
            "replicas": reranker.replicas,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, **update}},
            "template": {
                "metadata": {"labels": selector},
                "spec": _pod(index, reranker, images, selector),
            },
        }
    }
    return [
        child(index, "apps/v1", "Deployment", name, "reranker", deployment),
        service(index, name, "reranker", selector),
        disruption_budget(index, name, "reranker", selector),
    ]


def devices_of(index: SemanticSearchIndex, reranker: Reranker) -> int:
    """Devices of one pod."""
    own = reranker.devices
    return index.spec.encoder.accelerator.count if own is None else own


def _pod(index: SemanticSearchIndex, reranker: Reranker, images: Images, selector: dict[str, str]) -> Object:
    devices, accelerator = devices_of(index, reranker), index.spec.encoder.accelerator
    accelerator = accelerator.model_copy(update={"count": devices})
    volume, directory = _weights(reranker)
    resources: dict[str, Any] = reranker.resources.model_dump(exclude_none=True)
    if devices:
        limits = {**(resources.get("limits") or {}), accelerator.resource: str(devices)}
        resources = {**resources, "limits": limits}
    given = reranker.image or index.spec.search.image
    cuda = images.plane_gpu if devices else ""
    pin = reranker.weights.sha256 if reranker.weights else None
    container = restricted_container(
        {
            "name": "reranker",
            "image": given or cuda or images.plane,
            "imagePullPolicy": images.pull_policy,
            "args": ["reranker"],
            "env": environment(
                {
                    "RERANKER_DIR": directory,
                    "RERANKER_WEIGHTS": f"artefact:sha256:{pin}" if pin else "",
                    "MAX_RERANK_TOKENS": reranker.max_queue_tokens,
                    **({"DEVICE": "cuda"} if cuda and not given else {}),
                }
            ),
            "resources": resources,
            "startupProbe": probe("/healthz", periodSeconds=1, failureThreshold=300),
            "readinessProbe": probe("/readyz", periodSeconds=5, timeoutSeconds=3, failureThreshold=2),
            "livenessProbe": probe("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
            "volumeMounts": [{"name": "weights", "mountPath": RERANKER_DIR, "readOnly": True}]
            if volume
            else [],
        }
    )
    return restricted_pod(
        {
            "serviceAccountName": f"{index.name}-reranker",
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
            "volumes": [TMP_VOLUME, *([volume] if volume else [])],
            "nodeSelector": accelerator.effective_node_selector(),
            "tolerations": [
                t.model_dump(by_alias=True, exclude_none=True) for t in accelerator.effective_tolerations()
            ],
            "topologySpreadConstraints": spread(selector, "kubernetes.io/hostname"),
        }
    )


def _weights(reranker: Reranker) -> tuple[Object | None, str]:
    """The volume that carries the artefact (none when it is baked into the image), and where the artefact lies."""
    weights = reranker.weights
    assert weights is not None, "a re-ranker without weights is off"
    if weights.image:
        image = {"reference": weights.image, "pullPolicy": "IfNotPresent"}
        return {"name": "weights", "image": image}, RERANKER_DIR
    if weights.persistent_volume_claim:
        claim = weights.persistent_volume_claim
        volume = {"claimName": claim.claim_name, "readOnly": True}
        path = f"{RERANKER_DIR}/{claim.path.lstrip('/')}".rstrip("/")
        return {"name": "weights", "persistentVolumeClaim": volume}, path
    return None, weights.baked_in.path if weights.baked_in else RERANKER_DIR
