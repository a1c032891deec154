"""Prices of one index, in integer micro-units of its currency."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from search_operator.money.months import HOUR, bounds

MICROS = 1_000_000

Item = Literal["encoder", "reserved", "milvus", "elasticsearch", "gateway", "reranker", "storage", "backup"]


def micros(amount: str) -> int:
    """A decimal amount such as "0.35" as integer micro-units; what is finer is cut off."""
    return int(Decimal(amount) * MICROS)


def amount(value: int) -> str:
    """Micro-units as an amount with two decimals, rounded half up: `2860.12`."""
    return f"{(Decimal(value) / MICROS).quantize(Decimal('0.01'), rounding='ROUND_HALF_UP')}"


@dataclass(frozen=True)
class Tariff:
    """What an hour costs. All prices in micro-units.

    `encoder_hour` and `reranker_hour` are for one node beyond the `reserved` ones, which are paid whether they run or
    not and are among `hourly`. `hourly` are the fixed items for one hour, `monthly` those that are priced by month
    and spread over its real hours.
    """

    currency: str
    cap: int
    zone: ZoneInfo
    encoder_hour: int
    reranker_hour: int = 0
    reserved: int = 0
    hourly: tuple[tuple[Item, int], ...] = ()
    monthly: tuple[tuple[Item, int], ...] = ()

    def fixed(self, month: str) -> tuple[tuple[Item, int], ...]:
        """What each fixed item costs for one hour of that month."""
        start, end = bounds(month, self.zone)
        span = end - start
        # Half a micro-unit an hour is lost at most: 0.0004 of the currency in a month.
        return (*self.hourly, *((item, (price * HOUR + span // 2) // span) for item, price in self.monthly))

    def fixed_hour(self, month: str) -> int:
        """All fixed items for one hour of that month."""
        return sum(price for _, price in self.fixed(month))

    def encoders_hour(self, encoders: int) -> int:
        """So many encoders for one hour, without what the reserved ones cost anyway."""
        return max(0, encoders - self.reserved) * self.encoder_hour
