"""What the condition Autoscaling says: by what encoders scale, what holds them, and what keeps them from it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from search_operator.decide.events import events
from search_operator.decide.schedule import rfc3339
from search_operator.decide.status import status
from search_operator.decide.steps import Outcome
from search_operator.observe.observation import Observation, ScalingView
from search_operator.render.scaler import HPA, SCALED_OBJECT

from tests.unit.operator_core.builders import Object, condition, kstatus, pod
from tests.unit.operator_core.world import World

OURS = ScalingView("Ours", knows_metric=True)
KEDA = ScalingView("Absent", keda=True)
ACTIVE = {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}
NO_NODE = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
QUOTA = 'pods "x" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=1, used: 4, limited: 4'
REFUSED = 'pods "x" is forbidden: violates PodSecurity "restricted"'


def looked_at(view: ScalingView = OURS, **autoscaling: Any) -> World:
    """An index at rest of two to six encoders, whose HPA has been looked at by its controller."""
    world = World(scaling=view)
    world.set_spec(encoder={"autoscaling": {"minReplicas": 2, "maxReplicas": 6, **autoscaling}})
    world.settle()
    tell(world, ACTIVE)
    return world


def fleet(world: World) -> str:
    """The encoders' Deployment."""
    (name,) = [n for kind, n in world.children if kind == "Deployment" and "-encoder-" in n]
    return name


def tell(world: World, *conditions: Object, of: str = "", ago: timedelta = timedelta(hours=1)) -> None:
    """Conditions of the scaler, or of the object of that kind, as their controller would write them."""
    name = fleet(world)
    kind = of or (SCALED_OBJECT if (SCALED_OBJECT, name) in world.children else HPA)
    since = {"lastTransitionTime": rfc3339(world.now - ago)}
    live = world.children[kind, name]
    live["status"] = {**(live.get("status") or {}), "conditions": [since | c for c in conditions]}


def said(observation: Observation) -> Mapping[str, Any]:
    return condition(status(observation, Outcome()), "Autoscaling")


def test_by_what_and_between_which_bounds() -> None:
    told = said(looked_at(targetInflightTokens=900).observe())
    assert (told["status"], told["reason"]) == ("True", "InflightTokens")
    assert told["message"] == "an HPA aims at 900 encoder_inflight_tokens per encoder, with 2 to 6 encoders"
    theirs = ScalingView("Theirs", knows_metric=True, owner="monitoring/adapter")
    assert "served by monitoring/adapter" in said(looked_at(theirs).observe())["message"]
    told = said(looked_at(ScalingView("Theirs", owner="monitoring/adapter")).observe())
    assert (told["status"], told["reason"]) == ("True", "CPU")
    assert "70 % CPU" in told["message"]
    assert "served by monitoring/adapter, which has no pods/encoder_inflight_tokens" in told["message"]
    keda = looked_at(KEDA, mode="keda")
    tell(keda, {"type": "Ready", "status": "True", "reason": "ScaledObjectReady"})
    told = said(keda.observe())
    assert (told["status"], told["reason"]) == ("True", "KEDA")
    assert told["message"].endswith("asking the encoders, with 2 to 6 encoders")
    told = said(looked_at(mode="keda").observe())
    assert (told["status"], told["reason"]) == ("True", "InflightTokens")
    assert "install KEDA, or write mode: auto" in told["message"]


def test_a_scaler_that_nobody_has_looked_at_is_not_said_to_scale() -> None:
    world = looked_at()
    tell(world)
    told = said(world.observe())
    assert (told["status"], told["reason"]) == ("Unknown", "Starting")
    assert told["message"].startswith("the HPA's controller has not looked at HorizontalPodAutoscaler")
    world.reconcile()
    assert kstatus(world.body) == "Current"


