"""Whether the encoders scale, by what and why, and what keeps them from it: the condition Autoscaling.

Search goes on with the encoders that are there, so that nothing of this makes the index unready.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from search_operator.decide.release import Release, told_condition
from search_operator.decide.scaling import Choice, choice_of, in_the_way, live_autoscaler
from search_operator.decide.statement import Statement
from search_operator.observe.observation import Object, Observation
from search_operator.render.child import is_ours
from search_operator.render.encoder import encoder_name
from search_operator.render.scaler import (
    CPU_TARGET_PERCENT,
    HPA,
    INFLIGHT_TOKENS,
    SCALED_OBJECT,
    keda_autoscaler,
    scaler_kind,
)

KIND = "Autoscaling"
# A new pod's metrics are there after a minute, and a replaced metrics API is back by then.
MISSING_AFTER = timedelta(seconds=90)
_NO_MATTER_OF_TIME = ("AmbiguousSelector", "ScalingDisabled")
_PAUSED = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas")


def autoscaling(observation: Observation, release: Release) -> Statement:
    """How the release's fleet scales."""
    name = encoder_name(observation.index.name, release.record.encoder)
    choice = choice_of(observation, name)
    found = (
        _two_scalers(observation, name)
        or _under_way(observation, release, name, choice)
        or _not_scaling(observation, name, choice)
        or _no_pods(observation, name)
    )
    return found or Statement(KIND, "True", choice.scaler, "; ".join(_said(observation, name, choice)))


def _two_scalers(observation: Observation, name: str) -> Statement | None:
    """Another autoscaler of the same Deployment, by the word of the HPA's controller or by its name."""
    for kind in (HPA, SCALED_OBJECT):
        live = observation.child(kind, name)
        if live is not None and not is_ours(live, observation.index):
            message = (
                f"{kind} {name} does not belong to this index, and has the name of its scaler; remove it"
            )
            return Statement(KIND, "False", "TwoScalers", message)
    told = _conditions(live_autoscaler(observation.children, name)).get("ScalingActive", {})
    if told.get("reason") != "AmbiguousSelector":
        return None
    message = (
        f"another HPA scales pods of Deployment {name} too, and none of them acts: {told.get('message')}; "
        "find it with kubectl get hpa and remove it"
    )
    return Statement(KIND, "False", "TwoScalers", message)


def _under_way(observation: Observation, release: Release, name: str, choice: Choice) -> Statement | None:
    """What is not there yet: encoders, the scaler, or the controller's first look."""
    kind = scaler_kind(choice.scaler)
    if observation.child("Deployment", name) is None:
        return Statement(KIND, "Unknown", "Creating", f"Deployment {name} is being created")
    if other := in_the_way(observation, name):
        waits = "; KEDA must be running to let it go" if SCALED_OBJECT in other else ""
        message = f"{kind} {name} comes once {' '.join(other)} is gone{waits}; until then nothing scales"
        return Statement(KIND, "Unknown", "Changing", message)
    if observation.child(kind, name) is None:
        return Statement(KIND, "Unknown", "Creating", f"{kind} {name} is being created")
    if not _conditions(live_autoscaler(observation.children, name)) and not _conditions(
        observation.child(kind, name)
    ):
        by = "KEDA" if kind == SCALED_OBJECT else "the HPA's controller"
        return Statement(KIND, "Unknown", "Starting", f"{by} has not looked at {kind} {name} yet")
    return _first_metric_awaited(observation, release, name)


def _first_metric_awaited(observation: Observation, release: Release, name: str) -> Statement | None:
    """No metric where none can be: without an encoder, or so soon after the start that none was ever there."""
    active = _conditions(live_autoscaler(observation.children, name)).get("ScalingActive", {})
    if (
        active.get("status") != "False"
        or active.get("reason") in _NO_MATTER_OF_TIME
        or _no_pods(observation, name)
    ):
        return None
    if not release.encoders_ready:
        return Statement(KIND, "Unknown", "Starting", "no encoder is ready yet, so nothing is measured")
    told = told_condition(observation.index, KIND) or {}
    if _lasting(active, observation.now) or told.get("status") in ("True", "False"):
        return None
    return Statement(KIND, "Unknown", "Starting", "the encoders' first metric is awaited")


def _not_scaling(observation: Observation, name: str, choice: Choice) -> Statement | None:
    """Why the scaler does nothing, or nothing but to hold the number."""
    if choice.scaler == "KEDA" and (found := _keda_trouble(observation, name)):
        return found
    told = _conditions(live_autoscaler(observation.children, name))
    able, active = told.get("AbleToScale", {}), told.get("ScalingActive", {})
    if able.get("status") == "False" and _lasting(able, observation.now):
        return Statement(
            KIND, "False", "CannotScale", f"the HPA can't scale Deployment {name}: {able.get('message')}"
        )
    # ScalingDisabled: somebody has set replicas to 0.
    if active.get("status") != "False" or not _lasting(active, observation.now):
        return None
    if active.get("reason") == "ScalingDisabled":
        message = f"Deployment {name} has 0 replicas, so that nothing scales it; set replicas to 1 or more"
        return Statement(KIND, "False", "CannotScale", message)
    why = f"; {choice.why}" if choice.why else ""
    message = (
        f"the HPA gets no metric, and the number of encoders stays as it is: {active.get('message')}{why}; "
        "see docs/autoscaling.md"
    )
    return Statement(KIND, "False", "MetricsMissing", message)


