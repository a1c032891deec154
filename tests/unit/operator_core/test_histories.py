"""Any history of an index ends where it should, and breaks no promise on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_operator.decide.plan import plan
from search_operator.decide.steps import FINALIZER, KeepLedger

from tests.unit.operator_core.builders import INSTALLATION, Object, condition, kinds, kstatus
from tests.unit.operator_core.histories import (
    ACTIONS,
    LIVELY,
    THOROUGHLY,
    Action,
    at_rest,
    live_through,
)
from tests.unit.operator_core.simulated_index import fresh_index
from tests.unit.operator_core.simulated_milvus import AWAY
from tests.unit.operator_core.world import World


def test_an_index_becomes_active_by_itself() -> None:
    world = World()
    passes = world.settle()
    at_rest(world)
    assert passes < 14
    assert world.body["metadata"]["finalizers"] == [FINALIZER]
    assert condition(world.body["status"], "Ready")["message"].endswith(
        "serves 2,000 products from 1 encoder"
    )


def without_money(status: Object) -> Object:
    """A status without the amounts that follow the ledger, and without the next refresh."""
    conditions = [{**c, "message": ""} if c["type"] == "WithinBudget" else c for c in status["conditions"]]
    summary = {key: value for key, value in status["summary"].items() if key != "monthCost"}
    rest = {key: value for key, value in status.items() if key not in ("refresh", "cost")}
    return {**rest, "conditions": conditions, "summary": summary}


@THOROUGHLY
@given(LIVELY)
def test_every_history_of_an_index_ends_active_and_at_rest(history: list[Action]) -> None:
    world = World()
    live_through(world, history)
    world.settle()
    at_rest(world)
    world.tick(3000)
    world.reconcile()
    world.tick(540)
    before = world.body["status"]
    # All that time alone brings is the hourly line of the ledger, and what it says of the cost.
    assert all(isinstance(step, KeepLedger) for step in world.reconcile().steps)
    assert without_money(world.body["status"]) == without_money(before)


@THOROUGHLY
@given(LIVELY)
def test_every_history_from_an_active_index_ends_active_and_at_rest(history: list[Action]) -> None:
    world = World()
    world.settle()
    live_through(world, history)
    world.settle()
    at_rest(world)


@THOROUGHLY
@given(LIVELY, LIVELY, st.sampled_from(["Delete", "Retain"]), st.booleans())
def test_deletion_at_any_moment_leaves_what_was_asked_for(
    before: list[Action], after: list[Action], policy: str, from_active: bool
) -> None:
    world = World(body=fresh_index(deletionPolicy=policy))
    if from_active:
        world.settle()
    live_through(world, before)
    world.delete_index()
    had = set(world.collections)
    live_through(world, [step for step in after if step[0] != "collections dropped"])
    world.settle()
    assert world.gone
    assert world.children == {}
    if policy == "Retain":
        assert set(world.collections) == had
    else:
        assert world.milvus.alias == ""
        assert world.collections == {}


@THOROUGHLY
@given(LIVELY)
def test_a_paused_index_is_left_alone(history: list[Action]) -> None:
    world = World(body=fresh_index(paused=True))
    for name, number in history:
        if name != "unpaused":
            ACTIONS[name](world, number)
            assert set(kinds(world.last_steps)) <= {"AddFinalizer"}
    assert world.children == {}


@THOROUGHLY
@given(LIVELY, st.sampled_from([None, "fp16"]))
def test_retained_data_is_taken_over_by_the_next_index_of_that_name(
    history: list[Action], precision: str | None
) -> None:
    """It is caught up by a build before it serves; data of another release stays: somebody asked for that."""
    first = World(body=fresh_index(deletionPolicy="Retain"))
    first.settle()
    first.delete_index()
    first.settle()
    body = fresh_index(encoder={"precision": precision} if precision else {})
    body["metadata"]["uid"] = "another"
    for kept in first.collections.values():
        kept.filled = kept.caught_up = kept.was_active = kept.encoder_seen = False
    retained = frozenset(first.collections)
    second = World(body=body, milvus=first.milvus, documents=2100)
    live_through(second, history)
    second.settle()
    at_rest(second, kept=retained & frozenset(second.collections))
    if precision and ("collections dropped" not in {name for name, _ in history}):
        assert retained <= frozenset(second.collections)


def test_a_candidate_that_a_newer_spec_replaces_leaves_nothing() -> None:
    world = World()
    for _ in range(4):
        world.reconcile()
        world.ready_pods("encoder")
    abandoned = set(world.collections)
    assert abandoned
    world.set_spec(encoder={"precision": "fp16"})
    world.settle()
    at_rest(world)
    assert not abandoned & set(world.collections)
    assert [release["role"] for release in world.body["status"]["releases"]] == ["Active"]


@pytest.mark.parametrize("working", ["build", "catchup"])
def test_a_candidate_that_somebody_loaded_otherwise_is_loaded_anew_before_it_is_verified(
    working: str,
) -> None:
    world = World()
    while not any(kind == "Job" and f"-{working}-" in name for kind, name in world.children):
        world.reconcile()
        world.ready_pods("encoder")
        world.load()
        world.work()
    world.milvus.reload_by_hand()
    world.settle()
    at_rest(world)


@pytest.mark.parametrize("refused", ["ApplyObject", "DropAlias", "DeleteObject"])
def test_no_collection_is_made_while_what_leads_to_the_old_one_can_not_be_cleared(refused: str) -> None:
    world = World()
    world.settle()
    world.drop_collections()
    for _ in range(6):
        world.failing = frozenset({refused})
        world.reconcile()
        assert world.collections == {}
        world.tick(11)
    world.settle()
    at_rest(world)


@pytest.mark.parametrize("store", ["milvus", "catalogue"])
def test_an_active_index_goes_on_serving_while_a_store_is_away(store: str) -> None:
    world = World()
    world.settle()
    target = world.pointed_at
    if store == "milvus":
        world.milvus.problem = AWAY
    else:
        world.catalogue_problem = AWAY
    for _ in range(5):
        assert world.reconcile().steps == ()
        world.tick(60)
    assert world.pointed_at == target
    assert condition(world.body["status"], "Ready")["status"] == "False"
    world.settle()
    at_rest(world)


def test_a_vanished_collection_is_believed_only_after_ten_seconds_of_answers_without_it() -> None:
    world = World()
    world.settle()
    kept = dict(world.collections)
    world.milvus.problem = AWAY
    for _ in range(20):
        world.reconcile()
        world.tick(60)
    # Milvus comes back and its metadata is not there yet: an hour of absence before says nothing about now.
    world.milvus.problem = None
    world.collections.clear()
    for _ in range(4):
        assert world.reconcile().steps == ()
        assert condition(world.body["status"], "VectorStoreReady")["reason"] == "CollectionGone"
        world.tick(2)
    world.collections.update(kept)
    world.settle(rounds=3)
    assert world.collections == kept
    world.collections.clear()
    world.reconcile()
    world.tick(11)
    assert "ApplyObject" in kinds(world.reconcile().steps)
    assert world.pointed_at == ""
    world.settle()
    at_rest(world)


def test_status_of_a_world_never_seen_holds_every_condition() -> None:
    world = World()
    world.reconcile(crash_after=None)
    assert kinds(world.last_steps)[:2] == ["AddFinalizer", "KeepLedger"]
    assert kstatus(world.body) == "InProgress"
    # What has been decided is durable before anything follows from it.
    assert world.body["status"]["phase"] == "Pending"
    world.reconcile()
    assert world.body["status"]["phase"] == "Provisioning"


def test_a_steady_index_says_the_same_tomorrow() -> None:
    world = World()
    world.settle()
    said = world.body["status"]
    world.tick(3000)
    assert world.reconcile().steps == ()
    assert world.body["status"] == said
    world.tick(3600)
    # The ledger and what it says, at most hourly; all else is as it was.
    assert kinds(world.reconcile().steps) == ["KeepLedger"]
    assert plan(world.observe(), INSTALLATION).steps == ()
    counted = ("cost", "conditions", "summary")
    assert {k: v for k, v in world.body["status"].items() if k not in counted} == {
        k: v for k, v in said.items() if k not in counted
    }
