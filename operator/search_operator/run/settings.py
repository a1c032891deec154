"""What the operator's Deployment sets, from the environment."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Times in seconds. `namespaces` empty means all of them."""

    plane_image: str
    plane_gpu_image: str
    image_pull_policy: str
    namespace: str
    identity: str
    namespaces: tuple[str, ...]
    workers: int
    resync_seconds: float
    relist_seconds: float
    lease_seconds: int
    probe_port: int
    metrics_port: int
    metrics_api: bool
    metrics_api_port: int
    log_level: str


def settings_from(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises KeyError naming the variable that is missing, ValueError naming the one that is wrong."""
    metrics_api = environ.get("METRICS_API", "on")
    if metrics_api not in ("on", "off"):
        raise ValueError(f"METRICS_API is {metrics_api!r}; write on or off")
    return Settings(
        plane_image=environ["PLANE_IMAGE"],
        plane_gpu_image=environ.get("PLANE_GPU_IMAGE", ""),
        image_pull_policy=environ.get("IMAGE_PULL_POLICY", "IfNotPresent"),
        namespace=environ.get("OPERATOR_NAMESPACE", "semantic-search-system"),
        identity=environ.get("POD_NAME", socket.gethostname()),
        namespaces=tuple(name for name in environ.get("WATCH_NAMESPACES", "").split(",") if name),
        workers=int(environ.get("WORKERS", "8")),
        resync_seconds=float(environ.get("RESYNC_SECONDS", "20")),
        relist_seconds=float(environ.get("RELIST_SECONDS", "120")),
        lease_seconds=int(environ.get("LEASE_SECONDS", "15")),
        probe_port=int(environ.get("PROBE_PORT", "8081")),
        metrics_port=int(environ.get("METRICS_PORT", "8080")),
        metrics_api=metrics_api == "on",
        metrics_api_port=int(environ.get("METRICS_API_PORT", "6443")),
        log_level=environ.get("LOG_LEVEL", "INFO"),
    )