def test_at_the_maximum_and_under_the_cap_it_scales_and_says_what_holds_it() -> None:
    world = looked_at()
    tell(world, ACTIVE, {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"})
    told = said(world.observe())
    assert told["status"] == "True"
    assert "the load asks for more than the maximum; raise maxReplicas for more" in told["message"]
    told = said(replace(world.observe(), allowed=5))
    assert told["status"] == "True"
    assert "raise cost.monthlyCap for more; the cap allows 5 of 6 encoders" in told["message"]
    tell(world, ACTIVE, {"type": "ScalingLimited", "status": "True", "reason": "TooFewReplicas"})
    assert "maximum" not in said(world.observe())["message"]
    fixed = looked_at(minReplicas=2, maxReplicas=2)
    tell(fixed, ACTIVE, {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"})
    assert said(fixed.observe())["message"].endswith("with 2 encoders, no fewer and no more")


MISSING = {
    "type": "ScalingActive",
    "status": "False",
    "reason": "FailedGetPodsMetric",
    "message": "unable to get metric encoder_inflight_tokens: no encoder answers",
}
DISABLED = {"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}
AMBIGUOUS = {
    "type": "ScalingActive",
    "status": "False",
    "reason": "AmbiguousSelector",
    "message": "pods by selector are controlled by multiple HPAs: [search/mine search/products]",
}
NO_SCALE = {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale", "message": "not found"}


@pytest.mark.parametrize(
    ("told_of", "reason", "words"),
    [
        ([MISSING], "MetricsMissing", "the number of encoders stays as it is: unable to get metric"),
        ([AMBIGUOUS], "TwoScalers", "remove it"),
        ([DISABLED], "CannotScale", "has 0 replicas"),
        ([ACTIVE, NO_SCALE], "CannotScale", "not found"),
    ],
)
def test_what_the_hpa_says_is_passed_on_with_a_remedy(told_of: list[Object], reason: str, words: str) -> None:
    world = looked_at()
    before = status(world.observe(), Outcome())
    tell(world, *told_of)
    after = status(world.observe(), Outcome())
    told = condition(after, "Autoscaling")
    assert (told["status"], told["reason"]) == ("False", reason)
    assert words in told["message"]
    assert [(e.type, e.reason) for e in events(before, after)] == [("Warning", reason)]
    # Search goes on.
    for kind, state in (("Ready", "True"), ("Stalled", "False"), ("Reconciling", "False")):
        assert condition(after, kind)["status"] == state


def test_a_metric_that_a_new_pod_does_not_have_yet_is_no_trouble() -> None:
    world = looked_at()
    tell(world, MISSING, ago=timedelta(seconds=60))
    first = said(world.observe())
    assert (first["status"], first["reason"]) == ("Unknown", "Starting")
    tell(world, MISSING, ago=timedelta(seconds=90))
    assert said(world.observe())["reason"] == "MetricsMissing"
    world.ready_pods("encoder", 0)
    assert said(world.observe())["reason"] == "Starting"


def test_a_metric_that_is_away_for_a_moment_changes_nothing_that_was_told() -> None:
    world = looked_at()
    world.reconcile()
    before = said(world.observe())
    assert before["status"] == "True"
    tell(world, MISSING, ago=timedelta(seconds=60))
    assert said(world.observe()) == before
    tell(world, MISSING, ago=timedelta(seconds=90))
    world.reconcile()
    assert condition(world.body["status"], "Autoscaling")["reason"] == "MetricsMissing"


def test_only_what_is_decided_is_an_event() -> None:
    world = looked_at()
    world.reconcile()
    known = world.body["status"]
    tell(world)
    world.reconcile()
    unknown = world.body["status"]
    assert condition(unknown, "Autoscaling")["status"] == "Unknown"
    assert events(known, unknown) == []


@pytest.mark.parametrize(
    ("conditions", "annotations", "reason", "words"),
    [
        (
            [{"type": "Ready", "status": "False", "message": "TriggerError"}],
            {},
            "MetricsMissing",
            "TriggerError",
        ),
        (
            [
                {"type": "Ready", "status": "True"},
                {"type": "Fallback", "status": "True", "message": "failing"},
            ],
            {},
            "MetricsMissing",
            "holds the number of encoders: failing (Fallback is True)",
        ),
        ([{"type": "HPAActive", "status": "False", "message": "unknown"}], {}, "MetricsMissing", "HPAActive"),
        (
            [{"type": "Ready", "status": "True"}],
            {"autoscaling.keda.sh/paused": "true"},
            "PausedByKeda",
            "remove it",
        ),
        (
            [{"type": "Ready", "status": "True"}],
            {"autoscaling.keda.sh/paused-replicas": "0"},
            "PausedByKeda",
            "autoscaling.keda.sh/paused-replicas",
        ),
    ],
)
def test_what_keda_says_is_passed_on(
    conditions: list[Object], annotations: dict[str, str], reason: str, words: str
) -> None:
    world = looked_at(KEDA, mode="keda")
    tell(world, *conditions)
    world.children[SCALED_OBJECT, fleet(world)]["metadata"]["annotations"].update(annotations)
    told = said(world.observe())
    assert (told["status"], told["reason"]) == ("False", reason)
    assert words in told["message"]
    assert world.reconcile().steps == ()


def test_a_dead_keda_is_told_by_its_own_hpa() -> None:
    world = looked_at(KEDA, mode="keda")
    tell(world, {"type": "Ready", "status": "True"})
    name = fleet(world)
    since = rfc3339(world.now - timedelta(hours=1))
    world.children[HPA, f"keda-hpa-{name}"] = {
        "metadata": {"name": f"keda-hpa-{name}", "uid": "k"},
        "status": {"conditions": [MISSING | {"lastTransitionTime": since}]},
    }
    assert said(world.observe())["reason"] == "MetricsMissing"


def test_encoders_that_have_no_node_or_may_not_be_made_are_told() -> None:
    world = looked_at()
    waiting = pod("encoder", f"{fleet(world)}-x", ready=False, phase="Pending", unschedulable=NO_NODE)
    told = said(replace(world.observe(), pods=(waiting,)))
    assert (told["status"], told["reason"]) == ("False", "NoDevices")
    assert told["message"].startswith(f"1 encoder has no node: {NO_NODE}")
    other = replace(waiting, name="products-encoder-00000000-x")
    going = replace(waiting, deleted=True)
    assert said(replace(world.observe(), pods=(other, going)))["status"] == "True"
    for message, reason in ((QUOTA, "QuotaExceeded"), (REFUSED, "PodsRefused")):
        failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
        tell(world, failed, of="Deployment")
        told = said(world.observe())
        assert (told["status"], told["reason"]) == ("False", reason)
        assert message in told["message"]


def test_tokens_that_are_lost_for_cpu_are_a_warning_and_the_way_back_is_none() -> None:
    world = looked_at()
    tokens = status(world.observe(), Outcome())
    cpu = status(replace(world.observe(), scaling=ScalingView("Absent")), Outcome())
    assert [(e.type, e.reason) for e in events(tokens, cpu)] == [("Warning", "CPU")]
    assert [(e.type, e.reason) for e in events(cpu, tokens)] == [("Normal", "InflightTokens")]
    assert events(tokens, tokens) == []
