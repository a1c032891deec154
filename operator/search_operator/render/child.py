"""What every child has in common: its name, its labels, its owner, and the seal that shows a changed wish."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search_plane.release.identity import canonical_sha256

from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.drift import APPLIED_HASH

Object = dict[str, Any]
Component = Literal["encoder", "gateway", "reranker", "build", "catchup", "verify", "refresh"]

INDEX_LABEL = "semanticsearch.io/index"
RELEASE_LABEL = "semanticsearch.io/release"
ATTEMPT_LABEL = "semanticsearch.io/attempt"
POINTER_ANNOTATION = "semanticsearch.io/pointer"
REFRESH_ANNOTATION = "semanticsearch.io/refresh-requested-at"
MANAGED_BY = {"app.kubernetes.io/managed-by": "semantic-search-operator"}
HTTP_PORT = 8080
RUN_AS = 10001


@dataclass(frozen=True)
class Images:
    """Images and pull policy that the operator was installed with; a resource may name another encoder image.

    `plane_gpu` is the plane's image with CUDA, for encoders on an accelerator; "" where there is none.
    """

    plane: str
    pull_policy: str = "IfNotPresent"
    plane_gpu: str = ""


def labels(index: str, component: Component, release: str = "") -> dict[str, str]:
    """Our own labels, never the parent's: a copied tracking label gets a child pruned by its GitOps tool."""
    found = {
        **MANAGED_BY,
        "app.kubernetes.io/part-of": "semantic-search",
        "app.kubernetes.io/component": component,
        INDEX_LABEL: index,
    }
    return found | ({RELEASE_LABEL: release} if release else {})


def child(
    index: SemanticSearchIndex,
    api_version: str,
    kind: str,
    name: str,
    component: Component,
    body: Mapping[str, Any],
    release: str = "",
) -> Object:
    """A child object, owned by the index, without what the API server would drop, and sealed.

    The seal is a hash of the wish: it makes a field that is no longer wished for visible as drift.
    """
    metadata, rest = body.get("metadata", {}), {k: v for k, v in body.items() if k != "metadata"}
    wish: Object = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            **metadata,
            "name": name,
            "namespace": index.namespace,
            "labels": labels(index.name, component, release),
            "ownerReferences": [
                {
                    "apiVersion": "semanticsearch.io/v1alpha1",
                    "kind": "SemanticSearchIndex",
                    "name": index.name,
                    "uid": index.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        **rest,
    }
    wish = without_empty(wish)
    annotations = wish["metadata"].get("annotations", {})
    wish["metadata"]["annotations"] = {**annotations, APPLIED_HASH: canonical_sha256(wish)[:16]}
    return wish


def is_ours(live: Object, index: SemanticSearchIndex) -> bool:
    """Whether a live object is this index's own."""
    owners = live["metadata"].get("ownerReferences", ())
    return any(owner.get("uid") == index.uid and owner.get("controller") for owner in owners)


def without_empty(value: Any) -> Any:
    """Without nulls, empty maps, lists and strings, which the API server drops; `emptyDir: {}` stays."""
    if isinstance(value, Mapping):
        kept = {k: v if k in _MEANINGFUL_EMPTY else without_empty(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if k in _MEANINGFUL_EMPTY or v not in (None, {}, [], "")}
    if isinstance(value, list | tuple):
        return [without_empty(item) for item in value]
    return value


_MEANINGFUL_EMPTY = frozenset({"emptyDir", "podSelector", "namespaceSelector"})


def restricted_pod(spec: Mapping[str, Any]) -> Object:
    """A pod spec under Pod Security `restricted`, without an API token."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": RUN_AS,
            "runAsGroup": RUN_AS,
            "fsGroup": RUN_AS,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **spec,
    }


def restricted_container(spec: Mapping[str, Any]) -> Object:
    """A container without privileges, on a read-only root with an own /tmp and the HTTP port named `http`."""
    return {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        **spec,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *spec.get("volumeMounts", ())],  # noqa: S108
    }


def environment(values: Mapping[str, object]) -> list[Object]:
    """Environment variables of a container, in the given order; empty ones are left out."""
    return [{"name": name, "value": str(value)} for name, value in values.items() if value not in (None, "")]


TMP_VOLUME: Object = {"name": "tmp", "emptyDir": {}}
