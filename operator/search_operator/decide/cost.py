"""The bill before it is spent: integer micro-units of the currency, hours of the longest month.

The ledger of money already spent is not here yet; the clamp is therefore the safe one: even a month of 744
hours in which every encoder that is allowed runs all the time stays under the cap.
"""

from dataclasses import dataclass
from decimal import Decimal

from search_operator.api.spec import HOURS_OF_LONGEST_MONTH, Spec

MICROS = 1_000_000


@dataclass(frozen=True)
class Rates:
    """Prices per hour and the cap, in micro-units of the currency.

    `fixed_hour` is what no autoscaler changes: Milvus' nodes, and re-rankers, each counted as an encoder.
    """

    encoder_hour: int
    fixed_hour: int
    cap: int


@dataclass(frozen=True)
class Bill:
    """What the fleet costs, in micro-units: an hour as it runs now, a month of 744 hours at each bound."""

    currency: str
    hour_now: int
    month_now: int
    month_at_minimum: int
    month_at_maximum: int
    cap: int
    allowed_max: int


def micros(amount: str) -> int:
    """A decimal amount such as "0.35" as integer micro-units."""
    return int(Decimal(amount) * MICROS)


def amount(value: int) -> str:
    """Micro-units as an amount with two decimals, rounded half up: `2860.12`."""
    return f"{(Decimal(value) / MICROS).quantize(Decimal('0.01'), rounding='ROUND_HALF_UP')}"


def rates(spec: Spec) -> Rates | None:
    """The prices as the resource states them; None without prices."""
    cost = spec.cost
    if cost is None or cost.prices is None:
        return None
    nodes, encoder_hour = cost.prices.milvus_nodes, micros(cost.prices.encoder_node_hour)
    fixed = nodes.count * micros(nodes.node_hour) if nodes else 0
    return Rates(encoder_hour, fixed + rerankers(spec) * encoder_hour, micros(cost.monthly_cap))


def rerankers(spec: Spec) -> int:
    """Re-rankers that run."""
    reranker = spec.search.reranker
    return reranker.replicas if reranker and reranker.enabled else 0


def allowed_max(prices: Rates, minimum: int, maximum: int, hours: int) -> int:
    """Most encoders that may run for all of `hours` without crossing the cap; within [minimum, maximum]."""
    if prices.encoder_hour * hours == 0:
        return maximum
    affordable = (prices.cap - prices.fixed_hour * hours) // (prices.encoder_hour * hours)
    return max(minimum, min(maximum, affordable))


def allowed_max_replicas(spec: Spec) -> int:
    """The HPA's maximum: the declared one, or what the cap allows when it is to be clamped."""
    scaling, prices = spec.encoder.autoscaling, rates(spec)
    if spec.cost is None or prices is None or spec.cost.action != "Clamp":
        return scaling.max_replicas
    return allowed_max(prices, scaling.min_replicas, scaling.max_replicas, HOURS_OF_LONGEST_MONTH)


def bill(spec: Spec, encoders: int) -> Bill | None:
    """The bill with `encoders` running; None without prices."""
    prices = rates(spec)
    if prices is None or spec.cost is None:
        return None
    highest = allowed_max_replicas(spec)

    def hour(replicas: int) -> int:
        return prices.fixed_hour + replicas * prices.encoder_hour

    return Bill(
        currency=spec.cost.currency,
        hour_now=hour(encoders),
        month_now=hour(encoders) * HOURS_OF_LONGEST_MONTH,
        month_at_minimum=hour(spec.encoder.autoscaling.min_replicas) * HOURS_OF_LONGEST_MONTH,
        month_at_maximum=hour(highest) * HOURS_OF_LONGEST_MONTH,
        cap=prices.cap,
        allowed_max=highest,
    )