def _keda_trouble(observation: Observation, name: str) -> Statement | None:
    """What the ScaledObject says of itself; a KEDA that is dead says nothing, and its HPA tells then."""
    live = observation.child(SCALED_OBJECT, name) or {}
    annotations = live.get("metadata", {}).get("annotations") or {}
    if paused := next((a for a in _PAUSED if annotations.get(a) not in (None, "false")), None):
        message = f"ScaledObject {name} is paused by its annotation {paused}; remove it to scale again"
        return Statement(KIND, "False", "PausedByKeda", message)
    told = _conditions(live)
    for kind, bad in (("Ready", "False"), ("Fallback", "True"), ("HPAActive", "False")):
        said = told.get(kind, {})
        if said.get("status") == bad and _lasting(said, observation.now):
            message = (
                f"KEDA can't read the metric, and holds the number of encoders: {said.get('message')} ({kind} is {bad}); "
                f"see kubectl describe scaledobject {name} and docs/autoscaling.md"
            )
            return Statement(KIND, "False", "MetricsMissing", message)
    return None


def _no_pods(observation: Observation, name: str) -> Statement | None:
    """What keeps the encoders that the scaler asks for from coming."""
    failure = _conditions(observation.child("Deployment", name)).get("ReplicaFailure", {})
    if failure.get("status") == "True":
        said = str(failure.get("message"))
        if "exceeded quota" in said:
            remedy = "raise the namespace's ResourceQuota, or lower maxReplicas"
            return Statement(KIND, "False", "QuotaExceeded", f"encoders can't be made: {said}; {remedy}")
        return Statement(KIND, "False", "PodsRefused", f"encoders can't be made: {said}")
    waiting = [
        pod
        for pod in observation.pods
        if pod.component == "encoder"
        and pod.name.startswith(f"{name}-")
        and pod.unschedulable
        and not pod.deleted
    ]
    if not waiting:
        return None
    message = (
        f"{len(waiting)} encoder{'s have' if len(waiting) > 1 else ' has'} no node: {waiting[0].unschedulable}; add nodes "
        "with free devices, or lower maxReplicas"
    )
    return Statement(KIND, "False", "NoDevices", message)


def _said(observation: Observation, name: str, choice: Choice) -> list[str]:
    """By what it scales, between which bounds, what holds it there, and what would be better."""
    index = observation.index
    scaling = index.spec.encoder.autoscaling
    found = [f"{_by_what(observation, choice)}, {_bounds(observation, name)}"]
    limited = _conditions(live_autoscaler(observation.children, name)).get("ScalingLimited", {})
    capped = observation.allowed_encoders < scaling.max_replicas
    wants_more = (limited.get("status"), limited.get("reason")) == ("True", "TooManyReplicas")
    if wants_more and _lasting(limited, observation.now) and not _of_fixed_size(observation, name):
        raised = "cost.monthlyCap" if capped else "maxReplicas"
        found.append(f"the load asks for more than the maximum; raise {raised} for more")
    if capped:
        found.append(f"the cap allows {observation.allowed_encoders} of {scaling.max_replicas} encoders")
    return [*found, *([choice.why] if choice.why else [])]


def _by_what(observation: Observation, choice: Choice) -> str:
    scaling, view = observation.index.spec.encoder.autoscaling, observation.scaling
    target = f"{scaling.target_inflight_tokens} {INFLIGHT_TOKENS} per encoder"
    match choice.scaler:
        case "InflightTokens":
            source = f"served by {view.owner}" if view.metrics_api == "Theirs" and view.owner else ""
            return f"an HPA aims at {target}{f', {source}' if source else ''}"
        case "CPU":
            return f"an HPA aims at {CPU_TARGET_PERCENT} % CPU, which says little of a GPU"
        case "KEDA":
            source = (
                f"Prometheus at {scaling.prometheus_address}"
                if scaling.prometheus_address
                else "the encoders"
            )
            return f"KEDA aims at {target}, asking {source}"


def _of_fixed_size(observation: Observation, name: str) -> bool:
    low, high = _limits(observation, name)
    return low == high


def _limits(observation: Observation, name: str) -> tuple[int | None, int | None]:
    """Fewest and most encoders, as the live scaler has them."""
    scaled, live = observation.child(SCALED_OBJECT, name), observation.child(HPA, name)
    if scaled is not None:
        return scaled["spec"].get("minReplicaCount"), scaled["spec"].get("maxReplicaCount")
    spec = (live or observation.child(HPA, keda_autoscaler(name)) or {}).get("spec", {})
    return spec.get("minReplicas"), spec.get("maxReplicas")


def _bounds(observation: Observation, name: str) -> str:
    low, high = _limits(observation, name)
    if low != high:
        return f"with {low} to {high} encoders"
    return f"with {low} encoder{'' if low == 1 else 's'}, no fewer and no more"


def _lasting(condition: Mapping[str, Any], now: datetime) -> bool:
    """Whether it has been so for longer than starts and restarts take; what is told without a time is believed."""
    since = condition.get("lastTransitionTime")
    return not since or now - datetime.fromisoformat(since) >= MISSING_AFTER


def _conditions(live: Object | None) -> dict[str, Mapping[str, Any]]:
    """What an object says of itself, by type."""
    return {str(c.get("type")): c for c in ((live or {}).get("status") or {}).get("conditions") or ()}
