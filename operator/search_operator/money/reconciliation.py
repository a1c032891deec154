"""The ledger beside somebody else's account of the same time, item by item. It tells, and never changes the ledger."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from search_operator.money.ledger import Ledger, MonthAccount
from search_operator.money.months import HOUR, bounds, month_at
from search_operator.money.tariff import Item

# What pods of each component cost, as the ledger names it. Stores, storage and backups are not pods of an index.
SHARED: Mapping[str, tuple[Item, ...]] = {
    "encoder": ("encoder", "reserved"),
    "reranker": ("reranker",),
    "gateway": ("gateway",),
}
# A sum that was taken over from a lost ledger, of which nobody knows what it was spent on.
RECOVERED = "recovered"


@dataclass(frozen=True)
class Span:
    """The part of a month that an account is about: [start, until), in milliseconds."""

    month: str
    start: int
    until: int


@dataclass(frozen=True)
class Line:
    """One item in micro-units, by the ledger and by the other account."""

    item: str
    ours: int
    theirs: int


@dataclass(frozen=True)
class Reconciliation:
    """The items that both count."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> Line:
        """All of them."""
        return Line("total", sum(line.ours for line in self.lines), sum(line.theirs for line in self.lines))

    def agrees(self, tolerance_percent: int) -> bool:
        """Whether both sums differ by no more than that, in percent of ours."""
        total = self.total
        return abs(total.theirs - total.ours) * 100 <= tolerance_percent * abs(total.ours)


def span_of(ledger: Ledger, zone: ZoneInfo, since: int) -> Span | None:
    """What the ledger's newest month is about, which began no earlier than `since`; None for less than an hour."""
    month = month_at(ledger.upto, zone)
    start = max(bounds(month, zone)[0], since)
    return Span(month, start, ledger.upto) if ledger.upto - start >= HOUR else None


def reconciled(account: MonthAccount, theirs: Mapping[str, int], counted: Iterable[str]) -> Reconciliation:
    """Both accounts of the `counted` components; what the other does not name has cost nothing there."""
    return Reconciliation(
        tuple(
            Line(part, sum(account.spent_on(item) for item in SHARED[part]), theirs.get(part, 0))
            for part in SHARED
            if part in set(counted)
        )
    )


def percent(line: Line) -> str | None:
    """How much more the other account says, in percent of ours with one decimal: `-12.5`; None where ours is 0."""
    if line.ours == 0:
        return None
    share = (Decimal(line.theirs - line.ours) * 100 / line.ours).quantize(Decimal("0.1"))
    return str(share if share else abs(share))
