"""The tariff that a spec states, and what a whole month at a given size comes to."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from search_operator.api.cost import PricedNodes, Prices
from search_operator.api.spec import Spec
from search_operator.money.budget import Fleet, affordable, rest_of_month
from search_operator.money.ledger import opened
from search_operator.money.months import HOUR, bounds, hours_in, milliseconds, month_at
from search_operator.money.tariff import Item, Tariff, micros


@dataclass(frozen=True)
class Bill:
    """What the fleet costs, in micro-units: an hour as it runs, a whole month of `hours` at each bound.

    `allowed_max` is what the cap allows who begins the month with nothing spent; the guard's own word depends on what
    was.
    """

    currency: str
    month: str
    hours: int
    hour_now: int
    month_now: int
    month_at_minimum: int
    month_at_maximum: int
    cap: int
    allowed_max: int


def rerankers(spec: Spec) -> int:
    """Re-rankers that run."""
    reranker = spec.search.reranker
    return reranker.replicas if reranker and reranker.enabled else 0


def tariff_of(spec: Spec, prices: Prices | None) -> Tariff | None:
    """What an hour costs by these prices; None without any."""
    cost = spec.cost
    if cost is None or prices is None:
        return None
    spot = prices.spot_node_hour if prices.purchase == "Spot" else None
    encoder_hour = micros(spot or prices.encoder_node_hour)
    hourly: list[tuple[Item, int]] = [
        ("reserved", _nodes(prices.reserved)),
        ("milvus", _nodes(prices.milvus_nodes)),
        ("elasticsearch", _nodes(prices.elasticsearch_nodes)),
        ("gateway", spec.search.replicas * micros(prices.gateway_hour or "0")),
    ]
    monthly: list[tuple[Item, int]] = [
        ("storage", (prices.storage_gib or 0) * micros(prices.storage_gib_month or "0")),
        ("backup", micros(prices.backup_month or "0")),
    ]
    return Tariff(
        currency=cost.currency,
        cap=micros(cost.monthly_cap),
        zone=ZoneInfo(cost.time_zone),
        encoder_hour=encoder_hour,
        reranker_hour=micros(prices.reranker_node_hour) if prices.reranker_node_hour else encoder_hour,
        reserved=prices.reserved.count if prices.reserved else 0,
        hourly=tuple(priced for priced in hourly if priced[1]),
        monthly=tuple(priced for priced in monthly if priced[1]),
    )


def _nodes(nodes: PricedNodes | None) -> int:
    return nodes.count * micros(nodes.node_hour) if nodes else 0


def bill(spec: Spec, encoders: int, now: datetime) -> Bill | None:
    """The bill of the month that `now` lies in with `encoders` all the time, by the spec's own prices; None without."""
    tariff = tariff_of(spec, spec.cost.prices if spec.cost else None)
    if tariff is None or spec.cost is None:
        return None
    month = month_at(milliseconds(now), tariff.zone)
    start, end = bounds(month, tariff.zone)
    others = rerankers(spec)
    scaling = spec.encoder.autoscaling
    highest = scaling.max_replicas
    if spec.cost.action == "Clamp":
        rest = rest_of_month(opened(tariff.currency, start), tariff, start, rerankers=others)
        highest = affordable(rest, Fleet(scaling.min_replicas, scaling.min_replicas, scaling.max_replicas))

    def hour(replicas: int) -> int:
        fixed = tariff.fixed_hour(month) + others * tariff.reranker_hour
        return fixed + tariff.encoders_hour(replicas)

    def whole(replicas: int) -> int:
        return hour(replicas) * (end - start) // HOUR

    return Bill(
        currency=tariff.currency,
        month=month,
        hours=hours_in(month, tariff.zone),
        hour_now=hour(encoders),
        month_now=whole(encoders),
        month_at_minimum=whole(scaling.min_replicas),
        month_at_maximum=whole(highest),
        cap=tariff.cap,
        allowed_max=highest,
    )
