"""Money when people change their minds: currencies, time zones, caps, bounds, and an index that is made anew."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from search_operator.decide.schedule import rfc3339
from search_operator.money.ledger import ledger_in
from search_operator.money.tariff import amount
from search_operator.render.encoder import encoder_name

from tests.unit.operator_core.builders import Object, condition, merged, sample
from tests.unit.operator_core.test_spending import (
    DECEMBER,
    active_identity,
    cost,
    encoder_pod,
    hpa_max,
    ledger,
    passes,
    scale,
    serving,
    spent,
    up_to_date,
)
from tests.unit.operator_core.world import LEDGER, World


def created(at: str, **spec: Any) -> World:
    """The production index as it is created at a moment, with its 4 encoders."""
    body = sample("production", **spec)
    body["metadata"]["creationTimestamp"] = at
    world = World(body=body, now=datetime.fromisoformat(at))
    world.settle()
    scale(world, 4)
    world.settle()
    return world


def prices(encoder: str, **more: Any) -> Object:
    return {"asOf": "2026-11-01", "encoderNodeHour": encoder, "milvusNodes": None, **more}


def test_a_month_of_millions_is_counted_to_the_unit() -> None:
    """In yen, won or rupiah a month's micro-units times milliseconds are more than 64 bits hold."""
    world = serving(cost={"currency": "IDR", "monthlyCap": "999999999999", "prices": prices("5600000.5")})
    passes(world, 100)
    assert float(up_to_date(world)) == pytest.approx(4 * 5600000.5 * 101, rel=1e-3)
    raw = ledger(world).month("2026-12").items["encoder"]
    assert raw > 2**64
    assert raw % 1000 == 0, "no float has touched it"
    assert ledger_in(ledger(world).to_json()) == ledger(world)
    assert cost(world)["spent"] == spent(world)


def test_prices_at_their_limits_break_no_pass() -> None:
    highest = "999999999999.999999"
    nodes = {"count": 10000, "nodeHour": highest}
    dear = {
        "currency": "JPY",
        "monthlyCap": highest,
        "prices": prices(highest, milvusNodes=nodes, reserved=nodes),
    }
    world = serving(cost=dear)
    passes(world, 3)
    assert condition(world.body["status"], "WithinBudget")["reason"] == "AboveMinimum"
    assert hpa_max(world) == 4
    assert float(spent(world)) > 1e16


def test_going_back_to_a_currency_goes_on_from_its_own_ledger() -> None:
    world = serving()
    passes(world, 48)
    scale(world, 8)
    world.reconcile()
    passes(world, 24)
    scale(world, 4)
    world.reconcile()
    dollars = float(spent(world))
    world.set_spec(cost={"currency": "CNY"})
    passes(world, 10)
    yuan = ledger(world)
    assert yuan.currency == "CNY"
    world.set_spec(cost={"currency": "USD"})
    world.reconcile()
    back = ledger(world)
    assert back.currency == "USD"
    # The day of 8 encoders is in it, and the ten hours in the other currency.
    assert abs(float(spent(world)) - dollars - 10 * 4.12) < 0.2
    aside = ledger_in(world.children[LEDGER]["data"]["ledger-CNY.json"])
    assert aside == yuan
    passes(world, 2)
    world.set_spec(cost={"currency": "CNY"})
    world.reconcile()
    assert ledger(world).upto >= yuan.upto
    assert ledger(world).month("2026-12").spent >= yuan.month("2026-12").spent


def test_a_currency_of_another_month_brings_its_months_and_not_the_time_between() -> None:
    world = serving()
    passes(world, 24)
    dollars = float(spent(world))
    world.set_spec(cost={"currency": "CNY"})
    world.reconcile()
    world.now = datetime.fromisoformat("2027-02-03T16:00:00+00:00")
    world.reconcile()
    world.set_spec(cost={"currency": "USD"})
    world.reconcile()
    assert abs(float(spent(world)) - dollars) < 0.2
    assert abs(float(spent(world, "2027-02")) - 72 * 4.12) < 0.2
    assert ledger(world).month("2027-01").spent == 0, "paid in the other currency"


def test_an_index_made_anew_pays_nothing_of_the_old_ones_time() -> None:
    old = serving()
    passes(old, 48)
    assert float(spent(old)) > 190
    now = rfc3339(old.now)
    body = sample("production")
    body["metadata"] |= {"creationTimestamp": now, "uid": "another"}
    # The old one's pods are still ending, and one more is seen only later.
    ending = {name: pod for name, pod in old.pods.items() if "-encoder-" in name}
    assert len(ending) == 4
    world = World(body=body, now=old.now, pods=dict(ending))
    world.settle()
    world.pods["late"] = encoder_pod("late", DECEMBER)
    world.tick(60)
    world.reconcile()
    world.pods.clear()
    world.tick(60)
    world.reconcile()
    assert float(spent(world)) < 0.3
    scale(world, 4)
    world.reconcile()
    assert abs(float(up_to_date(world)) - 4.12) < 0.3


