"""The ledger: what each month has cost, from the nodes' own timestamps, each moment of each node counted once."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from search_operator.money.months import HOUR, split
from search_operator.money.tariff import Item, Tariff

LEDGER_KEY = "ledger.json"
MONTHS_KEPT = 13
Deferral = Literal["FullRebuild", "Reranker"]
# Marks of nodes that are gone are kept while a stale list may still show the node; what is not marked and ended this
# long before the last look was counted when it ran.
_GONE_KEPT_MS = 48 * HOUR
_OLD_NEWS_MS = 24 * HOUR


@dataclass(frozen=True)
class Node:
    """A node-equivalent that is paid for: a pod with a GPU, from when it was scheduled until it ended.

    `uid` tells it from all others for ever. `end` is None while it runs. Moments in milliseconds.
    """

    uid: str
    item: Literal["encoder", "reranker"]
    start: int
    end: int | None = None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mark(_Frozen):
    """Up to when a node is accrued; `running` as it was last seen."""

    item: Literal["encoder", "reranker"]
    upto: int
    running: bool = True


class MonthAccount(_Frozen):
    """One month, by item: micro-units times milliseconds per hour, so that no rounding is ever added up."""

    month: str
    items: dict[str, int]

    def spent_on(self, item: Item) -> int:
        """Micro-units, cut off."""
        return self.items.get(item, 0) // HOUR

    @property
    def spent(self) -> int:
        """Micro-units, cut off."""
        return sum(self.items.values()) // HOUR


class Ledger(_Frozen):
    """All accounts of one index. `upto`: fixed items are accrued until then; no moment before it is accrued again.

    `allowed` and `allowed_since` are the guard's last word, `declared` the maximum it was said for, `deferred` and
    `deferred_since` what it has given up, kept here so that a restarted operator goes on from them. `prices` tells one
    tariff from another.
    """

    currency: str
    upto: int
    marks: dict[str, Mark] = {}
    months: tuple[MonthAccount, ...] = ()
    allowed: int | None = None
    allowed_since: int = 0
    declared: int | None = None
    deferred: tuple[Deferral, ...] = ()
    deferred_since: int = 0
    prices: str = ""

    @property
    def running(self) -> frozenset[str]:
        """Nodes that ran when the ledger was last accrued."""
        return frozenset(uid for uid, mark in self.marks.items() if mark.running)

    def to_json(self) -> str:
        """Canonical JSON: the same ledger is always the same text."""
        # Not orjson: five million of a currency in a month are more than 64 bits hold.
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def month(self, name: str) -> MonthAccount:
        """The account of a month; an empty one when nothing was spent."""
        return next((m for m in self.months if m.month == name), MonthAccount(month=name, items={}))


def opened(currency: str, since: int) -> Ledger:
    """An empty ledger that counts from `since`: the index's creation, or the first price."""
    return Ledger(currency=currency, upto=since)


def begun(currency: str, since: int, nodes: Sequence[Node], months: Iterable[MonthAccount] = ()) -> Ledger:
    """A ledger for what runs already, where none is left: what was before `since` is in `months` or not known."""
    marks = {
        node.uid: Mark(item=node.item, upto=since, running=node.end is None)
        for node in nodes
        if node.start < since
    }
    return Ledger(currency=currency, upto=since, marks=marks, months=tuple(months))


def ledger_in(text: str) -> Ledger | None:
    """The ledger as it was kept; None when there is none, or somebody has spoilt it."""
    try:
        return Ledger.model_validate_json(text)
    except ValidationError:
        return None


def accrue(
    ledger: Ledger, nodes: Sequence[Node], tariff: Tariff, now: int, gone_by: int | None = None
) -> Ledger:
    """The ledger at `now`: every moment of every node and fixed item up to then, once.

    `nodes` are those seen now, also ended ones that are still listed. A node that was running and is not seen any more
    is counted until `gone_by` (the last scaling) where that is known, else until now: rather too much than lost.
    Nothing is taken back when the clock is: accrual rests until it has caught up.
    """
    spans, marks = _spans(ledger, nodes, now, gone_by)
    added: Counter[tuple[str, str]] = Counter()
    for item in ("encoder", "reranker"):
        price = tariff.encoder_hour if item == "encoder" else tariff.reranker_hour
        free = tariff.reserved if item == "encoder" else 0
        for start, end, count in _counts(spans[item], ledger.upto):
            # What is learnt late was not in the count of its time, so it can't be told to be a reserved one.
            paid = count if end <= ledger.upto else max(0, count - free)
            for month, begin, until in split(start, end, tariff.zone):
                added[month, item] += paid * price * (until - begin)
    for month, begin, until in split(ledger.upto, now, tariff.zone):
        for fixed, price in tariff.fixed(month):
            added[month, fixed] += price * (until - begin)
    return ledger.model_copy(
        update={"upto": max(ledger.upto, now), "marks": marks, "months": _booked(ledger.months, added)}
    )


def _spans(
    ledger: Ledger, nodes: Sequence[Node], now: int, gone_by: int | None
) -> tuple[dict[str, list[tuple[int, int]]], dict[str, Mark]]:
    """The spans to accrue by item, and the marks after it."""
    spans: dict[str, list[tuple[int, int]]] = {"encoder": [], "reranker": []}
    marks: dict[str, Mark] = {}
    for node in nodes:
        known = ledger.marks.get(node.uid)
        if known is None and node.end is not None and node.end <= ledger.upto - _OLD_NEWS_MS:
            continue
        # One that is not known may have been, so long ago that its mark was dropped.
        start = max(node.start, known.upto if known else ledger.upto - _GONE_KEPT_MS)
        end = now if node.end is None else min(node.end, now)
        upto = max(start, end)
        spans[node.item].append((start, upto))
        marks[node.uid] = Mark(item=node.item, upto=upto, running=node.end is None)
    for uid, mark in ledger.marks.items():
        if uid in marks:
            continue
        if mark.running:
            end = now if gone_by is None else min(now, max(gone_by, mark.upto))
            upto = max(mark.upto, end)
            spans[mark.item].append((mark.upto, upto))
            marks[uid] = Mark(item=mark.item, upto=upto, running=False)
        elif mark.upto > now - _GONE_KEPT_MS:
            marks[uid] = mark
    return spans, marks


def _counts(spans: Iterable[tuple[int, int]], cut: int) -> list[tuple[int, int, int]]:
    """The spans as (start, end, how many at once), never across `cut`; both sides of it are counted apart."""
    changes: Counter[int] = Counter()
    for start, end in spans:
        if start < end:
            changes[start] += 1
            changes[end] -= 1
    if not changes:
        return []
    changes[cut] += 0
    moments = sorted(changes)
    found: list[tuple[int, int, int]] = []
    count = 0
    for start, end in itertools.pairwise(moments):
        count += changes[start]
        if count:
            found.append((start, end, count))
    return found


def _booked(
    months: tuple[MonthAccount, ...], added: Mapping[tuple[str, str], int]
) -> tuple[MonthAccount, ...]:
    accounts = {account.month: dict(account.items) for account in months}
    for (month, item), raw in added.items():
        if raw:
            items = accounts.setdefault(month, {})
            items[item] = items.get(item, 0) + raw
    return tuple(MonthAccount(month=month, items=accounts[month]) for month in sorted(accounts))[
        -MONTHS_KEPT:
    ]
