"""The policy beside the pointer: applied at once, completed where an older operator wrote none, and never a switch."""

import dataclasses
import json
from typing import Any

import pytest
from search_operator.decide.plan import plan
from search_operator.decide.rollout import rollout
from search_operator.decide.searching import policy_awaited
from search_operator.decide.status import status
from search_operator.decide.steps import ApplyObject, NudgeGateway, Outcome
from search_operator.observe.observation import GatewayView
from search_operator.render.gateway import pointer_revision
from search_operator.render.policy import policy_of
from search_plane.release.policy import POLICY_KEY, SearchPolicy

from tests.unit.operator_core.builders import INSTALLATION, condition, index, kinds
from tests.unit.operator_core.simulated_index import fresh_index
from tests.unit.operator_core.world import POINTER, World

DIGEST = "c" * 64
WEIGHTS = {"bakedIn": {}, "sha256": DIGEST}


def settled(**spec: Any) -> World:
    """An index at rest with three gateways."""
    world = World(body=fresh_index(search={"replicas": 3, "synonyms": []}, **spec))
    world.settle()
    return world


def held(world: World) -> set[str]:
    """The policies that gateways answer by."""
    return {gateway.policy.revision() for gateway in world.gateways.values()}


def test_by_default_it_is_the_gateways_own_default() -> None:
    """So that a gateway which has read no policy yet answers as it will."""
    assert policy_of(index("production")) == SearchPolicy()


def test_every_part_of_the_spec_reaches_it() -> None:
    search = {
        "hybrid": {"mode": "semantic", "semanticWeight": "0.7", "keywordWeight": "0.2"},
        "synonyms": ["便宜, 实惠 ", "耳麦 => 耳机"],
        "breaker": {"latency": "1s50ms", "window": "1m"},
        "reranker": {"enabled": True, "weights": WEIGHTS, "candidates": 50, "results": 20, "timeout": "80ms"},
        "experiment": {"enabled": True, "name": "spring", "arms": [{"mode": "keyword", "share": "1"}]},
    }
    told = policy_of(index(search=search))
    assert (told.fusion.mode, told.fusion.semantic_weight, told.fusion.keyword_weight) == (
        "semantic",
        0.7,
        0.2,
    )
    assert told.synonyms == ("便宜, 实惠", "耳麦 => 耳机")
    assert (told.breaker.latency_ms, told.breaker.window_seconds) == (1050.0, 60.0)
    assert told.reranker is not None
    assert told.reranker.url == "http://products-reranker.search.svc:80"
    assert (told.reranker.candidates, told.reranker.results, told.reranker.timeout_ms) == (50, 20, 80.0)
    assert told.experiment is not None
    assert (told.experiment.name, told.experiment.arms) == ("spring", (("keyword", 1.0),))


@pytest.mark.parametrize(
    ("experiment", "arms"),
    [
        ({"enabled": True}, (("fused", 0.5), ("keyword", 0.5))),
        ({"enabled": True, "semanticShare": "0.1"}, (("semantic", 0.1), ("keyword", 0.9))),
        ({"enabled": False, "semanticShare": "0.1"}, None),
    ],
)
def test_the_shares_of_an_experiment(experiment: dict[str, Any], arms: Any) -> None:
    told = policy_of(index(search={"experiment": experiment})).experiment
    assert (told.arms if told else None) == arms


def test_a_re_ranker_that_is_off_is_none() -> None:
    reranker = {"enabled": False, "weights": WEIGHTS}
    assert policy_of(index(search={"reranker": reranker})).reranker is None


def test_a_change_is_one_write_and_a_word_to_each_gateway() -> None:
    world = settled()
    book, before = world.book, held(world)
    world.set_spec(search={"synonyms": ["便宜, 实惠"]})
    (written,) = world.reconcile().steps
    assert isinstance(written, ApplyObject)
    assert written.target == "ConfigMap/products-active"
    told = world.reconcile().steps
    assert kinds(told) == ["NudgeGateway"] * 3
    revision = pointer_revision(world.children[POINTER])
    assert {step.revision for step in told if isinstance(step, NudgeGateway)} == {revision}
    assert held(world) == before
    assert policy_awaited(world.observe())
    world.tick(1)
    assert held(world) == {policy_of(world.index).revision()}
    assert world.reconcile().steps == ()
    assert not policy_awaited(world.observe())
    # Neither a candidate nor a switch came of it, nor a new time of one.
    assert world.book == book
    assert rollout(world.observe()).candidate is None


def test_the_status_counts_the_gateways_that_hold_it() -> None:
    world = settled()
    world.set_spec(search={"hybrid": {"semanticWeight": "0.9"}})
    world.reconcile()
    revision = policy_of(world.index).revision()
    said = world.body["status"]
    told = {"policy": revision, "gateways": 3, "onPolicy": 0, "refused": 0, "degraded": False, "breakers": []}
    assert said["search"] == told
    ready = condition(said, "SearchReady")
    assert (ready["status"], ready["reason"]) == ("True", "Serving")
    assert f"policy {revision} is held by 0 of 3 gateways" in ready["message"]
    assert condition(said, "Ready")["status"] == "True"
    world.settle()
    assert world.body["status"]["search"]["onPolicy"] == 3
    assert "policy" not in condition(world.body["status"], "SearchReady")["message"]


