"""Any history of releases, whatever fails on the way, breaks no promise to queries and ends as the spec asks."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.operator_core.histories import (
    EVENTFUL,
    EVERYTHING,
    THOROUGHLY,
    Action,
    at_rest,
    heal_spec,
    live_through,
    with_room,
)
from tests.unit.operator_core.world import World


def ends_well(world: World) -> None:
    """After healing: what the spec asks for, unless pinned or failed; then also that; then nothing but that."""
    heal_spec(world)
    world.settle()
    at_rest(world)
    world.set_spec(rollout={"rollbackTo": None})
    world.tick(61)
    world.ask(world.now - timedelta(seconds=1))
    world.settle()
    at_rest(world)
    assert world.body["status"]["releases"][0]["role"] == "Active"
    assert {c["type"]: c["status"] for c in world.body["status"]["conditions"]}["Stalled"] == "False"
    world.set_spec(refresh={"mode": "Incremental"})
    world.tick(31 * 24 * 3600)
    world.settle()
    at_rest(world)
    assert [release["role"] for release in world.body["status"]["releases"]] == ["Active"]


@THOROUGHLY
@given(EVENTFUL)
def test_every_history_of_releases_ends_with_what_the_spec_asks_for(history: list[Action]) -> None:
    world = with_room()
    world.settle()
    live_through(world, history)
    ends_well(world)


@THOROUGHLY
@given(EVENTFUL)
def test_so_does_every_history_of_an_index_that_was_switched_already(history: list[Action]) -> None:
    world = with_room()
    world.set_spec(search={"replicas": 2})
    world.settle()
    world.set_spec(encoder={"precision": "fp16"})
    world.settle()
    live_through(world, history)
    ends_well(world)


@THOROUGHLY
@given(EVENTFUL)
def test_so_does_every_history_that_begins_in_the_middle_of_a_switch(history: list[Action]) -> None:
    world = with_room()
    world.set_spec(search={"replicas": 3})
    world.settle()
    world.set_spec(encoder={"precision": "fp16"})
    world.settle()
    world.set_spec(vectorStore={"milvus": {"index": {"m": 32}}})
    for _ in range(20):
        world.reconcile()
        if (
            world.children["ConfigMap", "products-active"]["data"]["next.json"]
            != world.children["ConfigMap", "products-active"]["data"]["release.json"]
        ):
            break
        world.progress()
    live_through(world, history)
    ends_well(world)


@THOROUGHLY
@given(EVENTFUL)
def test_so_does_every_history_from_before_the_first_release(history: list[Action]) -> None:
    world = with_room()
    live_through(world, history)
    ends_well(world)


@settings(THOROUGHLY, max_examples=10)
@given(st.lists(st.sampled_from(sorted(EVERYTHING)), max_size=30), st.integers(0, 30))
def test_a_deleted_index_leaves_nothing_whatever_was_on_its_way(names: list[str], number: int) -> None:
    world = with_room()
    world.settle()
    live_through(world, [(name, number) for name in names])
    world.set_spec(deletionPolicy="Delete")
    world.delete_index()
    world.settle()
    assert world.gone
    assert (world.collections, world.milvus.alias) == ({}, "")
