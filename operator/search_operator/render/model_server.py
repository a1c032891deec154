"""A pod that serves a model: what the encoder's and the re-ranker's have in common, artefact and device among it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_plane.release.record import EncoderSource

from search_operator.api.encoder import Accelerator
from search_operator.api.kubernetes import Resources
from search_operator.render.child import (
    TMP_VOLUME,
    Images,
    Object,
    environment,
    restricted_container,
    restricted_pod,
)
from search_operator.render.workload import probe


@dataclass(frozen=True)
class Artefact:
    """Where the artefact lies in the container, the volume that carries it (None: the image does), and its mount."""

    directory: str
    volume: Object | None
    mount_path: str


def artefact_of(source: EncoderSource, mount_path: str) -> Artefact:
    """The artefact as it is mounted at `mount_path`; baked in, it lies there unless the source names a folder."""
    if source.weights_image:
        image = {"reference": source.weights_image, "pullPolicy": "IfNotPresent"}
        return Artefact(mount_path, {"name": "weights", "image": image}, mount_path)
    if source.weights_claim:
        claim = {"claimName": source.weights_claim, "readOnly": True}
        directory = f"{mount_path}/{source.weights_path.lstrip('/')}".rstrip("/")
        return Artefact(directory, {"name": "weights", "persistentVolumeClaim": claim}, mount_path)
    return Artefact(source.weights_path or mount_path, None, mount_path)


def model_server_pod(
    index: str,
    part: str,
    images: Images,
    *,
    given_image: str,
    artefact: Artefact,
    resources: Resources,
    accelerator: Accelerator,
    variables: Mapping[str, Any],
    spread: list[Object],
) -> Object:
    """The pod. `part` is its component, its container's name and what the image is told to be.

    An empty `given_image` is the operator's own, with CUDA where there are devices and such a variant.
    """
    asked: dict[str, Any] = resources.model_dump(exclude_none=True)
    if accelerator.count:
        limits = {**(asked.get("limits") or {}), accelerator.resource: str(accelerator.count)}
        asked = {**asked, "limits": limits}
    # The image with CUDA must find it: a GPU that is paid for and not used looks like any slow server.
    cuda = images.plane_gpu if accelerator.count else ""
    device = {"DEVICE": "cuda"} if cuda and not given_image else {}
    mounts = [{"name": "weights", "mountPath": artefact.mount_path, "readOnly": True}]
    container = restricted_container(
        {
            "name": part,
            "image": given_image or cuda or images.plane,
            "imagePullPolicy": images.pull_policy,
            "args": [part],
            "env": environment({**variables, **device}),
            "resources": asked,
            "startupProbe": probe("/healthz", periodSeconds=1, failureThreshold=300),
            "readinessProbe": probe("/readyz", periodSeconds=5, timeoutSeconds=3, failureThreshold=2),
            "livenessProbe": probe("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
            "volumeMounts": mounts if artefact.volume else [],
        }
    )
    return restricted_pod(
        {
            "serviceAccountName": f"{index}-{part}",
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
            "volumes": [TMP_VOLUME, *([artefact.volume] if artefact.volume else [])],
            "nodeSelector": accelerator.effective_node_selector(),
            "tolerations": [
                t.model_dump(by_alias=True, exclude_none=True) for t in accelerator.effective_tolerations()
            ],
            "topologySpreadConstraints": spread,
        }
    )
