"""The life of a release, arrow by arrow: what each state waits for, what ends it, and what becomes of the book."""

from datetime import timedelta
from typing import Any

import pytest
from search_operator.decide.release import DEADLINES, FRESH, Release, State
from search_operator.decide.rollout import rollout
from search_operator.observe.observation import Capacity

from tests.unit.operator_core.builders import condition, kinds
from tests.unit.operator_core.histories import bad_answers, with_room
from tests.unit.operator_core.simulated_milvus import AWAY
from tests.unit.operator_core.world import World

OTHER: dict[str, Any] = {"encoder": {"precision": "fp16"}}
MANUAL: dict[str, Any] = {"rollout": {"promotion": "Manual"}}


def candidate(world: World) -> Release:
    """The candidate as the operator sees it now."""
    found = rollout(world.observe()).candidate
    assert found is not None
    return found


def active_index(**spec: Any) -> World:
    """An active release, and a wish for another one in the book."""
    world = with_room()
    world.settle()
    world.set_spec(**{**OTHER, **spec})
    world.reconcile()
    return world


def until(world: World, state: State) -> Release:
    """All goes well until the candidate has reached that state, with its Job begun."""
    for _ in range(40):
        if candidate(world).state is state:
            world.reconcile()
            return candidate(world)
        world.reconcile()
        world.progress()
    raise AssertionError(f"never {state}")


def parts(world: World) -> tuple[str, str, str]:
    """Names of (active, candidate, previous)."""
    book = world.book
    active, coming, kept = (h.release if h else "" for h in (book.active, book.candidate, book.previous))
    return active, coming, kept


def test_the_way_of_a_release_names_what_it_waits_for_at_each_stop() -> None:
    world = active_index(**MANUAL)
    world.reconcile()
    told = []

    def tell(expected: State, waits: str) -> None:
        found = candidate(world)
        told.append(found.state)
        assert (found.state, waits in found.waiting_for) == (expected, True), found.waiting_for

    tell(State.PROVISIONING, "the first encoder to be ready")
    world.ready_pods("encoder")
    tell(State.PROVISIONING, "to be loaded with 1 replica")
    world.reconcile()
    world.load()
    tell(State.BUILDING, "the build Job to start")
    world.reconcile()
    tell(State.BUILDING, "0 of 2 slices")
    world.work("build")
    tell(State.CATCHING_UP, "the catch-up Job to start")
    world.reconcile()
    world.work("catchup")
    tell(State.VERIFYING, "the verify Job to start")
    world.reconcile()
    tell(State.VERIFYING, "the verify Job to measure")
    world.work("verify")
    tell(State.AWAITING_APPROVAL, f"set spec.rollout.approvedRelease to {candidate(world).name}")
    world.reconcile()
    world.set_spec(rollout={"approvedRelease": candidate(world).name})
    tell(State.SWITCHING, "to hear of")
    world.reconcile()
    world.ready_pods("encoder", 0)
    world.reconcile()
    world.tick()
    tell(State.SWITCHING, "ready (milvus does not answer)")
    world.ready_pods("encoder")
    world.tick()
    tell(State.SWITCHING, "")
    before, coming, _ = parts(world)
    world.reconcile()
    assert parts(world) == (coming, "", before)
    assert len(set(told)) == 6


def test_a_candidate_waits_for_room_and_goes_on_when_there_is_some() -> None:
    world = active_index(encoder={"precision": "fp16", "accelerator": {"count": 1}})
    world.capacity = Capacity(gpus_total=1, gpus_free=0)
    found = candidate(world)
    assert (found.state, "1 x nvidia.com/gpu" in found.waiting_for) == (State.PENDING, True)
    world.reconcile()
    fleets = {name for kind, name in world.children if kind == "Deployment" and "-encoder-" in name}
    assert len(fleets) == 1
    assert world.milvus.of_release(found.name) is None
    world.set_spec(rollout={"capacityCheck": "Warn"})
    assert candidate(world).state is State.PROVISIONING
    world.set_spec(rollout={"capacityCheck": "Enforce"})
    assert candidate(world).state is State.PENDING
    world.capacity = Capacity()
    assert candidate(world).state is State.PROVISIONING


def test_bad_measurements_are_tried_three_times_and_then_the_release_has_failed() -> None:
    world = active_index()
    before, coming, _ = parts(world)
    world.measures["recall"] = 0.2
    attempts = set()
    for _ in range(80):
        world.reconcile()
        attempts |= {job.attempt for job in world.observe().jobs if job.component == "verify"}
        if world.book.candidate is None:
            break
        assert condition(world.body["status"], "Ready")["status"] == "True"
        world.progress()
    assert attempts == {1, 2, 3}
    assert parts(world) == (before, "", "")
    failure = world.book.failure_of(coming)
    assert failure is not None
    assert (failure.reason, "(3 attempts)" in failure.message) == ("GatesFailed", True)
    assert "RecallAtK" in failure.message
    world.settle()
    assert world.milvus.of_release(coming) is None
    assert condition(world.body["status"], "Stalled")["reason"] == "ReleaseFailed"
    # A request that is newer than the failure tries it again.
    world.tick(60)
    world.ask(world.now)
    world.settle()
    assert parts(world) == (coming, "", before)


