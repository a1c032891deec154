"""The search gateway: Deployment, Service, PodDisruptionBudget, and the snapshot that it serves."""

from collections.abc import Mapping
from typing import Any

from search_plane.release.identity import canonical_sha256
from search_plane.release.policy import POLICY_KEY
from search_plane.release.record import ReleaseSnapshot

from search_operator.api.index import SemanticSearchIndex
from search_operator.observe.book import BOOK_KEY, Book
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
from search_operator.render.policy import policy_of
from search_operator.render.stores import RELEASE_DIR, release_file_volume, store_mounts, store_volumes
from search_operator.render.workload import disruption_budget, probe, service, spread

RELEASE_KEY = "release.json"
NEXT_KEY = "next.json"
# It goes on serving for DRAIN_SECONDS (5) after it is told to stop, and queries in flight may take STOP_SECONDS (10).
GRACE_SECONDS = 30


def gateway_name(index: str) -> str:
    """Name of the gateway's Deployment and of the Service that clients use."""
    return f"{index}-gateway"


def active_name(index: str) -> str:
    """Name of the ConfigMap that says which release queries run on: the durable pointer of the index."""
    return f"{index}-active"


def pointer(
    index: SemanticSearchIndex, active: ReleaseSnapshot | None, announced: ReleaseSnapshot | None, book: Book
) -> Object:
    """What is answered from, what gateways shall make ready, the book, and the policy: all change in one write.

    `{}` while no release is active keeps the gateway unready. Without a release to announce, the active one is. The
    policy is the spec's as it is now: it belongs to no release, so that its change is no switch.
    """
    data = {
        RELEASE_KEY: active.to_json() if active else "{}",
        NEXT_KEY: snapshot.to_json() if (snapshot := announced or active) else "{}",
        BOOK_KEY: book.to_json(),
        POLICY_KEY: policy_of(index).to_json(),
    }
    return child(index, "v1", "ConfigMap", active_name(index.name), "gateway", {"data": data})


def pointer_revision(config_map: Mapping[str, Any]) -> str:
    """16 hex digits that tell one writing of the pointer from another.

    With the book and its times in it: to a release and back again is no old news, and each pod is told of it. With the
    policy too, which pods shall have as soon.
    """
    data = config_map.get("data", {})
    return canonical_sha256([data.get(key) for key in (RELEASE_KEY, NEXT_KEY, BOOK_KEY, POLICY_KEY)])[:16]


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


def _environment(index: SemanticSearchIndex) -> list[Object]:
    log = index.spec.search.log
    found = environment(
        {
            "RELEASE_FILE": f"{RELEASE_DIR}/{RELEASE_KEY}",
            "SEARCH_LOG_DESTINATION": log.destination,
            "SEARCH_LOG_INDEX": log_index(index) if log.destination == "Elasticsearch" else "",
        }
    )
    if log.destination == "None":
        return found
    if log.salt_secret_ref:
        key = {"name": log.salt_secret_ref.name, "key": "salt"}
        return [*found, {"name": "SEARCH_LOG_SALT", "valueFrom": {"secretKeyRef": key}}]
    # The same in all gateways and after a restart, so that a user's bucket stays; whoever fears guesses names a Secret.
    return [*found, *environment({"SEARCH_LOG_SALT": canonical_sha256(index.uid)[:32]})]


def log_index(index: SemanticSearchIndex) -> str:
    """The Elasticsearch index that answers and clicks are logged to."""
    return index.spec.search.log.index or f"search-log-{index.namespace}-{index.name}"


def _pod(index: SemanticSearchIndex, images: Images, selector: dict[str, str]) -> Object:
    container = restricted_container(
        {
            "name": "gateway",
            "image": index.spec.search.image or images.plane,
            "imagePullPolicy": images.pull_policy,
            "args": ["gateway"],
            "env": _environment(index),
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
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "containers": [container],
            "volumes": [TMP_VOLUME, release_file_volume(active_name(index.name)), *store_volumes(index)],
            "topologySpreadConstraints": spread(selector, "kubernetes.io/hostname"),
        }
    )
