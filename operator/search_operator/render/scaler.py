"""What scales one encoder fleet: an HPA by tokens in flight or by CPU, or KEDA's ScaledObject."""

from typing import Literal

from search_operator.api.autoscaling import Autoscaling
from search_operator.api.index import SemanticSearchIndex
from search_operator.api.values import duration_of
from search_operator.decide.capacity import Fleet
from search_operator.render.child import HTTP_PORT, Object, child

Scaler = Literal["InflightTokens", "CPU", "KEDA"]

HPA = "HorizontalPodAutoscaler"
SCALED_OBJECT = "ScaledObject"
INFLIGHT_TOKENS = "encoder_inflight_tokens"
CPU_TARGET_PERCENT = 70
# Failed looks of the HPA's controller, one in 15 s, before KEDA holds the number of encoders.
_FAILED_LOOKS = 3


def scaler_kind(scaler: Scaler) -> str:
    """The kind of the object that it is."""
    return SCALED_OBJECT if scaler == "KEDA" else HPA


def scaler_text(scaler: Scaler, scaling: Autoscaling) -> str:
    """The scaler as the status names it."""
    match scaler:
        case "InflightTokens":
            return f"HPA (Pods metric {INFLIGHT_TOKENS})"
        case "CPU":
            return f"HPA (cpu, target {CPU_TARGET_PERCENT} %)"
        case "KEDA":
            return f"KEDA ScaledObject ({'prometheus' if scaling.prometheus_address else 'metrics-api'})"


def keda_autoscaler(name: str) -> str:
    """The HPA that KEDA makes for the ScaledObject of that name; it copies our labels onto it."""
    return f"keda-hpa-{name}"


def scaler_object(index: SemanticSearchIndex, name: str, fleet: Fleet, scaler: Scaler) -> Object:
    """The scaler of the Deployment `name`, within the fleet's bounds."""
    if scaler == "KEDA":
        return child(
            index, "keda.sh/v1alpha1", SCALED_OBJECT, name, "encoder", _scaled_object(index, name, fleet)
        )
    scaling = index.spec.encoder.autoscaling
    spec = {
        "scaleTargetRef": _target(name),
        "minReplicas": fleet.minimum,
        "maxReplicas": fleet.maximum,
        # Never without: an HPA that has lost its metrics silently goes by 80 % CPU.
        "metrics": [_by_tokens(scaling) if scaler == "InflightTokens" else _BY_CPU],
        "behavior": behaviour(scaling),
    }
    return child(index, "autoscaling/v2", HPA, name, "encoder", {"spec": spec})


def behaviour(scaling: Autoscaling) -> Object:
    """`behavior` of an HPA: up at once, down slowly, as the spec says."""
    up, down = scaling.scale_up, scaling.scale_down
    return {
        "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [_policy(up.pods, up.period)]},
        "scaleDown": {
            "stabilizationWindowSeconds": _seconds(down.stabilization_window),
            "policies": [_policy(down.pods, down.period)],
        },
    }


_BY_CPU: Object = {
    "type": "Resource",
    "resource": {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": CPU_TARGET_PERCENT},
    },
}


def _by_tokens(scaling: Autoscaling) -> Object:
    target = {"type": "AverageValue", "averageValue": str(scaling.target_inflight_tokens)}
    return {"type": "Pods", "pods": {"metric": {"name": INFLIGHT_TOKENS}, "target": target}}


def _scaled_object(index: SemanticSearchIndex, name: str, fleet: Fleet) -> Object:
    scaling = index.spec.encoder.autoscaling
    return {
        "spec": {
            "scaleTargetRef": _target(name),
            "minReplicaCount": fleet.minimum,
            "maxReplicaCount": fleet.maximum,
            "fallback": {
                "failureThreshold": _FAILED_LOOKS,
                "replicas": fleet.minimum,
                "behavior": "currentReplicasIfHigher",
            },
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behaviour(scaling)}},
            "triggers": [_trigger(index, name)],
        }
    }


def _trigger(index: SemanticSearchIndex, name: str) -> Object:
    """The average of those encoders that can be read: in a sum, one that can't be would count as idle."""
    scaling, target = (
        index.spec.encoder.autoscaling,
        str(index.spec.encoder.autoscaling.target_inflight_tokens),
    )
    if address := scaling.prometheus_address:
        series = f'{INFLIGHT_TOKENS}{{namespace="{index.namespace}",pod=~"{name}-.+"}}'
        return {
            "type": "prometheus",
            "name": "inflight-tokens",
            "metricType": "Value",
            "metadata": {
                "serverAddress": address,
                "query": f"avg({series})",
                "threshold": target,
                # By default KEDA reads a series that is not there as 0.
                "ignoreNullValues": "false",
            },
        }
    return {
        "type": "metrics-api",
        "name": "inflight-tokens",
        "metricType": "Value",
        "metadata": {
            # KEDA takes the pods' addresses from the Service's endpoints, and the port, which is theirs, from here.
            "url": f"http://{name}.{index.namespace}.svc:{HTTP_PORT}/metrics",
            "format": "prometheus",
            "valueLocation": INFLIGHT_TOKENS,
            "targetValue": target,
            "aggregateFromKubeServiceEndpoints": "true",
            "aggregationType": "average",
        },
    }


def _target(name: str) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}


def _policy(pods: int, period: str) -> Object:
    return {"type": "Pods", "value": pods, "periodSeconds": _seconds(period)}


def _seconds(text: str) -> int:
    return int(duration_of(text).total_seconds())
