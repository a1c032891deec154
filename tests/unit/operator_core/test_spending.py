"""Money over time: what is counted, when it is written, what the guard does, and what outlives the operator."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from search_operator.decide.events import events
from search_operator.decide.plan import plan
from search_operator.decide.schedule import rfc3339
from search_operator.decide.spending import accounted, billed
from search_operator.decide.steps import KeepLedger
from search_operator.money.ledger import Ledger
from search_operator.money.tariff import amount, micros
from search_operator.observe.observation import PricesView, Problem
from search_operator.observe.workloads import pod_view
from search_operator.render.encoder import encoder_name
from search_operator.render.ledger import kept_ledger

from tests.unit.operator_core.builders import INSTALLATION, Object, condition, kinds, merged, sample
from tests.unit.operator_core.world import LEDGER, World

# December begins in Shanghai: 31 days, in which 12 encoders would cross the use case's cap.
DECEMBER = datetime(2026, 11, 30, 16, tzinfo=UTC)
RERANKER: dict[str, Any] = {
    "enabled": True,
    "weights": {"image": f"registry.example/rerankers/minilm@sha256:{'d' * 64}"},
}


def serving(**spec: Any) -> World:
    """The production index, created as December begins, with its 4 encoders."""
    body = sample("production", **spec)
    body["metadata"]["creationTimestamp"] = rfc3339(DECEMBER)
    world = World(body=body, now=DECEMBER)
    world.settle()
    scale(world, 4)
    world.settle()
    return world


def scale(world: World, count: int) -> None:
    """The active fleet has so many pods, each on its node: the newest go first."""
    fleet = encoder_name("products", active_identity(world))
    mine = [name for name in world.pods if name.startswith(fleet)]
    for name in mine[count:]:
        del world.pods[name]
    for number in range(len(mine), count):
        name = f"{fleet}-{number}"
        world.pods[name] = encoder_pod(name, world.now)


def active_identity(world: World) -> Any:
    assert world.book.active is not None
    return world.book.active.record.encoder


def encoder_pod(name: str, scheduled: datetime, component: str = "encoder") -> Object:
    """A pod as the API server has it once it is scheduled, whether or not its image is there."""
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}-{scheduled.timestamp()}",
            "labels": {"app.kubernetes.io/component": component},
        },
        "status": {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": rfc3339(scheduled)}
            ],
        },
    }


def passes(world: World, hours: float, every: float = 1800) -> None:
    """Time passes with a look every half hour, or every so many seconds."""
    until = world.now + timedelta(hours=hours)
    while world.now < until:
        world.tick(min(every, (until - world.now).total_seconds()))
        world.reconcile()


def ledger(world: World) -> Ledger:
    found = kept_ledger(world.children.get(LEDGER), world.index)
    assert found is not None
    return found


def spent(world: World, month: str = "2026-12") -> str:
    return amount(ledger(world).month(month).spent)


def up_to_date(world: World) -> str:
    """What is spent once an hour more has passed, after which the ledger is written."""
    world.tick(3600)
    world.reconcile()
    return spent(world)


def cost(world: World) -> dict[str, Any]:
    return dict(world.body["status"]["cost"])


def hpa_max(world: World) -> int:
    name = encoder_name("products", active_identity(world))
    return int(world.children["HorizontalPodAutoscaler", name]["spec"]["maxReplicas"])


def test_a_day_costs_what_its_nodes_and_fixed_items_cost() -> None:
    world = serving()
    passes(world, 24)
    # 4 x 0.35 and 4 x 0.68 an hour; the pods came a minute or so after the index.
    assert abs(float(spent(world)) - 24 * (4 * 0.35 + 4 * 0.68)) < 0.05
    said = cost(world)
    assert said["spent"] == spent(world)
    assert (said["month"], said["cap"], said["hourly"]) == ("2026-12", "5000.00", "4.12")
    assert abs(float(said["projected"]) - 3065.28) < 0.05
    assert said["projected"] == said["atMinimum"]
    assert "reachedAt" not in said


def test_at_rest_it_is_written_once_an_hour_and_the_status_with_it() -> None:
    world = serving()
    passes(world, 1)
    written: list[str] = []
    told: list[dict[str, Any]] = []
    for _ in range(24):
        world.tick(600)
        written += kinds(world.reconcile().steps)
        told.append(cost(world))
    assert written == ["KeepLedger"] * 4
    assert len({said["asOf"] for said in told}) == 5 - (told[0]["asOf"] != told[1]["asOf"])


def test_a_scaling_is_written_at_once() -> None:
    world = serving()
    world.tick(60)
    assert world.reconcile().steps == ()
    scale(world, 6)
    world.tick(60)
    (step,) = world.reconcile().steps
    assert step.reason == "encoders or re-rankers have come or gone"
    assert cost(world)["hourly"] == "4.82"


def test_a_killed_operator_and_a_deleted_status_cost_nothing_and_hide_nothing() -> None:
    calm, troubled = serving(), serving()
    for world in (calm, troubled):
        passes(world, 5)
        scale(world, 7)
        passes(world, 5)
    for hour in range(20):
        passes(calm, 1)
        troubled.tick(3600)
        if hour % 3 == 0:
            # It dies before the first write, or after it.
            troubled.reconcile(crash_after=hour % 2)
        if hour % 7 == 0:
            troubled.body.pop("status", None)
            troubled.reconcile()
    for world in (calm, troubled):
        world.tick(3600)
        world.settle()
    assert ledger(troubled).months == ledger(calm).months


def test_another_leaders_write_is_never_counted_twice() -> None:
    world = serving()
    passes(world, 3)
    stale = world.observe()
    passes(world, 3)
    account = replace(stale, now=world.now)
    (late,) = plan(accounted(account), INSTALLATION).steps
    assert isinstance(late, KeepLedger)
    with pytest.raises(AssertionError, match="a blind write"):
        world.take(late)
    assert abs(float(spent(world)) - 6 * 4.12) < 0.05


def test_a_lost_ledger_goes_on_from_what_the_status_told() -> None:
    world = serving()
    passes(world, 48)
    before = float(spent(world))
    del world.children[LEDGER]
    world.reconcile()
    # Up to an hour since the last writing is counted anew, at the nodes' own times.
    assert abs(float(spent(world)) - before) < 4.13
    assert abs(float(up_to_date(world)) - 49 * 4.12) < 0.05
    assert "recovered" in ledger(world).month("2026-12").items


def test_a_spoilt_ledger_is_told_and_replaced() -> None:
    world = serving()
    passes(world, 10)
    world.children[LEDGER]["data"]["ledger.json"] = "{"
    (step,) = world.reconcile().steps
    assert "can't be read" in step.reason
    assert abs(float(spent(world)) - 10 * 4.12) < 0.1


def test_a_month_ends_in_the_billing_time_zone_and_is_kept() -> None:
    world = serving()
    world.now = datetime(2026, 12, 31, 15, 30, tzinfo=UTC)
    world.reconcile()
    before = spent(world)
    world.tick(3600)
    world.reconcile()
    assert cost(world)["month"] == "2027-01"
    (past,) = cost(world)["months"]
    assert past["month"] == "2026-12"
    assert abs(float(past["spent"]) - float(before) - 2.06) < 0.02
    assert abs(float(cost(world)["spent"]) - 2.06) < 0.02


def test_a_month_of_31_days_allows_11_and_what_was_not_spent_allows_12_again() -> None:
    world = serving()
    assert hpa_max(world) == 11
    assert condition(world.body["status"], "WithinBudget")["reason"] == "Clamped"
    before = world.body["status"]
    passes(world, 60)
    assert hpa_max(world) == 12
    assert condition(world.body["status"], "WithinBudget")["reason"] == "Projected"
    told = [event.reason for event in events(before, world.body["status"])]
    assert "EncodersRaised" in told


def test_the_guard_lowers_the_autoscaler_before_the_cap_is_crossed() -> None:
    # Room for 4 encoders all month and some more.
    world = serving(cost={"monthlyCap": "3300"})
    highest = hpa_max(world)
    assert 4 <= highest < 12
    for _ in range(31):
        scale(world, hpa_max(world))
        passes(world, 24, every=7200)
    assert hpa_max(world) >= 4
    assert float(spent(world)) <= 3300
    assert condition(world.body["status"], "WithinBudget")["status"] == "True"


def test_even_the_fewest_too_many_is_told_with_the_day_and_nothing_goes_below_them() -> None:
    dear = {"monthlyCap": "3000"}
    world = serving(cost=dear)
    said = condition(world.body["status"], "WithinBudget")
    assert (said["status"], said["reason"]) == ("False", "AboveMinimum")
    assert "on 2026-12-31" in said["message"]
    assert cost(world)["reachedAt"].startswith("2026-12-31T")
    assert hpa_max(world) == 4
    before = world.body["status"]
    world.now = datetime(2026, 12, 31, 14, tzinfo=UTC)
    world.reconcile()
    assert "CapReached" in [event.reason for event in events(before, world.body["status"])]
    assert "is reached" in condition(world.body["status"], "WithinBudget")["message"]


def test_alert_only_tells() -> None:
    world = serving(cost={"action": "Alert", "monthlyCap": "4000"})
    scale(world, 12)
    world.settle()
    assert hpa_max(world) == 12
    said = condition(world.body["status"], "WithinBudget")
    assert (said["status"], said["reason"]) == ("False", "Alerting")
    assert "2026-12-2" in said["message"]


def test_a_higher_maximum_or_cap_is_answered_at_once() -> None:
    world = serving(cost={"monthlyCap": "3300"})
    low = hpa_max(world)
    world.tick(60)
    world.set_spec(cost={"monthlyCap": "6000"})
    world.settle()
    assert low < hpa_max(world) == 12
    world.set_spec(encoder={"autoscaling": {"maxReplicas": 14}})
    world.settle()
    assert hpa_max(world) == 14


def test_the_re_ranker_gives_way_before_encoders_do_and_comes_back() -> None:
    # 11 encoders and a re-ranker for a month are too much, and so are 12 encoders.
    world = serving(search={"reranker": RERANKER}, refresh={"mode": "Full"})
    deployment = ("Deployment", "products-reranker")
    assert deployment in world.children
    scale(world, hpa_max(world))
    name = encoder_name("products", active_identity(world))
    autoscaler = world.children["HorizontalPodAutoscaler", name]
    limited = {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}
    autoscaler["status"] = {"conditions": [limited]}
    before = world.body["status"]
    lowest = hpa_max(world)
    world.tick(60)
    world.settle()
    assert cost(world)["deferred"] == ["FullRebuild", "Reranker"]
    assert deployment not in world.children
    assert "the re-ranker is off" in condition(world.body["status"], "WithinBudget")["message"]
    assert "Deferred" in [event.reason for event in events(before, world.body["status"])]
    autoscaler["status"] = {}
    scale(world, 4)
    passes(world, 2)
    assert cost(world)["deferred"] == []
    assert deployment in world.children
    assert hpa_max(world) >= lowest


def test_a_full_rebuild_waits_for_money_and_then_comes() -> None:
    world = serving(refresh={"mode": "Full"}, cost={"monthlyCap": "3300"})
    scale(world, hpa_max(world))
    world.tick(60)
    world.settle()
    name = encoder_name("products", active_identity(world))
    limited = {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}
    world.children["HorizontalPodAutoscaler", name]["status"] = {"conditions": [limited]}
    world.settle()
    active = world.book.active
    world.ask(world.now + timedelta(seconds=30))
    world.tick(60)
    world.settle()
    assert world.book.active == active
    assert world.book.candidate is None
    world.children["HorizontalPodAutoscaler", name]["status"] = {}
    scale(world, 4)
    passes(world, 2)
    world.settle()
    assert world.book.active != active


def test_a_second_colours_encoders_are_within_the_cap() -> None:
    world = serving()
    world.set_spec(encoder={"precision": "int8"})
    world.settle()
    maxima = [
        child["spec"]["maxReplicas"]
        for (kind, _), child in world.children.items()
        if kind == "HorizontalPodAutoscaler"
    ]
    assert len(maxima) == 2
    assert sorted(maxima)[0] == 4
    assert sum(maxima) <= 12
    assert cost(world)["allowedMax"] == sum(maxima)


def test_prices_that_can_t_be_read_leave_the_guards_last_word() -> None:
    shared = {"prices": None, "pricesConfigMapRef": {"name": "prices"}, "monthlyCap": "3300"}
    world = serving(cost={"monthlyCap": "3300"})
    found = world.index.spec.cost
    assert found is not None
    word = hpa_max(world)
    world.set_spec(cost=shared)
    world.prices = PricesView(found.prices)
    passes(world, 2)
    told = cost(world)
    assert hpa_max(world) == word
    world.prices = PricesView(problem=Problem("PricesUnreadable", "no ConfigMap prices; create it", False))
    passes(world, 5)
    said = condition(world.body["status"], "WithinBudget")
    assert (said["status"], said["reason"]) == ("Unknown", "PricesUnreadable")
    assert hpa_max(world) == word
    assert cost(world) == told
    world.prices = PricesView(found.prices)
    assert abs(float(up_to_date(world)) - 8 * 4.12) < 0.1


def test_another_currency_begins_anew_and_loses_nothing() -> None:
    world = serving()
    passes(world, 5)
    old = ledger(world)
    world.set_spec(cost={"currency": "CNY"})
    world.settle()
    assert ledger(world).currency == "CNY"
    assert Ledger.model_validate_json(world.children[LEDGER]["data"]["ledger-USD.json"]) == old


def test_a_paused_index_writes_no_ledger_and_counts_the_pause_afterwards() -> None:
    world = serving()
    passes(world, 1)
    world.set_spec(paused=True)
    world.reconcile()
    told = cost(world)
    for _ in range(10):
        world.tick(3600)
        assert world.reconcile().steps == ()
    assert cost(world) == told
    world.set_spec(paused=False)
    world.settle()
    assert abs(float(spent(world)) - 11 * 4.12) < 0.1


def test_without_prices_nothing_is_counted() -> None:
    world = serving(cost=None)
    assert LEDGER not in world.children
    assert "cost" not in world.body["status"]
    world.set_spec(cost={"prices": {"asOf": "2026-11-01", "encoderNodeHour": "0.35"}})
    world.settle()
    assert LEDGER in world.children
    world.set_spec(cost=None)
    world.settle()
    assert LEDGER in world.children, "what was spent stays spent"


def test_a_pod_is_paid_for_while_it_holds_a_node() -> None:
    waiting = merged(encoder_pod("a", DECEMBER), {"status": {"conditions": []}})
    pulling = encoder_pod("b", DECEMBER)
    later = DECEMBER + timedelta(hours=2)
    over = {"state": {"terminated": {"finishedAt": rfc3339(later)}}}
    ended = merged(encoder_pod("c", DECEMBER), {"status": {"phase": "Failed", "containerStatuses": [over]}})
    restarted = merged(
        encoder_pod("d", DECEMBER),
        {"status": {"phase": "Running", "containerStatuses": [{"lastState": over["state"]}]}},
    )
    gateway = encoder_pod("e", DECEMBER, "gateway")
    found = billed(pod_view(body) for body in (waiting, pulling, ended, restarted, gateway))
    lives = [(node.uid[7:8], node.end is None) for node in found]
    assert lives == [("b", True), ("c", False), ("d", True)]
    assert found[1].end is not None
    assert found[1].end - found[1].start == 2 * 3_600_000


def test_reserved_nodes_are_counted_once() -> None:
    prices = {"reserved": {"count": 4, "nodeHour": "0.2"}}
    world = serving(cost={"prices": prices})
    passes(world, 10)
    assert abs(float(spent(world)) - 10 * (4 * 0.2 + 2.72)) < 0.05
    assert ledger(world).month("2026-12").spent_on("encoder") < micros("0.05")
