"""The re-ranker: a cross-encoder in pods of its own, with Deployment, Service and PodDisruptionBudget."""

from search_operator.api.derive import source_of
from search_operator.api.index import SemanticSearchIndex
from search_operator.api.reranker import Reranker
from search_operator.render.child import Images, Object, child, labels
from search_operator.render.model_server import artefact_of, model_server_pod
from search_operator.render.workload import disruption_budget, service, spread

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
    weights = reranker.weights
    assert weights is not None, "a re-ranker without weights is off"
    artefact = artefact_of(source_of(weights), RERANKER_DIR)
    devices = devices_of(index, reranker)
    return model_server_pod(
        index.name,
        "reranker",
        images,
        given_image=reranker.image or index.spec.search.image,
        artefact=artefact,
        resources=reranker.resources,
        accelerator=index.spec.encoder.accelerator.model_copy(update={"count": devices}),
        variables={
            "RERANKER_DIR": artefact.directory,
            "RERANKER_WEIGHTS": f"artefact:sha256:{weights.sha256}" if weights.sha256 else "",
            "MAX_RERANK_TOKENS": reranker.max_queue_tokens,
        },
        spread=spread(selector, "kubernetes.io/hostname"),
    )