def test_a_pointer_of_an_older_operator_is_completed_and_nothing_else_happens() -> None:
    world = settled(encoder={"autoscaling": {"minReplicas": 1, "maxReplicas": 4}})
    book = world.book
    del world.children[POINTER]["data"][POLICY_KEY]
    world.children[POINTER]["metadata"]["annotations"] = {}
    (written,) = world.reconcile().steps
    assert isinstance(written, ApplyObject)
    assert written.body["data"][POLICY_KEY] == SearchPolicy().to_json()
    assert world.reconcile().steps == (), "gateways that hold the default already need no word"
    assert world.book == book


def test_a_gateway_that_knows_of_no_policy_is_left_alone() -> None:
    world = settled()
    world.set_spec(search={"synonyms": ["a, b"]})
    world.reconcile()
    observation = world.observe()
    old = tuple(
        GatewayView(g.pod, g.ready, g.nudged, g.state.model_copy(update={"policy": ""}) if g.state else None)
        for g in observation.gateways
    )
    older = dataclasses.replace(observation, gateways=old)
    assert plan(older, INSTALLATION).steps == ()
    assert not policy_awaited(older)


def test_a_policy_that_changes_amidst_a_switch_holds_nothing_up() -> None:
    world = settled(encoder={"autoscaling": {"minReplicas": 1, "maxReplicas": 4}})
    first = world.book.active
    world.set_spec(vectorStore={"milvus": {"index": {"m": 32}}})
    for _ in range(60):
        world.reconcile()
        now = rollout(world.observe())
        if now.announced:
            break
        world.progress()
    assert now.announced, "the switch never began"
    world.set_spec(search={"synonyms": ["a, b"], "breaker": {"latency": "300ms"}})
    world.settle()
    assert world.book.active is not None
    assert first is not None
    assert world.book.active.release != first.release
    assert held(world) == {policy_of(world.index).revision()}


def test_while_paused_gateways_keep_what_they_have() -> None:
    world = settled()
    before = held(world)
    world.set_spec(paused=True, search={"synonyms": ["a, b"]})
    assert world.reconcile().steps == ()
    assert not policy_awaited(world.observe())
    world.settle()
    assert held(world) != before


def test_why_a_policy_is_refused_is_told_and_the_index_stays_ready() -> None:
    world = settled()
    observation = world.observe()
    why = "is no search policy: breaker.sort: Extra inputs are not permitted"
    first, second, third = observation.gateways

    def refusing(gateway: GatewayView, policy: str, why: str) -> GatewayView:
        assert gateway.state is not None
        said = {"policy": policy, "waiting_for": {"policy.json": why, "milvus": "does not answer"}}
        return dataclasses.replace(gateway, state=gateway.state.model_copy(update=said))

    present = policy_of(world.index).revision()
    gateways = (refusing(first, "older", why), refusing(second, "older", why), third)
    said = status(dataclasses.replace(observation, gateways=gateways), Outcome())
    assert (said["search"]["onPolicy"], said["search"]["refused"]) == (1, 2)
    assert said["search"]["refusedBecause"] == why
    ready = condition(said, "SearchReady")
    assert (ready["status"], ready["reason"]) == ("True", "PolicyRefused")
    assert f"policy {present} is refused by 2 of 3 gateways" in ready["message"]
    assert f"policy.json {why}" in ready["message"]
    assert "Extra" not in json.dumps(said["conditions"]).replace(ready["message"], "")
    assert condition(said, "Ready")["status"] == "True"

    longest = status(
        dataclasses.replace(observation, gateways=(refusing(first, "older", "x" * 9000),)), Outcome()
    )
    assert len(longest["search"]["refusedBecause"]) == 300
    # One that holds the present policy refuses nothing.
    said = status(
        dataclasses.replace(observation, gateways=(refusing(first, present, why), second, third)), Outcome()
    )
    assert (said["search"]["refused"], "refusedBecause" in said["search"]) == (0, False)
    assert condition(said, "SearchReady")["reason"] == "Serving"


def test_open_breakers_are_told_and_the_index_stays_ready() -> None:
    world = settled()
    observation = world.observe()
    open_here = {"milvus": "open", "encoder": "closed", "semantic": "half-open"}
    first, *others = observation.gateways
    assert first.state is not None
    state = first.state.model_copy(update={"breakers": open_here})
    seen = dataclasses.replace(
        observation, gateways=(GatewayView(first.pod, True, first.nudged, state), *others)
    )
    said = status(seen, Outcome())
    assert said["search"]["degraded"] is True
    assert said["search"]["breakers"] == [{"name": "milvus", "open": 1}, {"name": "semantic", "open": 1}]
    ready = condition(said, "SearchReady")
    assert (ready["status"], ready["reason"]) == ("True", "Degraded")
    assert "milvus is left out by 1 of 3 gateways" in ready["message"]
    assert condition(said, "Ready")["status"] == "True"