@pytest.mark.parametrize(
    ("zone", "created_at", "hours", "months"),
    [
        ("America/New_York", "2026-12-31T05:00:00Z", 48, {"2026-12": 24.0, "2027-01": 24.0}),
        ("Pacific/Kiritimati", "2026-12-30T10:00:00Z", 48, {"2026-12": 24.0, "2027-01": 24.0}),
        # Clocks go forward on March 29th, back on October 25th; half an hour back on April 5th.
        ("Europe/Berlin", "2026-03-31T10:00:00Z", 24, {"2026-03": 12.0, "2026-04": 12.0}),
        ("Australia/Lord_Howe", "2026-04-30T12:30:00Z", 2, {"2026-04": 1.0, "2026-05": 1.0}),
    ],
)
def test_a_month_ends_in_its_own_time_zone(
    zone: str, created_at: str, hours: int, months: dict[str, float]
) -> None:
    world = created(created_at, cost={"timeZone": zone})
    passes(world, hours)
    up_to_date(world)
    found = {account.month: account.spent for account in ledger(world).months}
    last = max(months)
    for month, expected in months.items():
        more = 1 if month == last else 0
        assert abs(float(amount(found[month])) - (expected + more) * 4.12) < 0.2
    assert set(found) == set(months)
    assert cost(world)["month"] == last


def test_another_time_zone_loses_no_money() -> None:
    world = created("2026-12-31T10:00:00Z")
    passes(world, 20)
    before = sum(account.spent for account in ledger(world).months)
    assert cost(world)["month"] == "2027-01"
    world.set_spec(cost={"timeZone": "America/Los_Angeles"})
    world.reconcile()
    # There the old year goes on for two more hours.
    assert cost(world)["month"] == "2026-12"
    passes(world, 5)
    up_to_date(world)
    assert cost(world)["month"] == "2027-01"
    total = sum(account.spent for account in ledger(world).months)
    assert abs(float(amount(total - before)) - 6 * 4.12) < 0.2


def test_a_cap_lowered_below_what_is_spent_is_told_and_leaves_the_fewest() -> None:
    world = serving()
    scale(world, hpa_max(world))
    passes(world, 100)
    world.set_spec(cost={"monthlyCap": "400"})
    world.reconcile()
    world.reconcile()
    said = condition(world.body["status"], "WithinBudget")
    assert (said["status"], said["reason"]) == ("False", "AboveMinimum")
    assert "the cap of 400.00 USD is reached" in said["message"]
    assert cost(world)["reachedAt"] == cost(world)["asOf"]
    assert hpa_max(world) == 4
    assert float(cost(world)["projected"]) >= float(cost(world)["spent"]) > 400


def test_a_minimum_raised_above_what_is_allowed_is_obeyed_and_told() -> None:
    world = serving(cost={"monthlyCap": "3400"})
    word = hpa_max(world)
    assert word < 8
    world.set_spec(encoder={"autoscaling": {"minReplicas": 8}})
    world.reconcile()
    world.reconcile()
    assert hpa_max(world) == 8
    said = condition(world.body["status"], "WithinBudget")
    assert (said["status"], said["reason"]) == ("False", "AboveMinimum")
    world.set_spec(encoder={"autoscaling": {"minReplicas": 4}})
    scale(world, 4)
    world.reconcile()
    world.tick(3700)
    world.reconcile()
    assert hpa_max(world) <= word


def test_another_price_in_the_middle_of_a_month_counts_from_then_on() -> None:
    world = serving()
    passes(world, 100)
    world.reconcile()
    before = float(up_to_date(world))
    world.set_spec(cost={"prices": {"encoderNodeHour": "0.70"}})
    world.reconcile()
    assert abs(float(spent(world)) - before) < 0.1, "what was spent stays as it was"
    passes(world, 100)
    assert abs(float(up_to_date(world)) - before - 101 * (4 * 0.70 + 2.72)) < 0.2


def test_a_free_month_never_reaches_its_cap() -> None:
    world = serving(cost={"prices": prices("0")})
    passes(world, 48)
    assert (cost(world)["spent"], hpa_max(world)) == ("0.00", 12)
    assert "reachedAt" not in cost(world)
    assert condition(world.body["status"], "WithinBudget")["reason"] == "Projected"


def test_pods_of_a_node_that_was_drained_are_paid_once_each() -> None:
    """A pod that fails and stays listed, beside the one that takes its place."""
    world = serving()
    passes(world, 10)
    fleet = encoder_name("products", active_identity(world))
    name, pod = next((name, pod) for name, pod in world.pods.items() if name.startswith(fleet))
    ended = rfc3339(world.now)
    failed = {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"finishedAt": ended}}}]}
    world.pods[name] = merged(pod, {"status": failed})
    world.pods["new"] = encoder_pod("new", world.now + timedelta(seconds=5))
    passes(world, 10)
    assert abs(float(up_to_date(world)) - 21 * 4.12) < 0.2
