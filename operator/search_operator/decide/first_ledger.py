"""The ledger to go on from where none is kept in the currency that the spec names."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import InvalidOperation
from typing import Any

from search_operator.money.ledger import Ledger, MonthAccount, Node, begun
from search_operator.money.months import HOUR, bounds, milliseconds, month_at
from search_operator.money.tariff import Tariff, micros
from search_operator.observe.observation import Observation


def first_ledger(observation: Observation, tariff: Tariff, nodes: Sequence[Node]) -> Ledger:
    """A ledger where none is left in this currency: from the one put aside when another currency was chosen, from what
    the status told last, else from the month's or the index's beginning.
    """
    index, now = observation.index, milliseconds(observation.now)
    start = bounds(month_at(now, tariff.zone), tariff.zone)[0]
    if (aside := observation.ledger_aside) and observation.ledger:
        # Months that were paid in the other currency are in its ledger.
        return begun(tariff.currency, max(aside.upto, start), nodes, aside.months)
    told: Mapping[str, Any] = index.status.get("cost") or {}
    since = moment_told(told.get("asOf"))
    if told.get("currency") == tariff.currency and since is not None and since <= now:
        return begun(tariff.currency, since, nodes, _months_told(told))
    created = milliseconds(index.created_at) if index.created_at else now
    return begun(tariff.currency, min(now, max(start, created)), nodes)


def _months_told(told: Mapping[str, Any]) -> list[MonthAccount]:
    """The sums that the status told; what they were spent on is lost."""
    sums = {str(m.get("month")): str(m.get("spent")) for m in told.get("months", ())}
    sums[str(told.get("month"))] = str(told.get("spent"))
    found = []
    for month, spent in sorted(sums.items()):
        try:
            found.append(MonthAccount(month=month, items={"recovered": micros(spent) * HOUR}))
        except InvalidOperation:
            continue
    return found


def moment_told(text: object) -> int | None:
    """A time (RFC 3339) in milliseconds; None for none."""
    try:
        return milliseconds(datetime.fromisoformat(str(text))) if text else None
    except (ValueError, TypeError):
        return None
