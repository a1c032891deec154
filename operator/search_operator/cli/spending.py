"""What an index has cost, month by month and item by item: frozen data from its status and its ledger, no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_operator.cli.concerns import conditions_of
from search_operator.cli.screen import Money, money_of
from search_operator.money.ledger import Ledger, MonthAccount
from search_operator.money.tariff import Item, amount

Object = Mapping[str, Any]

ITEMS: tuple[Item, ...] = (
    "encoder",
    "reserved",
    "reranker",
    "milvus",
    "elasticsearch",
    "gateway",
    "storage",
    "backup",
)


@dataclass(frozen=True)
class ItemSpent:
    """What one item has cost; an amount with two decimals."""

    item: str
    spent: str


@dataclass(frozen=True)
class MonthSpent:
    """One billing month; `items` is empty where only the sum is known."""

    month: str
    spent: str
    items: tuple[ItemSpent, ...] = ()


@dataclass(frozen=True)
class Spending:
    """One index's money: this month's, and the months before it, the oldest first.

    `money` is None while nobody counts; `note` says why then, or why items are missing. `open_cost` is what the
    comparison with OpenCost says, empty without one.
    """

    namespace: str
    name: str
    money: Money | None
    this_month: MonthSpent | None
    past: tuple[MonthSpent, ...]
    prices_as_of: str = ""
    open_cost: str = ""
    note: str = ""


def spending(index: Object, ledger: Ledger | None, unseen: str = "") -> Spending:
    """From the status and the ledger as it is kept; `unseen` says why the ledger could not be read."""
    meta, status = index["metadata"], index.get("status") or {}
    told, money = status.get("cost") or {}, money_of(status.get("cost"))
    if money is None:
        why = conditions_of(status).get("WithinBudget", {}).get("message")
        note = str(why or "nobody counts: give spec.cost.prices")
        return Spending(meta["namespace"], meta["name"], None, None, (), note=note)
    if ledger is not None and ledger.currency != money.currency:
        unseen, ledger = f"by item nothing is known: the ledger is in {ledger.currency}", None
    kept = {account.month: account for account in ledger.months} if ledger else {}
    past = [_month(kept[name]) for name in sorted(kept) if name < money.month]
    known = {each.month for each in past}
    past += [
        MonthSpent(str(m["month"]), str(m["spent"]))
        for m in told.get("months") or ()
        if m["month"] not in known
    ]
    this = kept.get(money.month)
    return Spending(
        namespace=meta["namespace"],
        name=meta["name"],
        money=money,
        this_month=_month(this) if this else MonthSpent(money.month, money.spent),
        past=tuple(sorted(past, key=lambda each: each.month)),
        prices_as_of=str(told.get("pricesAsOf") or ""),
        open_cost=_open_cost(told.get("openCost") or {}),
        note=unseen if ledger is None else "",
    )


def sums(told: Sequence[Money]) -> Iterator[tuple[str, str, str, str]]:
    """(currency, spent, projected, cap) of several indexes; nothing is converted."""
    for currency in sorted({money.currency for money in told}):
        same = [money for money in told if money.currency == currency]
        totals = (
            amount(sum(_micros(getattr(money, field)) for money in same))
            for field in ("spent", "projected", "cap")
        )
        spent, projected, cap = totals
        yield currency, spent, projected, cap


def _micros(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole or 0) * 1_000_000 + int(part.ljust(6, "0")[:6] or 0)


def _month(account: MonthAccount) -> MonthSpent:
    spent = [(item, account.spent_on(item)) for item in ITEMS]
    items = tuple(ItemSpent(item, amount(micros)) for item, micros in spent if micros)
    return MonthSpent(account.month, amount(account.spent), items)


def _open_cost(told: Object) -> str:
    if not told.get("spent"):
        return str(told.get("message") or "")
    by = f" ({told['differencePercent']} %)" if told.get("differencePercent") else ""
    word = "agrees" if told.get("agrees") else "does not agree"
    return (
        f"OpenCost {word}: {told['spent']} where the ledger says {told.get('ledger')}{by}, of what both count"
    )
