"""Which scaler a fleet gets: a table of what the cluster has, no flapping, and never two at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_operator.api.autoscaling import Autoscaling
from search_operator.decide.plan import plan
from search_operator.decide.scaling import SCALER_KINDS, Choice, choose, in_the_way, scaler_awaited
from search_operator.decide.schedule import rfc3339
from search_operator.decide.status import status
from search_operator.decide.steps import ApplyObject, DeleteObject, NameTaken, Outcome
from search_operator.observe.observation import MetricsApi, ScalingView
from search_operator.observe.scaling import (
    BELIEVED_AFTER_SECONDS,
    is_our_api_service,
    registered,
    serves_tokens,
    settled,
)
from search_operator.render.scaler import HPA, SCALED_OBJECT, Scaler, behaviour

from tests.unit.operator_core.builders import INSTALLATION, Object, condition
from tests.unit.operator_core.world import World

OURS = ScalingView("Ours", knows_metric=True)
KNOWN = ScalingView("Theirs", knows_metric=True, owner="monitoring/prometheus-adapter")
UNKNOWN = ScalingView("Theirs", owner="monitoring/prometheus-adapter")
ABSENT = ScalingView("Absent")
SILENT = ScalingView("Unavailable", why="monitoring/prometheus-adapter: no endpoints")
PROMETHEUS = "http://prometheus.monitoring.svc:9090"


def with_keda(view: ScalingView) -> ScalingView:
    return replace(view, keda=True)


def scaling(mode: str = "auto", **fields: Any) -> Autoscaling:
    return Autoscaling.model_validate({"mode": mode, **fields})


# --- the choice ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "prometheus", "view", "present", "chosen", "words"),
    [
        ("auto", False, OURS, None, "InflightTokens", ""),
        ("hpa", False, OURS, None, "InflightTokens", ""),
        ("auto", False, KNOWN, None, "InflightTokens", ""),
        ("auto", True, with_keda(KNOWN), "KEDA", "InflightTokens", ""),
        (
            "auto",
            False,
            UNKNOWN,
            "InflightTokens",
            "CPU",
            "monitoring/prometheus-adapter, which has no pods/enc",
        ),
        (
            "auto",
            False,
            with_keda(UNKNOWN),
            None,
            "CPU",
            "add a rule for it there (docs/autoscaling.md), or write mode",
        ),
        ("auto", True, with_keda(UNKNOWN), None, "KEDA", "which has no pods/encoder_inflight_tokens"),
        ("auto", True, UNKNOWN, None, "CPU", "which has no pods/encoder_inflight_tokens"),
        ("hpa", False, with_keda(ABSENT), None, "CPU", "nobody serves custom.metrics.k8s.io"),
        ("auto", False, ABSENT, "InflightTokens", "CPU", "nobody serves custom.metrics.k8s.io"),
        (
            "auto",
            False,
            ScalingView("Absent", why="apiservices is forbidden"),
            None,
            "CPU",
            "nor does the operator: apiservices is forbidden; see whether the operator may serve it",
        ),
        ("auto", True, with_keda(ABSENT), "InflightTokens", "KEDA", "nobody serves"),
        ("auto", False, SILENT, "InflightTokens", "InflightTokens", "what scales stays as it was"),
        (
            "auto",
            False,
            SILENT,
            "CPU",
            "CPU",
            "does not answer (monitoring/prometheus-adapter: no endpoints)",
        ),
        ("auto", True, with_keda(SILENT), "CPU", "CPU", "what scales stays"),
        ("auto", True, with_keda(SILENT), "KEDA", "KEDA", "what scales stays"),
        ("auto", True, SILENT, "KEDA", "CPU", "does not answer"),
        ("hpa", False, with_keda(SILENT), "KEDA", "CPU", "does not answer"),
        ("auto", False, SILENT, None, "CPU", "does not answer"),
        ("keda", False, with_keda(OURS), None, "KEDA", ""),
        ("keda", True, with_keda(ABSENT), "CPU", "KEDA", ""),
        # Its ScaledObject is there: that nobody could be asked of KEDA means nothing.
        ("keda", False, SILENT, "KEDA", "KEDA", ""),
        ("keda", False, OURS, None, "InflightTokens", "install KEDA, or write mode: auto"),
        (
            "keda",
            False,
            ABSENT,
            None,
            "CPU",
            "serves no ScaledObject; install KEDA, or write mode: auto; nobody",
        ),
    ],
)
def test_table(
    mode: str, prometheus: bool, view: ScalingView, present: Scaler | None, chosen: Scaler, words: str
) -> None:
    found = choose(scaling(mode, **({"prometheusAddress": PROMETHEUS} if prometheus else {})), view, present)
    assert found.scaler == chosen
    assert words in found.why
    assert bool(words) == bool(found.why)


VIEWS = st.builds(
    ScalingView,
    metrics_api=st.sampled_from(["Ours", "Theirs", "Absent", "Unavailable"]),
    knows_metric=st.booleans(),
    keda=st.booleans(),
)
MODES = st.sampled_from(["auto", "hpa", "keda"])
ADDRESSES = st.sampled_from([None, PROMETHEUS])


@given(MODES, ADDRESSES, VIEWS, st.sampled_from([None, "InflightTokens", "CPU", "KEDA"]))
def test_a_choice_stands_as_long_as_nothing_changes(
    mode: str, address: str | None, view: ScalingView, present: Scaler | None
) -> None:
    spec = scaling(mode, prometheusAddress=address)
    first = choose(spec, view, present)
    assert choose(spec, view, first.scaler).scaler == first.scaler


@given(MODES, ADDRESSES, VIEWS, st.integers(1, 5))
def test_an_outage_of_the_metrics_api_changes_nothing(
    mode: str, address: str | None, before: ScalingView, looks: int
) -> None:
    spec = scaling(mode, prometheusAddress=address)
    chosen = choose(spec, before, None).scaler
    present = chosen
    for _ in range(looks):
        present = choose(spec, replace(before, metrics_api="Unavailable"), present).scaler
        assert present == chosen
    assert choose(spec, before, present).scaler == chosen


@given(st.lists(st.tuples(VIEWS, st.integers(20, 400)), max_size=30))
def test_it_changes_no_more_often_than_what_is_believed(looks: list[tuple[ScalingView, int]]) -> None:
    """Tokens that come and go within five minutes are tokens throughout, from the first time that they are there."""
    present: Scaler | None = None
    had: int | None = None
    now = 0
    for seen, later in looks:
        now += later
        view = settled(seen, None if had is None else now - had)
        if serves_tokens(seen):
            had = now
        before, present = present, choose(scaling("hpa"), view, present).scaler
        if before == "InflightTokens" and present == "CPU":
            assert had is not None
            assert now - had >= BELIEVED_AFTER_SECONDS


@pytest.mark.parametrize(
    ("seen", "ago", "believed"),
    [
        (ABSENT, None, "Absent"),
        (ABSENT, 60, "Unavailable"),
        (ABSENT, 300, "Absent"),
        (UNKNOWN, 299, "Unavailable"),
        (UNKNOWN, 301, "Theirs"),
        (KNOWN, 60, "Theirs"),
        (OURS, 60, "Ours"),
        (SILENT, 900, "Unavailable"),
    ],
)
def test_what_is_believed(seen: ScalingView, ago: float | None, believed: MetricsApi) -> None:
    assert settled(seen, ago).metrics_api == believed


# --- whose the metrics API is -------------------------------------------------------------------------------------


def api_service(*, ours: bool, available: str = "True", made: str = "2026-11-01T00:00:00Z") -> Object:
    label = {"app.kubernetes.io/managed-by": "semantic-search-operator"} if ours else {}
    name = "semantic-search-operator-metrics" if ours else "prometheus-adapter"
    told = {"type": "Available", "status": available, "reason": "X", "message": "no endpoints"}
    return {
        "metadata": {"labels": label, "creationTimestamp": made},
        "spec": {"service": {"namespace": "monitoring", "name": name}},
        "status": {"conditions": [told] if available else []},
    }


def test_whose_the_metrics_api_is() -> None:
    assert registered(api_service(ours=True)).metrics_api == "Ours"
    theirs = registered(api_service(ours=False))
    assert (theirs.metrics_api, theirs.owner) == ("Theirs", "monitoring/prometheus-adapter")
    for whose in (True, False):
        down = registered(api_service(ours=whose, available="False"))
        assert down.metrics_api == "Unavailable"
        assert "no endpoints" in down.why
    # A label that was copied makes nothing ours.
    copied = api_service(ours=True)
    copied["spec"]["service"]["name"] = "prometheus-adapter"
    assert not is_our_api_service(copied)
    assert registered({"metadata": {}, "spec": {}}).owner == "the API server itself"


def test_ours_is_about_to_serve_when_it_was_just_made() -> None:
    now = datetime.now(UTC).isoformat()
    assert registered(api_service(ours=True, available="False", made=now)).metrics_api == "Ours"
    assert registered(api_service(ours=False, available="False", made=now)).metrics_api == "Unavailable"


# --- what is rendered ---------------------------------------------------------------------------------------------


def settled_world(view: ScalingView = OURS, **autoscaling: Any) -> World:
    """An index at rest, of two to six encoders."""
    world = World(scaling=view)
    world.set_spec(encoder={"autoscaling": {"minReplicas": 2, "maxReplicas": 6, **autoscaling}})
    world.settle()
    return world


def scalers(world: World) -> list[tuple[str, str]]:
    return sorted(key for key in world.children if key[0] in SCALER_KINDS)


def the_scaler(world: World) -> Object:
    (key,) = scalers(world)
    return world.children[key]


def test_tokens_are_aimed_at_by_pod_and_cpu_where_they_can_not_be_had() -> None:
    spec = the_scaler(settled_world(targetInflightTokens=900))["spec"]
    metric = {"name": "encoder_inflight_tokens"}
    target = {"type": "AverageValue", "averageValue": "900"}
    assert spec["metrics"] == [{"type": "Pods", "pods": {"metric": metric, "target": target}}]
    (by_cpu,) = the_scaler(settled_world(ABSENT))["spec"]["metrics"]
    assert by_cpu["resource"]["name"] == "cpu"


def test_behaviour_is_what_the_spec_says() -> None:
    assert behaviour(scaling()) == {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 30}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
        },
    }
    own: dict[str, Any] = {
        "scaleUp": {"pods": 12, "period": "1s"},
        "scaleDown": {"stabilizationWindow": "1h", "pods": 2, "period": "30m"},
    }
    found = behaviour(scaling(**own))
    assert found["scaleUp"]["policies"] == [{"type": "Pods", "value": 12, "periodSeconds": 1}]
    assert found["scaleDown"] == {
        "stabilizationWindowSeconds": 3600,
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 1800}],
    }
    keda = the_scaler(settled_world(with_keda(OURS), mode="keda", **own))["spec"]
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == found
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (2, 6)


def test_keda_never_takes_a_missing_series_for_an_idle_fleet() -> None:
    alone = the_scaler(settled_world(with_keda(ABSENT), mode="keda"))
    name = alone["metadata"]["name"]
    (trigger,) = alone["spec"]["triggers"]
    assert trigger["metadata"]["url"] == f"http://{name}.search.svc:8080/metrics"
    # In a sum, an encoder that can't be read would count as idle.
    assert (trigger["metricType"], trigger["metadata"]["aggregationType"]) == ("Value", "average")
    asking = the_scaler(settled_world(with_keda(ABSENT), mode="keda", prometheusAddress=PROMETHEUS))
    (trigger,) = asking["spec"]["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert trigger["metadata"]["query"] == (
        f'avg(encoder_inflight_tokens{{namespace="search",pod=~"{name}-.+"}})'
    )
    for found in (alone, asking):
        fallback = found["spec"]["fallback"]
        assert (fallback["behavior"], fallback["replicas"]) == ("currentReplicasIfHigher", 2)
        assert all(isinstance(value, str) for value in found["spec"]["triggers"][0]["metadata"].values())


def test_the_number_of_encoders_is_in_no_wish_of_ours() -> None:
    for view, mode in ((OURS, "auto"), (ABSENT, "hpa"), (with_keda(OURS), "keda")):
        world = settled_world(view, mode=mode)
        name = the_scaler(world)["metadata"]["name"]
        world.children["Deployment", name]["spec"]["replicas"] = 5
        assert world.reconcile().steps == ()
        assert world.children["Deployment", name]["spec"]["replicas"] == 5


# --- from one to another ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "then"), [("auto", "keda"), ("keda", "hpa")])
def test_the_old_scaler_is_gone_before_the_new_one_comes(first: str, then: str) -> None:
    world = settled_world(with_keda(OURS), mode=first)
    (old,) = scalers(world)
    world.children["Deployment", old[1]]["spec"]["replicas"] = 5
    world.set_spec(encoder={"autoscaling": {"mode": then}})
    steps = world.reconcile().steps
    assert [(s.kind, s.name) for s in steps if isinstance(s, DeleteObject)] == [old]
    assert not any(isinstance(s, ApplyObject) and s.body["kind"] in SCALER_KINDS for s in steps)
    told = condition(world.body["status"], "Autoscaling")
    assert (told["status"], told["reason"]) == ("Unknown", "Changing")
    world.tick()
    (made,) = world.reconcile().steps
    assert isinstance(made, ApplyObject)
    assert {made.body["kind"], old[0]} == SCALER_KINDS
    # Neither its minimum nor another number comes in between.
    assert world.children["Deployment", old[1]]["spec"]["replicas"] == 5
    world.settle()
    assert [name for _, name in scalers(world)] == [old[1]]


def test_an_hpa_waits_for_keda_to_let_go() -> None:
    """Its finalizer holds the ScaledObject while KEDA is away, and its HPA outlives that for a moment."""
    world = settled_world(with_keda(OURS), mode="keda")
    (old,) = scalers(world)
    world.children[old]["metadata"]["deletionTimestamp"] = rfc3339(world.now)
    world.set_spec(encoder={"autoscaling": {"mode": "hpa"}})
    # KEDA is let in no more.
    (policy,) = world.reconcile().steps
    assert isinstance(policy, ApplyObject)
    assert policy.target == "NetworkPolicy/products-encoder"
    assert world.reconcile().steps == ()
    assert in_the_way(world.observe(), old[1]) == old
    assert scaler_awaited(world.observe())
    assert not scaler_awaited(replace(world.observe(), now=world.now + timedelta(minutes=1)))
    theirs = (HPA, f"keda-hpa-{old[1]}")
    world.children[theirs] = {
        **world.children.pop(old),
        "kind": HPA,
        "metadata": {"name": theirs[1], "uid": "k", "ownerReferences": [{"uid": "s", "controller": True}]},
    }
    assert world.reconcile().steps == ()
    del world.children[theirs]
    (made,) = world.reconcile().steps
    assert isinstance(made, ApplyObject)
    assert made.body["kind"] == HPA


def test_from_tokens_to_cpu_the_hpa_stays_the_same_object() -> None:
    world = settled_world(OURS)
    (key,) = scalers(world)
    uid = world.children[key]["metadata"]["uid"]
    world.scaling = UNKNOWN
    (changed,) = world.reconcile().steps
    assert isinstance(changed, ApplyObject)
    assert world.children[key]["metadata"]["uid"] == uid
    # Metrics are in every apply: without, the API server would make it 80 % CPU.
    assert changed.body["spec"]["metrics"]
    assert world.body["status"]["encoder"]["scaler"] == "HPA (cpu, target 70 %)"
    world.scaling = SILENT
    assert world.reconcile().steps == ()


def test_a_stale_scaler_of_ours_goes_and_another_s_stays() -> None:
    world = settled_world(OURS)
    (key,) = scalers(world)
    stale = (SCALED_OBJECT, "products-encoder-00000000")
    foreign = (SCALED_OBJECT, "mine")
    for name in (stale, foreign):
        world.children[name] = {
            **world.children[key],
            "kind": name[0],
            "metadata": {**world.children[key]["metadata"], "name": name[1]},
        }
    world.children[foreign]["metadata"] = {"name": "mine", "uid": "m"}
    (gone,) = world.reconcile().steps
    assert isinstance(gone, DeleteObject)
    assert (gone.kind, gone.name) == stale


def test_a_scaler_of_somebody_else_s_with_our_name_is_told_and_left() -> None:
    world = settled_world(OURS)
    (key,) = scalers(world)
    world.children[key]["metadata"]["ownerReferences"] = []
    observation = world.observe()
    (step,) = plan(observation, INSTALLATION).steps
    assert isinstance(step, NameTaken)
    told = condition(status(observation, Outcome()), "Autoscaling")
    assert (told["status"], told["reason"]) == ("False", "TwoScalers")


def test_the_choice_is_the_same_for_every_fleet_of_an_index() -> None:
    assert choose(scaling(), OURS, None) == choose(scaling(), OURS, "CPU") == Choice("InflightTokens")
