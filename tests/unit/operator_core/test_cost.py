"""The tariff that a spec states, item by item, and a whole month's bill."""

from datetime import UTC, datetime
from typing import Any

import pytest
from search_operator.decide.cost import bill, tariff_of
from search_operator.money.tariff import Tariff, amount, micros

from tests.unit.operator_core.builders import index

NOVEMBER = datetime(2026, 11, 22, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 22, tzinfo=UTC)


def tariff(**prices: Any) -> Tariff:
    """The production sample's tariff with other prices."""
    spec = index("production", cost={"prices": prices}).spec
    found = tariff_of(spec, spec.cost.prices if spec.cost else None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("when", "hours", "allowed", "highest"),
    [(NOVEMBER, 720, 12, "4982.40"), (DECEMBER, 744, 11, "4888.08")],
)
def test_the_months_length_decides(when: datetime, hours: int, allowed: int, highest: str) -> None:
    money = bill(index("production").spec, 4, when)
    assert money is not None
    assert (money.hours, money.allowed_max, amount(money.month_at_maximum)) == (hours, allowed, highest)
    assert money.month_now == money.month_at_minimum


def test_with_alert_nothing_is_lowered() -> None:
    told = bill(index("production", cost={"action": "Alert"}).spec, 4, DECEMBER)
    assert told is not None
    assert amount(told.month_at_maximum) == "5148.48"


def test_without_prices_there_is_no_bill() -> None:
    assert bill(index("production", cost=None).spec, 4, NOVEMBER) is None
    assert bill(index("production", cost={"prices": None}).spec, 4, NOVEMBER) is None


def test_every_item_is_an_item_of_its_own() -> None:
    found = tariff(
        elasticsearchNodes={"count": 3, "nodeHour": "0.5"},
        gatewayHour="0.04",
        storageGiB=61,
        storageGiBMonth="0.023",
        backupMonth="12",
        rerankerNodeHour="0.3",
    )
    assert dict(found.hourly) == {
        "milvus": 4 * micros("0.68"),
        "elasticsearch": micros("1.5"),
        "gateway": 3 * micros("0.04"),
    }
    assert dict(found.monthly) == {"storage": micros("1.403"), "backup": micros("12")}
    assert (found.encoder_hour, found.reranker_hour) == (micros("0.35"), micros("0.3"))


def test_reserved_nodes_are_paid_always_and_used_first() -> None:
    found = tariff(reserved={"count": 4, "nodeHour": "0.21"})
    assert dict(found.hourly)["reserved"] == 4 * micros("0.21")
    assert [found.encoders_hour(n) for n in (3, 4, 6)] == [0, 0, 2 * micros("0.35")]


@pytest.mark.parametrize(("purchase", "price"), [("OnDemand", "0.35"), ("Spot", "0.11")])
def test_spot_is_counted_only_where_it_is_bought(purchase: str, price: str) -> None:
    found = tariff(purchase=purchase, spotNodeHour="0.11")
    assert (found.encoder_hour, found.reranker_hour) == (micros(price), micros(price))


def test_billing_months_begin_in_shanghai_unless_said_otherwise() -> None:
    assert tariff().zone.key == "Asia/Shanghai"
