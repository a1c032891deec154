"""Any history of an index ends where it should, and breaks no promise on the way."""

import os
from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from search_operator.decide.plan import plan
from search_operator.decide.release import Stage, situation
from search_operator.decide.steps import FINALIZER, Outcome

from tests.unit.operator_core.builders import INSTALLATION, condition, kinds, kstatus
from tests.unit.operator_core.world import AWAY, EMPTY, NO_CATALOGUE, POINTER, World, fresh_index

# How many histories each property is tried on; HISTORIES=1000 to try more and to shrink what fails.
HISTORIES_TRIED = int(os.environ.get("HISTORIES", "40"))
THOROUGHLY = settings(
    max_examples=HISTORIES_TRIED,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate) + ((Phase.shrink,) if HISTORIES_TRIED > 40 else ()),
)
Action = tuple[str, int]


def set_problem(name: str, value: object) -> Callable[[World, int], None]:
    """An action that makes a store go away or come back."""
    return lambda world, _: setattr(world, name, value)


ACTIONS: dict[str, Callable[[World, int], object]] = {
    "pass": lambda world, _: world.reconcile(),
    "crash": lambda world, n: world.reconcile(crash_after=n),
    "fail": lambda world, n: fail_next(world, n),
    "progress": lambda world, _: world.progress(),
    "encoders ready": lambda world, _: world.ready_pods("encoder"),
    "encoders lost": lambda world, _: world.ready_pods("encoder", 0),
    "gateways ready": lambda world, _: world.ready_pods("gateway"),
    "gateways lost": lambda world, _: world.ready_pods("gateway", 0),
    "load ends": lambda world, _: world.load(),
    "build ends": lambda world, _: world.build(),
    "refresh": lambda world, _: world.refresh(),
    "minutes pass": lambda world, n: world.tick(60 * n + 1),
    "milvus away": set_problem("milvus_problem", AWAY),
    "milvus back": set_problem("milvus_problem", None),
    "catalogue away": set_problem("catalogue_problem", NO_CATALOGUE),
    "catalogue empty": set_problem("catalogue_problem", EMPTY),
    "catalogue back": set_problem("catalogue_problem", None),
    "replicas unreadable": set_problem("replicas_readable", False),
    "replicas readable": set_problem("replicas_readable", True),
    "milvus restarts": lambda world, _: world.unload(),
    "loaded otherwise by hand": lambda world, _: world.reload_by_hand(),
    "collections dropped": lambda world, _: world.drop_collections(),
    "child deleted": lambda world, n: world.delete_any_child(n),
    "child edited": lambda world, n: world.edit_any_child(n),
    "pointer deleted": lambda world, _: world.delete_child(POINTER),
    "report lost": lambda world, _: world.pods.clear(),
    "status wiped": lambda world, _: world.body.pop("status", None),
    "paused": lambda world, _: world.set_spec(paused=True),
    "unpaused": lambda world, _: world.set_spec(paused=False),
}
FALLIBLE = (
    "ApplyObject",
    "DeleteObject",
    "CreateCollection",
    "LoadCollection",
    "PointAlias",
    "DropAlias",
    "DropCollection",
    "AddFinalizer",
    "ReleaseFinalizer",
)
HISTORIES = st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 30)), max_size=40)
# The way to an active release first: most of what can go wrong goes wrong on the way or after it.
LIVELY = st.lists(
    st.tuples(
        st.sampled_from(["pass", "pass", "progress", "progress", *sorted(ACTIONS)]), st.integers(0, 30)
    ),
    max_size=40,
)


def fail_next(world: World, number: int) -> None:
    """The next pass, in which every step of one kind fails."""
    world.failing = frozenset({FALLIBLE[number % len(FALLIBLE)]})
    world.reconcile()


def live_through(world: World, history: list[Action]) -> None:
    """Let a history happen."""
    for name, number in history:
        ACTIONS[name](world, number)


def at_rest(world: World, kept: frozenset[str] = frozenset()) -> None:
    """Active, Ready, nothing planned, and the pointer and alias at a collection that passed its gates.

    Beside it there may be only the `kept` collections.
    """
    observation = world.observe()
    assert plan(observation, INSTALLATION).steps == ()
    assert situation(observation).stage is Stage.ACTIVE
    assert kstatus(world.body) == "Current"
    target = world.collections[world.pointed_at]
    assert target.built
    assert world.alias == world.pointed_at
    assert world.body["status"]["activeRelease"] == target.record.release
    assert set(world.collections) == {world.pointed_at} | kept


def test_an_index_becomes_active_by_itself() -> None:
    world = World()
    passes = world.settle()
    at_rest(world)
    assert passes < 12
    assert world.body["metadata"]["finalizers"] == [FINALIZER]
    assert condition(world.body["status"], "Ready")["message"].endswith(
        "serves 2,000 products from 1 encoder"
    )


@THOROUGHLY
@given(LIVELY | HISTORIES)
def test_every_history_of_an_index_ends_active_and_at_rest(history: list[Action]) -> None:
    world = World()
    live_through(world, history)
    world.settle()
    at_rest(world)
    world.tick(3600)
    before = world.body["status"]
    assert world.reconcile().steps == ()
    assert {**world.body["status"], "refresh": before["refresh"]} == before


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
        assert world.alias == ""
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
        kept.built = kept.was_active = False
    retained = frozenset(first.collections)
    second = World(body=body, collections=first.collections, alias=first.alias, documents=2100)
    live_through(second, history)
    second.settle()
    at_rest(second, kept=retained & frozenset(second.collections))
    if precision and ("collections dropped" not in {name for name, _ in history}):
        assert retained <= frozenset(second.collections)


def test_a_candidate_that_a_newer_spec_replaces_leaves_nothing() -> None:
    world = World()
    for _ in range(3):
        world.reconcile()
        world.ready_pods("encoder")
    abandoned = set(world.collections)
    assert abandoned
    world.body["spec"]["encoder"]["precision"] = "fp16"
    world.body["metadata"]["generation"] += 1
    world.settle()
    at_rest(world)
    assert not abandoned & set(world.collections)
    assert [release["role"] for release in world.body["status"]["releases"]] == ["Active"]


def test_a_candidate_that_somebody_loaded_otherwise_is_loaded_anew_before_it_is_verified() -> None:
    world = World()
    for _ in range(3):
        world.reconcile()
        world.ready_pods("encoder")
        world.load()
    world.reconcile()
    world.build()
    world.reload_by_hand()
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


@pytest.mark.parametrize("store", ["milvus_problem", "catalogue_problem"])
def test_an_active_index_goes_on_serving_while_a_store_is_away(store: str) -> None:
    world = World()
    world.settle()
    target = world.pointed_at
    setattr(world, store, AWAY)
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
    world.milvus_problem = AWAY
    for _ in range(20):
        world.reconcile()
        world.tick(60)
    # Milvus comes back and its metadata is not there yet: an hour of absence before says nothing about now.
    world.milvus_problem = None
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
    assert kinds(world.last_steps)[:2] == ["AddFinalizer", "ApplyObject"]
    assert kstatus(world.body) == "InProgress"
    assert world.body["status"]["phase"] == "Provisioning"


def test_a_steady_index_says_the_same_tomorrow() -> None:
    world = World()
    world.settle()
    said = world.body["status"]
    world.tick(3600)
    assert world.reconcile().steps == ()
    assert world.body["status"] == said
    assert Outcome().failures == ()
