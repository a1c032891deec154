"""Each trouble: its condition, its reason, the remedy in its message, and what kstatus makes of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from search_operator.decide.events import events
from search_operator.decide.plan import plan
from search_operator.decide.spending import accounted
from search_operator.decide.status import status
from search_operator.decide.steps import Failure, LoadCollection, Outcome
from search_operator.observe.observation import CatalogueView, MilvusView, Observation, Problem

from tests.unit.operator_core.builders import (
    INSTALLATION,
    START,
    collection,
    condition,
    index,
    kstatus,
    merged,
    pod,
    report,
    sample,
)
from tests.unit.operator_core.world import World

UNREACHABLE = Problem("Unreachable", "Milvus at http://m:19530 does not answer; check its pods", False)
MISSING = Problem("SecretMissing", "spec.x names Secret milvus, which is not in namespace search; create it")
EMPTY = Problem("CatalogueEmpty", "index products holds no document; load the catalogue")
TOO_FEW = Failure(
    LoadCollection("not loaded", collection(index()).name, 2, False),
    "NotEnoughQueryNodes",
    "Milvus has too few query nodes for 2 replicas; add query nodes, or lower spec.vectorStore.milvus.replicas",
    needs_a_person=True,
)
RELEASE = collection(index()).record.release


def seen(**changes: Any) -> Observation:
    """The first visit to an index for which everything answers."""
    changes.setdefault("milvus", MilvusView())
    return Observation(now=START, index=index(), catalogue=CatalogueView(documents=2000), **changes)


def building(**changes: Any) -> Observation:
    """An index whose build runs."""
    world = World()
    for _ in range(5):
        world.reconcile()
        world.ready_pods("encoder")
        world.load()
    return replace(world.observe(), **changes)


def told(observation: Observation, *failures: Failure) -> dict[str, Any]:
    """The status, and beside it the object that holds it."""
    return status(observation, Outcome(failures=failures))


CASES = [
    (
        replace(seen(), milvus=MilvusView(UNREACHABLE)),
        (),
        "VectorStoreReady",
        "Unreachable",
        "check its pods",
        False,
    ),
    (
        replace(seen(), secret_problem=MISSING, milvus=MilvusView(MISSING), catalogue=CatalogueView(MISSING)),
        (),
        "VectorStoreReady",
        "SecretMissing",
        "create it",
        True,
    ),
    (
        replace(seen(), secret_problem=MISSING, milvus=MilvusView(MISSING), catalogue=CatalogueView(MISSING)),
        (),
        "CatalogueReady",
        "SecretMissing",
        "create it",
        True,
    ),
    (
        replace(seen(), catalogue=CatalogueView(EMPTY, 0)),
        (),
        "CatalogueReady",
        "CatalogueEmpty",
        "load the catalogue",
        True,
    ),
    (seen(), (TOO_FEW,), "VectorStoreReady", "NotEnoughQueryNodes", "add query nodes", True),
    (
        replace(seen(), pods=(pod("encoder", unschedulable="0/3 nodes have nvidia.com/gpu", ready=False),)),
        (),
        "EncoderReady",
        "Unschedulable",
        "add nodes",
        False,
    ),
    (
        replace(
            seen(),
            pods=(
                pod(
                    "encoder",
                    waiting_reason="ImagePullBackOff",
                    waiting_message="no such image",
                    ready=False,
                ),
            ),
        ),
        (),
        "EncoderReady",
        "ImagePullBackOff",
        "check the image",
        True,
    ),
    (
        building(
            pods=(
                pod(
                    "build",
                    release=RELEASE,
                    waiting_reason="CrashLoopBackOff",
                    report=report(RELEASE, 0, "EmptyCatalogue", message="index products holds no document"),
                ),
            )
        ),
        (),
        "SearchReady",
        "EmptyCatalogue",
        "kubectl logs products-build-1",
        True,
    ),
    (
        building(
            pods=(
                pod(
                    "build",
                    release=RELEASE,
                    waiting_reason="CrashLoopBackOff",
                    report=report(RELEASE, 0, "EncoderUnavailable", message="no encoder answers"),
                ),
            )
        ),
        (),
        "SearchReady",
        "EncoderUnavailable",
        "no encoder answers",
        False,
    ),
    (
        building(pods=(pod("build", release=RELEASE, unschedulable="0/1 nodes", ready=False),)),
        (),
        "SearchReady",
        "Unschedulable",
        "add nodes",
        False,
    ),
]


@pytest.mark.parametrize(
    ("observation", "failures", "kind", "reason", "remedy", "stalls"),
    CASES,
    ids=[f"{c[2]}-{c[3]}" for c in CASES],
)
def test_each_trouble_is_told_with_its_remedy(
    observation: Observation,
    failures: tuple[Failure, ...],
    kind: str,
    reason: str,
    remedy: str,
    stalls: bool,
) -> None:
    said = told(observation, *failures)
    it = condition(said, kind)
    assert (it["status"], it["reason"]) == ("False", reason)
    assert remedy in it["message"]
    ready, stalled, busy = (condition(said, k) for k in ("Ready", "Stalled", "Reconciling"))
    assert ready["status"] == "False"
    assert stalled["status"] == str(stalls)
    assert busy["status"] == str(not stalls)
    if stalls:
        assert stalled["reason"] == reason
        assert remedy in ready["message"]
    body = sample() | {"status": said}
    assert kstatus(body) == ("Failed" if stalls else "InProgress")
    assert kstatus(merged(body, {"metadata": {"generation": 2}})) == "InProgress"


def active(**changes: Any) -> Observation:
    """An active index at rest."""
    world = World()
    world.settle()
    return replace(world.observe(), **changes)


def test_an_active_index_is_ready_and_current() -> None:
    observation = active()
    said = told(observation)
    assert kstatus(sample() | {"status": said}) == "Current"
    assert condition(said, "Ready")["message"] == f"release {RELEASE} serves 2,000 products from 1 encoder"
    assert said["summary"] == {
        "release": RELEASE,
        "progress": "Active",
        "rows": "2000",
        "encoders": "1/1",
        "monthCost": "211.15 USD",
    }
    assert said["refresh"]["next"] == "2026-11-22T19:00:00Z"
    assert plan(observation, INSTALLATION).steps == ()


def switching(**spec: Any) -> World:
    """An active index whose spec has just asked for another release, which is now a candidate."""
    world = World()
    world.settle()
    world.set_spec(**{"encoder": {"precision": "fp16"}, **spec})
    world.reconcile()
    world.reconcile()
    return world


def test_a_change_of_release_is_told_as_a_candidate_and_the_active_one_goes_on() -> None:
    world = switching()
    said = world.body["status"]
    active_release, candidate = said["releases"]
    assert (active_release["role"], candidate["role"], candidate["stage"]) == (
        "Active",
        "Candidate",
        "Provisioning",
    )
    assert said["activeRelease"] == RELEASE == active_release["name"] != candidate["name"]
    states = {c["type"]: (c["status"], c["reason"]) for c in said["conditions"]}
    assert states["Ready"] == ("True", "Serving")
    assert states["Reconciling"] == ("True", "Provisioning")
    assert states["Stalled"][0] == "False"
    assert states["Promotable"] == ("False", "GatesPending")
    assert kstatus(world.body) == "InProgress"
    assert said["summary"]["candidate"] == f"{candidate['name']} Provisioning"
    assert "the first encoder to be ready" in candidate["waitingFor"]
    away = told(replace(world.observe(), milvus=MilvusView(UNREACHABLE)))
    assert condition(away, "Ready")["status"] == "False"
    assert condition(away, "Reconciling")["status"] == "True"


def test_a_candidate_without_room_waits_for_a_person_while_the_active_one_is_ready() -> None:
    world = switching(encoder={"precision": "fp16", "autoscaling": {"minReplicas": 1, "maxReplicas": 1}})
    said = world.body["status"]
    states = {c["type"]: (c["status"], c["reason"]) for c in said["conditions"]}
    assert states["Ready"] == ("True", "Serving")
    assert states["Stalled"] == ("True", "InsufficientEncoders")
    assert "maxReplicas" in condition(said, "Stalled")["message"]
    assert kstatus(world.body) == "Failed"
    fleets = [n for k, n in world.children if k == "HorizontalPodAutoscaler"]
    assert len(fleets) == 1
    world.set_spec(encoder={"autoscaling": {"maxReplicas": 2}})
    world.settle()
    assert kstatus(world.body) == "Current"
    assert world.body["status"]["activeRelease"] != RELEASE


def test_a_lost_query_node_is_told_while_serving() -> None:
    observation = active()
    half = replace(observation.milvus, collections=(collection(observation.index, replicas=0),))
    said = told(replace(observation, milvus=half))
    assert condition(said, "VectorStoreReady")["reason"] == "ReplicaMissing"
    assert said["phase"] == "Degraded"
    assert plan(replace(observation, milvus=half), INSTALLATION).steps == ()


@pytest.mark.parametrize("schedule", ["0 0 30 2 *", "*/5 * * * *", "0 3 * * 7"])
def test_any_schedule_that_the_crd_admits_leaves_the_status_whole(schedule: str) -> None:
    observation = active()
    changed = index(status=observation.index.status, refresh={"schedule": schedule})
    said = told(replace(observation, index=changed))
    assert ("next" in said["refresh"]) == (schedule != "0 0 30 2 *")


@pytest.mark.parametrize(
    ("cost", "state", "reason", "words"),
    [
        (None, "Unknown", "NoPrices", "not given"),
        ({}, "True", "Clamped", "3065.28 of 5000.00 USD as it runs now, 0.00 of it spent; 11 of 12 encoders"),
        ({"monthlyCap": "6000"}, "True", "Projected", "3065.28 of 6000.00 USD"),
        ({"action": "Alert"}, "True", "Projected", "2026-12 comes to 3065.28"),
        ({"monthlyCap": "3000"}, "False", "AboveMinimum", "cross the cap of 3000.00 USD on 2026-12-31"),
        ({"prices": None, "pricesConfigMapRef": {"name": "prices"}}, "Unknown", "NotCounted", "yet"),
    ],
)
def test_budget(cost: Any, state: str, reason: str, words: str) -> None:
    december = datetime(2026, 11, 30, 16, tzinfo=UTC)
    observation = accounted(replace(seen(), now=december, index=index("production", cost=cost)))
    it = condition(told(observation), "WithinBudget")
    assert (it["status"], it["reason"]) == (state, reason)
    assert words in it["message"]


def test_events_come_only_with_news() -> None:
    observation = active()
    said = told(observation)
    assert events(said, said) == []
    away = told(replace(observation, milvus=MilvusView(UNREACHABLE)))
    found = events(said, away)
    assert {(e.type, e.reason) for e in found} == {("Warning", "Unreachable")}
    assert all("check its pods" in e.message for e in found)
    assert [e.type for e in events(away, said)] == ["Normal"] * len(found)
    first = events({}, told(seen()))
    assert [e.type for e in first if e.type == "Warning"] == []
    assert "Pending" in [e.reason for e in first]


def test_a_vanished_collection_warns() -> None:
    observation = active()
    said = told(observation)
    gone = told(replace(observation, milvus=MilvusView()))
    assert ("Warning", "CollectionGone") in {(e.type, e.reason) for e in events(said, gone)}


def test_a_blocked_deletion_says_how_to_leave_the_data_behind() -> None:
    world = World()
    world.settle()
    world.delete_index()
    world.milvus.problem = UNREACHABLE
    world.reconcile()
    it = condition(world.body["status"], "Stalled")
    assert (it["status"], it["reason"]) == ("True", "DeletionBlocked")
    assert "set spec.deletionPolicy to Retain" in it["message"]
    assert world.collections
    world.set_spec(deletionPolicy="Retain")
    world.reconcile()
    assert world.gone


def test_a_scale_up_without_nodes_is_told_but_takes_nothing_from_those_that_serve() -> None:
    world = World()
    world.settle()
    fleet = next(
        child for (kind, name), child in world.children.items() if kind == "Deployment" and "encoder" in name
    )
    fleet["spec"]["replicas"], fleet["status"] = 3, {"readyReplicas": 1}
    waiting = pod("encoder", unschedulable="0/3 nodes have nvidia.com/gpu", ready=False)
    said = status(replace(world.observe(), pods=(*world.observe().pods, waiting)), Outcome())
    ready, encoders = (condition(said, kind) for kind in ("Ready", "EncoderReady"))
    assert (ready["status"], encoders["status"]) == ("True", "True")
    assert encoders["message"].startswith("1 of 3 encoders are ready: ")
    assert "nvidia.com/gpu" in encoders["message"]
