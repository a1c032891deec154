"""What a change comes to, by the resource as it is and as it shall be."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from search_operator.api import SemanticSearchIndex, desired_release, encoder_identity
from search_operator.cli.forecast import Forecast, Kind, forecast
from search_operator.cli.steps import steps
from search_operator.cli.text import text_of

from tests.cluster.resource_base import Json, at, changed, valid_index

# A month of 31 days, in which the cap allows 11 encoders.
NOW = datetime(2026, 12, 22, 12, tzinfo=UTC)
FP32 = at("spec.encoder.precision", "fp32")
LOWER_M = at("spec.vectorStore.milvus.index.m", 32)
EF = at("spec.vectorStore.milvus.search.ef", 256)
ROWS = 1_000_000


def _index(*patches: Json, status: Json | None = None) -> SemanticSearchIndex:
    index = valid_index()
    for patch in patches:
        index = changed(index, patch)
    return SemanticSearchIndex.parse({**index, "status": status or {}})


def _release(role: str, *patches: Json, rebuild: str = "", **more: Any) -> Json:
    """An entry of status.releases for what a spec asks for."""
    spec = _index(*patches).spec
    fingerprint = encoder_identity(spec).fingerprint()
    name = desired_release(spec, rebuild)
    found = {"name": name, "role": role, "fingerprint": fingerprint, "rows": ROWS, "rebuild": rebuild}
    return {**found, **more}


def _live(*patches: Json, releases: tuple[Json, ...]) -> SemanticSearchIndex:
    active = next(r["name"] for r in releases if r["role"] == "Active")
    return _index(*patches, status={"activeRelease": active, "releases": list(releases)})


SERVING = _live(releases=(_release("Active"),))


def _stages(told: Forecast, new: SemanticSearchIndex) -> list[str]:
    return [state.value for state, _ in steps(told, new.spec)]


def test_nothing_changes() -> None:
    told = forecast(_index(), SERVING, NOW)
    assert (told.kind, told.active, told.wanted) == (Kind.NOTHING, SERVING.active_release, told.active)
    assert told.fleets == ()
    assert _stages(told, _index()) == []


RERANKER = at("spec.search.reranker", {"enabled": True, "weights": {"bakedIn": {}, "sha256": "e" * 64}})


def test_a_re_ranker_is_told_with_its_devices_and_billed() -> None:
    new = _index(RERANKER)
    told, before = forecast(new, SERVING, NOW), forecast(_index(), SERVING, NOW)
    assert told.kind is Kind.IN_PLACE
    assert {change.effect for change in told.changes} == {"InPlace"}
    assert told.rerankers.startswith("1, 1 x nvidia.com/gpu each")
    assert told.bill is not None
    assert before.bill is not None
    assert told.bill.hour_now - before.bill.hour_now == 350_000
    assert "1 x nvidia.com/gpu each" in text_of(told, new, NOW)
    assert before.rerankers == ""
    assert forecast(
        _index(RERANKER, at("spec.search.reranker.devices", 0)), SERVING, NOW
    ).rerankers.startswith("1, on CPU")


def test_what_shapes_no_release_is_applied_in_place() -> None:
    told = forecast(_index(EF), SERVING, NOW)
    assert (told.kind, told.wanted) == (Kind.IN_PLACE, SERVING.active_release)
    assert [change.effect for change in told.changes] == ["InPlace"]


def test_the_first_release_has_no_deadline_no_approval_and_nothing_to_keep() -> None:
    new = _index(at("spec.rollout.promotion", "Manual"))
    told = forecast(new, None, NOW)
    assert (told.kind, told.active, told.wanted) == (Kind.FIRST, "", desired_release(new.spec))
    stages = ["Provisioning", "Building", "CatchingUp", "Verifying", "Switching", "Active"]
    assert _stages(told, new) == stages
    assert "at most 24 h" not in text_of(told, new, NOW)
    assert [(fleet.minimum, fleet.maximum) for fleet in told.fleets] == [(4, 11)]


def test_another_encoder_gets_a_fleet_of_its_own_within_the_cap() -> None:
    new = _index(FP32)
    told = forecast(new, SERVING, NOW)
    assert (told.kind, told.wanted) == (Kind.NEW_RELEASE, desired_release(new.spec))
    fleets = [(fleet.releases, fleet.minimum, fleet.maximum) for fleet in told.fleets]
    # 11 of the 12 that are asked for stay under the cap.
    assert fleets == [(told.active, 4, 7), (told.wanted, 4, 4)]
    assert told.shortages == ()
    # 8 encoders at 0.35 and 4 nodes at 0.68.
    assert told.bill_during is not None
    assert told.bill_during.hour_now == 5_520_000
    stages = ["Pending", "Provisioning", "Building", "CatchingUp", "Verifying", "Switching"]
    assert _stages(told, new) == [*stages, "Active", "Previous", "Retiring"]
    said = text_of(told, new, NOW)
    assert "embedding every product (at most 24 h)" in said
    assert "OverlapAt10" not in said


def test_the_same_encoder_shares_its_fleet_and_its_vectors() -> None:
    new = _index(LOWER_M)
    told = forecast(new, SERVING, NOW)
    assert told.kind is Kind.NEW_RELEASE
    assert [(fleet.releases, fleet.minimum) for fleet in told.fleets] == [
        (f"{told.active}, {told.wanted}", 4)
    ]
    assert told.bill_during is None
    # (4 * 768 + 8 * 32 + 250) bytes, a million rows, 2 replicas.
    assert told.memory == "6.7Gi"
    said = " ".join(text_of(told, new, NOW).split())
    assert f"copying vectors from {told.active} where the content hash is equal" in said
    assert "OverlapAt10 >= 0.90" in said


def test_a_fleet_that_the_cap_has_no_room_for_is_told() -> None:
    cheap = at("spec.cost.monthlyCap", "3066")
    new = _index(cheap, FP32)
    told = forecast(new, _live(cheap, releases=(_release("Active"),)), NOW)
    assert [fleet.maximum for fleet in told.fleets] == [4, 0]
    assert "monthlyCap" in told.shortages[0]
    assert "stays here" in steps(told, new.spec)[0][1]
    warned = _index(cheap, FP32, at("spec.rollout.capacityCheck", "Warn"))
    assert "only told" in steps(forecast(warned, SERVING, NOW), warned.spec)[0][1]


def test_a_retained_release_has_its_fleet_too() -> None:
    live = _live(FP32, releases=(_release("Active", FP32), _release("Previous")))
    new = _index(FP32, at("spec.encoder.maxTokens", 64))
    told = forecast(new, live, NOW)
    assert [fleet.minimum for fleet in told.fleets] == [4, 3, 3]


def test_a_reverted_commit_catches_the_retained_release_up() -> None:
    live = _live(FP32, releases=(_release("Active", FP32), _release("Previous")))
    told = forecast(_index(), live, NOW)
    assert (told.kind, told.wanted) == (Kind.RETURN, desired_release(_index().spec))
    stages = ["CatchingUp", "Verifying", "Switching", "Active", "Previous", "Retiring"]
    assert _stages(told, _index()) == stages


def test_a_rollback_needs_only_gateways() -> None:
    live = _live(FP32, releases=(_release("Active", FP32), _release("Previous")))
    old = desired_release(_index().spec)
    new = _index(FP32, at("spec.rollout.rollbackTo", old))
    told = forecast(new, live, NOW)
    assert (told.kind, told.wanted) == (Kind.ROLLBACK, old)
    assert _stages(told, new) == ["Switching", "Active", "Previous", "Retiring"]
    assert "no other release is built" in told.notes[0]


def test_a_rollback_to_what_is_not_retained_is_told() -> None:
    new = _index(FP32, at("spec.rollout.rollbackTo", "r-00000000"))
    told = forecast(new, SERVING, NOW)
    assert (told.kind, told.wanted) == (Kind.IN_PLACE, SERVING.active_release)
    assert "r-00000000 is not retained (retained: none)" in told.notes[0]


def test_a_rollback_to_the_active_release_builds_nothing_else() -> None:
    told = forecast(_index(FP32, at("spec.rollout.rollbackTo", SERVING.active_release)), SERVING, NOW)
    assert (told.kind, told.wanted) == (Kind.IN_PLACE, SERVING.active_release)


def test_taking_a_change_back_gives_the_candidate_up() -> None:
    candidate = _release("Candidate", FP32, stage="Building")
    live = _live(FP32, releases=(_release("Active"), candidate))
    told = forecast(_index(), live, NOW)
    assert (told.kind, told.wanted) == (Kind.IN_PLACE, live.active_release)
    assert told.notes == (f"candidate {candidate['name']} is given up, as nothing asks for it any more",)


def test_a_change_beside_a_candidate_starts_no_second_one() -> None:
    candidate = _release("Candidate", FP32, stage="Building")
    told = forecast(_index(FP32, EF), _live(FP32, releases=(_release("Active"), candidate)), NOW)
    assert (told.kind, told.wanted) == (Kind.IN_PLACE, candidate["name"])
    assert told.notes == (f"{candidate['name']} is on its way already: Building",)


@pytest.mark.parametrize("given", ["approvedRelease", "promotion"])
def test_an_approval_lets_the_waiting_candidate_take_over(given: str) -> None:
    manual = at("spec.rollout.promotion", "Manual")
    candidate = _release("Candidate", FP32, stage="AwaitingApproval")
    live = _live(FP32, manual, releases=(_release("Active"), candidate))
    approval = at("spec.rollout.approvedRelease", candidate["name"])
    new = _index(FP32, *((manual, approval) if given == "approvedRelease" else ()))
    told = forecast(new, live, NOW)
    assert (told.kind, told.wanted) == (Kind.PROMOTION, candidate["name"])
    assert _stages(told, new) == ["CatchingUp", "Switching", "Active", "Previous", "Retiring"]
    assert forecast(_index(FP32, manual, EF), live, NOW).kind is Kind.IN_PLACE


def test_manual_promotion_names_the_release_to_approve() -> None:
    new = _index(FP32, at("spec.rollout.promotion", "Manual"))
    told = forecast(new, SERVING, NOW)
    waits = {state.value: what for state, what in steps(told, new.spec)}["AwaitingApproval"]
    assert waits == f"until spec.rollout.approvedRelease is {told.wanted}, which it is not yet"


def test_a_release_that_has_failed_is_not_tried_again() -> None:
    failed = _release("Failed", FP32, message="RecallAtK: 0.80")
    told = forecast(_index(FP32, EF), _live(FP32, releases=(_release("Active"), failed)), NOW)
    assert (told.kind, told.wanted) == (Kind.IN_PLACE, desired_release(_index().spec))
    assert "has failed before (RecallAtK: 0.80)" in told.notes[0]


def test_a_request_after_the_failure_tries_it_again() -> None:
    failed = _release("Failed", FP32, since="2026-11-22T10:00:00Z")
    live = _live(FP32, releases=(_release("Active"), failed))
    early, late = (at("spec.refresh.requestedAt", f"2026-11-22T{hour}:00:00Z") for hour in ("09", "11"))
    assert forecast(_index(FP32, early), live, NOW).kind is Kind.IN_PLACE
    told = forecast(_index(FP32, late), live, NOW)
    assert (told.kind, told.wanted) == (Kind.NEW_RELEASE, failed["name"])


def test_a_request_for_a_full_rebuild_is_a_new_release() -> None:
    asked = at("spec.refresh", {"mode": "Full", "requestedAt": "2026-11-22T19:00:00+08:00"})
    told = forecast(_index(asked), SERVING, NOW)
    assert told.kind is Kind.REBUILD
    assert told.wanted == desired_release(_index().spec, "2026-11-22T11:00:00Z")
    assert "embedding every product" in text_of(told, _index(asked), NOW)
    # Asked for already, or for later: it starts nothing now.
    served = _live(asked, releases=(_release("Active", rebuild="2026-11-22T11:00:00Z"),))
    assert forecast(_index(asked), served, NOW).kind is Kind.NOTHING
    later = at("spec.refresh", {"mode": "Full", "requestedAt": "2026-12-23T00:00:00Z"})
    assert forecast(_index(later), SERVING, NOW).kind is Kind.IN_PLACE


def test_a_rebuilt_release_is_known_as_what_the_spec_asks_for() -> None:
    live = _live(releases=(_release("Active", rebuild="2026-11-02T00:00:00Z"),))
    assert forecast(_index(), live, NOW).kind is Kind.NOTHING
    told = forecast(_index(EF), live, NOW)
    assert (told.kind, told.wanted) == (Kind.IN_PLACE, live.active_release)


def test_a_fixed_field_is_refused_with_its_remedy() -> None:
    new = _index(at("spec.vectorStore.milvus.endpoint", "other:19530"), FP32)
    told = forecast(new, SERVING, NOW)
    assert told.kind is Kind.REFUSED
    assert "create another index" in told.refusals[0]
    assert "steps" not in text_of(told, new, NOW)


def test_what_the_api_server_refuses_is_refused() -> None:
    told = forecast(_index(EF), SERVING, NOW, ["spec.search.topK: too deep"])
    assert (told.kind, told.refusals) == (Kind.REFUSED, ("spec.search.topK: too deep",))
    assert forecast(_index(EF), None, NOW, ["no"]).kind is Kind.REFUSED


def test_a_paused_index_waits() -> None:
    told = forecast(_index(FP32, at("spec.paused", True)), SERVING, NOW)
    assert "none of this happens" in told.notes[-1]


def test_without_a_status_the_spec_stands_for_what_is_active() -> None:
    told = forecast(_index(FP32), _index(), NOW)
    assert (told.kind, told.active) == (Kind.NEW_RELEASE, desired_release(_index().spec))
    assert "without a status" in told.notes[0]


def test_a_candidate_of_an_index_that_never_answered_is_the_first() -> None:
    status = {"phase": "Provisioning", "releases": [_release("Candidate", stage="Building")]}
    live = _index(status=status)
    assert forecast(_index(EF), live, NOW).kind is Kind.IN_PLACE
    assert forecast(_index(FP32), live, NOW).kind is Kind.FIRST


def test_without_prices_there_is_no_bill() -> None:
    told = forecast(_index(at("spec.cost", None), FP32), SERVING, NOW)
    assert told.bill is None
    assert "cost in" not in text_of(told, _index(at("spec.cost", None), FP32), NOW)


def test_prices_in_a_config_map_and_what_is_spent_already_are_told() -> None:
    shared = at("spec.cost", {"prices": None, "pricesConfigMapRef": {"name": "prices"}})
    money = {
        "month": "2026-12",
        "spent": "900.00",
        "cap": "5000.00",
        "currency": "USD",
        "projected": "3065.28",
    }
    live = _index(
        status={"activeRelease": desired_release(_index().spec), "cost": money | {"allowedMax": 11}}
    )
    said = " ".join(forecast(_index(shared), live, NOW).notes)
    assert "no bill is told: prices are in ConfigMap prices, which was not read" in said
    assert "900.00 of 5000.00 USD spent, 3065.28 projected; the guard allows 11 encoders" in said


def test_the_text_names_the_next_refresh() -> None:
    said = text_of(forecast(_index(), SERVING, NOW), _index(), NOW)
    assert said.endswith("next scheduled incremental refresh: 2026-12-27T19:00:00Z\n")


WINDOWS = at(
    "spec.encoder.autoscaling.prewarm",
    [
        {"name": "double-11", "start": "0 18 10 11 *", "duration": "32h", "replicas": 12},
        {"name": "launch", "start": "2026-11-01T20:00:00+08:00", "duration": "2h", "replicas": 6},
        {"name": "weekend", "start": "0 8 * * SUN", "duration": "16h", "replicas": 6, "lead": "1h"},
    ],
)
IN_NOVEMBER = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_windows_are_told_with_what_the_cap_leaves_them_and_by_measured_starts() -> None:
    live = _live(releases=(_release("Active"),))
    measured = replace(live, status={**live.status, "encoder": {"startSeconds": 120}})
    new = _index(WINDOWS, at("spec.cost.monthlyCap", "4800"))
    told = forecast(new, measured, IN_NOVEMBER)
    assert told.kind is Kind.IN_PLACE
    said = " ".join(text_of(told, new, IN_NOVEMBER).split())
    assert (
        "double-11 at least 12 encoders, of which the monthly cap leaves 11 from 2027-11-10T10:00:00Z to "
        "2027-11-11T18:00:00Z; they are started at 2027-11-10T09:57:00Z" in said
    )
    assert "launch never opens again" in said
    # 22 November is a Sunday: it is open now.
    assert (
        "weekend at least 6 encoders from 2026-11-22T00:00:00Z to 2026-11-22T16:00:00Z; "
        "they are started at 2026-11-21T23:00:00Z" in said
    )
    assert "pre-warm" not in text_of(forecast(_index(), live, NOW), _index(), NOW)