def test_a_measurement_that_gets_better_in_time_is_enough() -> None:
    world = active_index()
    _, coming, _ = parts(world)
    world.measures["recall"] = 0.2
    while not [j for j in world.observe().jobs if j.component == "catchup" and j.attempt == 2]:
        world.reconcile()
        world.progress()
    world.measures.clear()
    world.settle()
    assert parts(world)[0] == coming


@pytest.mark.parametrize("state", [state for state in DEADLINES if state is not State.SWITCHING])
def test_a_state_that_lasts_too_long_fails_the_candidate_and_not_the_index(state: State) -> None:
    world = active_index()
    before, coming, _ = parts(world)
    until(world, state)
    world.tick(DEADLINES[state].total_seconds() - 60)
    world.reconcile()
    assert parts(world)[:2] == (before, coming)
    world.tick(120)
    world.reconcile()
    assert parts(world) == (before, "", "")
    failure = world.book.failure_of(coming)
    assert failure is not None
    assert failure.reason == "DeadlineExceeded"
    assert state.value in failure.message
    world.reconcile()
    assert condition(world.body["status"], "Ready")["status"] == "True"
    world.settle()
    assert [r["name"] for r in world.body["status"]["releases"] if r["role"] == "Failed"] == [coming]


def test_a_switch_that_waits_too_long_for_a_gateway_fails_the_candidate() -> None:
    world = active_index()
    before, coming, _ = parts(world)
    until(world, State.VERIFYING)
    for gateway in world.gateways.values():
        gateway.silent = True
    until(world, State.SWITCHING)
    assert "to answer" in candidate(world).waiting_for
    world.reconcile()
    world.tick(DEADLINES[State.SWITCHING].total_seconds() - 60)
    assert (candidate(world).state, candidate(world).attempt) == (State.SWITCHING, 1)
    world.tick(120)
    world.reconcile()
    assert parts(world) == (before, "", "")
    failure = world.book.failure_of(coming)
    assert failure is not None
    assert failure.reason == "DeadlineExceeded"


def test_a_failure_is_forgotten_when_the_spec_asks_for_another_release() -> None:
    world = active_index()
    before, coming, _ = parts(world)
    until(world, State.BUILDING)
    world.tick(DEADLINES[State.BUILDING].total_seconds() + 60)
    world.reconcile()
    assert world.book.failure_of(coming) is not None
    other = world.body["spec"]["encoder"].get("precision")
    world.set_spec(encoder={"precision": "int8"})
    world.reconcile()
    assert world.book.failure_of(coming) is None
    world.set_spec(encoder={"precision": other})
    world.settle()
    assert parts(world)[0] == coming
    assert before != coming


def test_nothing_is_given_up_while_nothing_answers() -> None:
    world = with_room()
    world.broken_encoders.add("")
    for _ in range(5):
        world.reconcile()
        world.tick(timedelta(days=2).total_seconds())
    assert candidate(world).state is State.PROVISIONING
    assert "deadline" not in world.body["status"]["releases"][0]
    world.settle()
    assert world.serving


def test_an_approval_that_took_long_is_followed_by_another_catch_up_and_no_new_verification() -> None:
    world = active_index(**MANUAL)
    until(world, State.AWAITING_APPROVAL)
    world.tick(FRESH.total_seconds() + 60)
    world.documents += 5
    world.approve()
    assert (candidate(world).state, candidate(world).attempt) == (State.CATCHING_UP, 2)
    world.reconcile()
    world.work("catchup")
    found = candidate(world)
    assert (found.state, found.verify is not None and found.verify.attempt) == (State.SWITCHING, 1)
    assert found.collection is not None
    assert found.collection.rows == world.documents


def test_a_newer_wish_replaces_a_candidate_that_was_being_built() -> None:
    world = active_index()
    before, coming, _ = parts(world)
    until(world, State.BUILDING)
    world.set_spec(encoder={"precision": "int8"})
    world.reconcile()
    active, newer, _ = parts(world)
    assert (active, newer not in ("", before, coming)) == (before, True)
    assert [record.release for record in world.book.retiring] == [coming]
    world.settle()
    assert parts(world) == (newer, "", before)
    assert world.milvus.of_release(coming) is None


def test_a_wish_that_goes_away_and_comes_back_at_once_is_built_and_not_waited_for() -> None:
    """Its Jobs are of its last time as a candidate: their names are in the way, and they prove nothing."""
    world = active_index()
    _, coming, _ = parts(world)
    until(world, State.BUILDING)
    world.set_spec(encoder={"precision": "fp32"})
    world.tick()
    world.reconcile()
    world.set_spec(**OTHER)
    world.tick()
    world.reconcile()
    assert parts(world)[1] == coming
    world.settle()
    assert parts(world)[0] == coming


