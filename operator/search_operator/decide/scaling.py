"""Which scaler an encoder fleet gets, from what the cluster has and what is there already. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from search_operator.api.autoscaling import Autoscaling
from search_operator.decide.capacity import Fleet
from search_operator.observe.observation import ChildKey, Object, Observation, ScalingView
from search_operator.render.child import is_ours
from search_operator.render.scaler import (
    HPA,
    INFLIGHT_TOKENS,
    SCALED_OBJECT,
    Scaler,
    keda_autoscaler,
    scaler_kind,
    scaler_object,
)

METRICS_API = "custom.metrics.k8s.io"
_LETS_GO_WITHIN = timedelta(minutes=1)
SCALER_KINDS = frozenset({HPA, SCALED_OBJECT})


@dataclass(frozen=True)
class Choice:
    """A scaler, and why not a better one: a sentence with the remedy, empty where there is none."""

    scaler: Scaler
    why: str = ""


def choose(scaling: Autoscaling, view: ScalingView, present: Scaler | None) -> Choice:
    """The scaler of a fleet that has the `present` one, None for none.

    Only what is known changes it: a metrics API that doesn't answer keeps what is there.
    """
    if scaling.mode == "keda":
        if view.keda or present == "KEDA":
            return Choice("KEDA")
        lacking = "mode is keda, but the cluster serves no ScaledObject; install KEDA, or write mode: auto"
        instead = _by_metrics_api(scaling, view, present)
        return Choice(instead.scaler, f"{lacking}{f'; {instead.why}' if instead.why else ''}")
    found = _by_metrics_api(scaling, view, present)
    # KEDA asks Prometheus, which needs no metrics API. Without its address nobody has asked for KEDA.
    may = scaling.mode == "auto" and view.keda and scaling.prometheus_address is not None
    held = view.metrics_api == "Unavailable" and present is not None
    if found.scaler == "CPU" and may and not held:
        return Choice("KEDA", found.why)
    return found


def _by_metrics_api(scaling: Autoscaling, view: ScalingView, present: Scaler | None) -> Choice:
    """Tokens in flight where they can be had, else CPU."""
    match view.metrics_api:
        case "Ours":
            return Choice("InflightTokens")
        case "Theirs" if view.knows_metric:
            return Choice("InflightTokens")
        case "Theirs":
            owner = view.owner or "somebody else"
            remedy = f"add a rule for it there (docs/autoscaling.md){_or_keda(scaling, view)}"
            return Choice(
                "CPU", f"{METRICS_API} is served by {owner}, which has no pods/{INFLIGHT_TOKENS}; {remedy}"
            )
        case "Absent":
            why = f", nor does the operator: {view.why}" if view.why else ""
            remedy = "see whether the operator may serve it (docs/autoscaling.md)"
            return Choice("CPU", f"nobody serves {METRICS_API}{why}; {remedy}{_or_keda(scaling, view)}")
    silent = f"{METRICS_API} does not answer{f' ({view.why})' if view.why else ''}"
    if present is None or (present == "KEDA" and not (view.keda and scaling.mode == "auto")):
        return Choice("CPU", silent)
    return Choice(present, f"{silent}; what scales stays as it was")


def _or_keda(scaling: Autoscaling, view: ScalingView) -> str:
    return ", or write mode: keda" if view.keda and scaling.mode == "auto" else ""


def present_scaler(observation: Observation, name: str) -> Scaler | None:
    """The scaler of ours that the Deployment has now, one that is on its way out included."""
    scaled = observation.child(SCALED_OBJECT, name)
    if scaled is not None and is_ours(scaled, observation.index):
        return "KEDA"
    live = observation.child(HPA, name)
    if live is None or not is_ours(live, observation.index):
        return None
    metrics = live.get("spec", {}).get("metrics") or ()
    return "InflightTokens" if any(metric.get("type") == "Pods" for metric in metrics) else "CPU"


def choice_of(observation: Observation, name: str) -> Choice:
    """The scaler that the Deployment of that name should have."""
    scaling = observation.index.spec.encoder.autoscaling
    return choose(scaling, observation.scaling, present_scaler(observation, name))


def in_the_way(observation: Observation, name: str) -> ChildKey | None:
    """What still scales the Deployment and must be gone before the chosen scaler comes; None for nothing."""
    chosen = scaler_kind(choice_of(observation, name).scaler)
    other, key = (HPA if chosen == SCALED_OBJECT else SCALED_OBJECT), (HPA, keda_autoscaler(name))
    live = observation.child(other, name)
    if live is not None and is_ours(live, observation.index):
        return other, name
    # KEDA's own goes after its ScaledObject, in the background.
    return key if chosen == HPA and observation.child(*key) else None


def scaler_objects(observation: Observation, name: str, fleet: Fleet) -> list[Object]:
    """The scaler that should exist now: none for an empty fleet, nor while another one still scales it."""
    if not fleet.maximum or in_the_way(observation, name):
        return []
    return [scaler_object(observation.index, name, fleet, choice_of(observation, name).scaler)]


def scaler_awaited(observation: Observation) -> bool:
    """Whether a ScaledObject is about to go: nothing watches it, and nothing scales until then.

    One that is not gone after a minute waits for a KEDA that is away.
    """
    for (kind, _), live in observation.children.items():
        going = live["metadata"].get("deletionTimestamp")
        if kind == SCALED_OBJECT and going:
            return observation.now - datetime.fromisoformat(going) < _LETS_GO_WITHIN
    return False


def live_autoscaler(children: Mapping[ChildKey, Object], name: str) -> Object | None:
    """The HPA that scales the Deployment, ours or KEDA's."""
    return children.get((HPA, name)) or children.get((HPA, keda_autoscaler(name)))
