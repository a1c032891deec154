"""What the API says, as the API server and the HPA controller read it (custom.metrics.k8s.io/v1beta2, JSON)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

GROUP = "custom.metrics.k8s.io"
VERSION = "v1beta2"
GROUP_VERSION = f"{GROUP}/{VERSION}"
METRIC = "encoder_inflight_tokens"
"""The gauge on an encoder's /metrics, and the metric's name here."""


@dataclass(frozen=True)
class Reading:
    """What one pod said of itself, and when."""

    namespace: str
    pod: str
    value: float
    at: datetime


class Refusal(Exception):
    """An answer that is no metric: HTTP status, the reason as Kubernetes names it, and a sentence."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def resource_list() -> Object:
    """Discovery: the one metric."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [
            {
                "name": f"pods/{METRIC}",
                "singularName": "",
                "namespaced": True,
                "kind": "MetricValueList",
                "verbs": ["get"],
            }
        ],
    }


def metric_values(readings: Iterable[Reading]) -> Object:
    """A MetricValueList with one item per pod."""
    return {
        "kind": "MetricValueList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [_item(reading) for reading in readings],
    }


def status(refusal: Refusal) -> Object:
    """The same refusal as the `Status` that every Kubernetes client shows."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": refusal.reason,
        "message": refusal.message,
        "code": refusal.code,
    }


def quantity(value: float) -> str:
    """A Kubernetes quantity, exact to a thousandth."""
    thousandths = round(value * 1000)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def _item(reading: Reading) -> Object:
    return {
        "describedObject": {
            "kind": "Pod",
            "namespace": reading.namespace,
            "name": reading.pod,
            "apiVersion": "v1",
        },
        "metric": {"name": METRIC},
        "timestamp": reading.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        # A gauge as it stood then, not an average over a time.
        "windowSeconds": 0,
        "value": quantity(reading.value),
    }