def test_rollback_needs_no_job_and_holds_against_the_rest_of_the_spec() -> None:
    world = active_index()
    before, newer, _ = parts(world)
    world.settle()
    jobs = {name for kind, name in world.children if kind == "Job"}
    world.set_spec(rollout={"rollbackTo": before})
    world.reconcile()
    assert candidate(world).state is State.SWITCHING
    world.settle()
    assert parts(world) == (before, "", newer)
    assert {name for kind, name in world.children if kind == "Job" and "-refresh-" not in name} == jobs
    assert condition(world.body["status"], "Promotable")["reason"] == "HeldByRollback"
    world.set_spec(rollout={"rollbackTo": None})
    world.reconcile()
    assert parts(world)[1] == newer
    # Forward again it goes through catch-up and gates.
    until(world, State.CATCHING_UP)
    world.settle()
    assert parts(world) == (newer, "", before)


def test_a_rollback_waits_for_a_collection_that_is_not_in_memory() -> None:
    world = active_index()
    before, newer, _ = parts(world)
    world.settle()
    world.milvus.restart()
    world.ready_pods("gateway", 0)
    world.set_spec(rollout={"rollbackTo": before})
    world.reconcile()
    world.reconcile()
    assert parts(world) == (newer, before, before)
    assert "to be loaded" in candidate(world).waiting_for
    world.settle()
    assert parts(world) == (before, "", newer)


def test_a_target_that_nobody_retains_is_told_and_changes_nothing() -> None:
    world = with_room()
    world.settle()
    before = parts(world)
    world.set_spec(rollout={"rollbackTo": "r-00000000"})
    world.reconcile()
    assert parts(world) == before
    told = condition(world.body["status"], "Promotable")
    assert (told["reason"], "retained: none" in told["message"]) == ("RollbackTargetUnknown", True)
    assert condition(world.body["status"], "Ready")["status"] == "True"


@pytest.mark.parametrize(("kind", "reason"), [(0, "QueriesFail"), (1, "ZeroResults"), (2, "TooSlow")])
def test_answers_that_break_take_the_switch_back_and_the_release_has_failed(kind: int, reason: str) -> None:
    world = active_index()
    before, newer, _ = parts(world)
    world.settle()
    world.tick(30)
    bad_answers(world, kind)
    world.reconcile()
    assert parts(world) == (newer, before, before)
    world.settle()
    assert parts(world) == (before, "", newer)
    failure = world.book.failure_of(newer)
    assert failure is not None
    assert failure.reason == reason
    assert world.book.active is not None
    assert world.book.active.by == "Watch"
    assert condition(world.body["status"], "Stalled")["reason"] == "ReleaseFailed"


def test_a_retention_that_ends_lets_the_previous_release_go() -> None:
    world = active_index()
    before, newer, _ = parts(world)
    world.settle()
    assert world.book.previous is not None
    until_when = world.book.previous.until
    assert until_when is not None
    world.now = until_when - timedelta(seconds=1)
    assert kinds(world.reconcile().steps) == ["KeepLedger"]
    assert world.reconcile().steps == ()
    world.tick(2)
    world.reconcile()
    assert parts(world) == (newer, "", "")
    assert [record.release for record in world.book.retiring] == [before]
    world.settle()
    assert world.milvus.of_release(before) is None
    assert len([1 for kind, name in world.children if kind == "Deployment" and "-encoder-" in name]) == 1


def test_a_release_retires_only_when_every_gateway_was_heard_to_have_left_it() -> None:
    world = active_index(rollout={"retain": "0s", "watch": "0s"}, search={"replicas": 2})
    before, newer, _ = parts(world)
    while world.book.candidate:
        world.reconcile()
        world.progress()
    silent, _ = world.gateways.values()
    silent.silent = True
    for _ in range(40):
        world.reconcile()
        world.progress()
    (retiring,) = rollout(world.observe()).retiring
    assert (retiring.name, silent.name in retiring.waiting_for) == (before, True)
    assert world.milvus.of_release(before) is not None
    silent.silent = False
    world.settle()
    assert world.milvus.of_release(before) is None
    assert parts(world) == (newer, "", "")


def test_a_lost_active_collection_is_answered_for_by_the_retained_release() -> None:
    world = active_index()
    before, newer, _ = parts(world)
    world.settle()
    del world.collections[world.pointed_at]
    world.reconcile()
    world.tick(11)
    world.reconcile()
    assert parts(world) == (before, "", "")
    assert world.book.active is not None
    assert world.book.active.by == "Loss"
    # What the spec asks for is built again.
    world.settle()
    assert parts(world) == (newer, "", before)


def test_a_pointer_that_is_lost_while_milvus_is_away_is_not_written_before_milvus_tells_who_was_active() -> (
    None
):
    world = active_index()
    world.settle()
    before = parts(world)
    world.delete_child(("ConfigMap", "products-active"))
    world.milvus.problem = AWAY
    for _ in range(3):
        world.reconcile()
        world.tick(60)
    assert ("ConfigMap", "products-active") not in world.children
    world.settle()
    assert parts(world) == before
