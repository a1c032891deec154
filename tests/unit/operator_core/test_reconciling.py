"""What a comparison with OpenCost comes to in status, condition and events; the ledger stays as it is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from search_operator.decide.events import events
from search_operator.money.tariff import micros
from search_operator.observe.observation import OpenCostView, Problem

from tests.unit.operator_core.builders import condition
from tests.unit.operator_core.test_spending import cost, ledger, passes, serving
from tests.unit.operator_core.world import World

OPEN_COST = {"openCost": {"url": "http://opencost.opencost.svc:9003"}}
NOTHING: dict[str, Any] = {"items": []}
AWAY = Problem("OpenCostUnreadable", "it answers with status 500", needs_a_person=False)


def compared(world: World, **costs: str) -> None:
    """OpenCost has answered for the time that the ledger is about."""
    kept = ledger(world)
    said = {part: micros(amount) for part, amount in costs.items()}
    world.open_cost = OpenCostView(kept.month("2026-12"), kept.upto, said)
    world.reconcile()


def a_day() -> World:
    """4 encoders at 0.35 for a day: 33.60."""
    world = serving(cost=OPEN_COST)
    passes(world, 24)
    return world


def told(world: World) -> dict[str, Any]:
    return dict(cost(world)["openCost"])


def budget(world: World) -> dict[str, Any]:
    return dict(condition(world.body["status"], "WithinBudget"))


def news(before: dict[str, Any], world: World) -> list[tuple[str, str]]:
    found = events(before, world.body["status"])
    return [(e.type, e.reason) for e in found if e.reason in ("BillsDiffer", "BillsAgree", "NotCompared")]


def test_figures_that_agree_are_told_and_disturb_nobody() -> None:
    world = a_day()
    before, kept = world.body["status"], ledger(world)
    compared(world, encoder="30", gateway="1", build="77")
    said = told(world)
    assert abs(float(said["ledger"]) - 33.6) < 0.1
    assert (said["spent"], said["agrees"]) == ("30.00", True)
    assert [item["item"] for item in said["items"]] == ["encoder", "reranker"]
    assert -11.2 < float(said["differencePercent"]) < -10.3
    assert "OpenCost" not in budget(world)["message"]
    assert news(before, world) == []
    assert ledger(world) == kept
    settled = world.body["status"]
    world.reconcile()
    assert world.body["status"] == settled, "a steady index writes nothing"


def test_gateways_are_compared_where_they_are_priced() -> None:
    prices = {"gatewayHour": "0.04"}
    world = serving(cost=OPEN_COST | {"prices": prices})
    passes(world, 24)
    compared(world, encoder="33.6", gateway="1")
    assert [item["item"] for item in told(world)["items"]] == ["encoder", "reranker", "gateway"]


def test_a_difference_is_an_event_and_in_the_condition_and_changes_no_money() -> None:
    world = a_day()
    before, kept, projected = world.body["status"], ledger(world), cost(world)["projected"]
    compared(world, encoder="20")
    assert told(world)["agrees"] is False
    said = budget(world)
    assert (said["status"], said["reason"]) == (condition(before, "WithinBudget")["status"], "Clamped")
    assert "OpenCost says 20.00 where the ledger says 33.6" in said["message"]
    assert "more than the 20 % apart" in said["message"]
    assert news(before, world) == [("Warning", "BillsDiffer")]
    assert (ledger(world), cost(world)["projected"]) == (kept, projected)
    apart = world.body["status"]
    compared(world, encoder="21")
    assert news(apart, world) == [], "told once"
    apart = world.body["status"]
    compared(world, encoder="33")
    assert news(apart, world) == [("Normal", "BillsAgree")]


def test_a_wider_tolerance_is_answered_at_once() -> None:
    world = a_day()
    compared(world, encoder="20")
    world.set_spec(cost={"openCost": {"tolerancePercent": 60}})
    world.reconcile()
    assert told(world)["agrees"] is True


def test_an_opencost_that_is_away_is_told_once_and_the_last_figures_stay() -> None:
    world = a_day()
    compared(world, encoder="30")
    figures, before, kept = told(world), world.body["status"], ledger(world)
    world.open_cost = replace(world.open_cost, problem=AWAY)
    world.reconcile()
    assert told(world) == figures | {"message": AWAY.message}
    assert f"not compared with OpenCost: {AWAY.message}" in budget(world)["message"]
    assert news(before, world) == [("Warning", "NotCompared")]
    assert ledger(world) == kept
    again = world.body["status"]
    world.reconcile()
    assert news(again, world) == []


def test_an_operator_that_starts_tells_what_was_told_until_there_is_news() -> None:
    world = a_day()
    compared(world, encoder="20")
    figures = told(world)
    world.open_cost = OpenCostView()
    world.reconcile()
    assert told(world) == figures
    world.open_cost = OpenCostView(problem=AWAY)
    world.reconcile()
    assert told(world) == figures | {"message": AWAY.message}


def test_a_new_month_begins_without_figures_of_the_old_one() -> None:
    world = a_day()
    compared(world, encoder="20")
    world.now += timedelta(days=30)
    world.reconcile()
    world.reconcile()
    assert cost(world)["month"] == "2027-01"
    assert told(world) == NOTHING
    world.open_cost = OpenCostView()
    world.reconcile()
    assert told(world) == NOTHING


def test_figures_of_another_version_are_no_obstacle() -> None:
    world = a_day()
    world.body["status"]["cost"]["openCost"] = {"asOf": 5, "unknown": True}
    world.reconcile()
    assert told(world) == NOTHING


def test_without_an_endpoint_nothing_is_told() -> None:
    world = a_day()
    compared(world, encoder="20")
    world.set_spec(cost={"openCost": None})
    world.reconcile()
    assert "openCost" not in cost(world)
    assert "OpenCost" not in budget(world)["message"]
