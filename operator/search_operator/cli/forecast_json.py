"""A plan as JSON: amounts as decimal text, times in RFC 3339."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from search_operator.api.index import SemanticSearchIndex
from search_operator.cli.drawing import plain
from search_operator.cli.forecast import Forecast, WindowLine
from search_operator.cli.months import MonthBill
from search_operator.cli.parts import Part, milvus_memory
from search_operator.cli.planned_text import guard_says
from search_operator.cli.steps import steps, time_limit
from search_operator.decide.cost import Bill
from search_operator.decide.schedule import rfc3339
from search_operator.money.tariff import amount

Json = dict[str, Any]


def forecast_json(
    told: Forecast,
    index: SemanticSearchIndex,
    parts: Sequence[Part],
    rows: int | None,
    months: Sequence[MonthBill],
) -> Json:
    """All that the text tells of one index, and every one of the twelve months."""
    return {
        "namespace": told.namespace,
        "name": told.name,
        "kind": told.kind.name,
        "says": told.kind.value,
        "active": told.active,
        "wanted": told.wanted,
        "sameVectors": told.same_vectors,
        "changes": plain(told.changes),
        "refusals": list(told.refusals),
        "notes": list(told.notes),
        "steps": [
            {"stage": state.value, "what": what, "atMost": time_limit(state) if told.active else ""}
            for state, what in steps(told, index.spec)
        ],
        "fleets": plain(told.fleets),
        "shortages": list(told.shortages),
        "parts": plain(list(parts)),
        "milvus": milvus_memory(index, rows),
        "memoryOfNewRelease": told.memory,
        "windows": [_window(window) for window in told.windows],
        "bill": _bill(told.bill) if told.bill else None,
        "billDuringSwitch": _bill(told.bill_during) if told.bill_during else None,
        "months": [_month(each) for each in months],
    }


def _window(window: WindowLine) -> Json:
    opening = window.opening
    return {
        "name": window.name,
        "replicas": window.replicas,
        "warmFrom": _time(window.warm_from),
        "start": _time(opening.start if opening else None),
        "end": _time(opening.end if opening else None),
    }


def _bill(bill: Bill) -> Json:
    return {
        "currency": bill.currency,
        "month": bill.month,
        "hours": bill.hours,
        "hour": amount(bill.hour_now),
        "atMinimum": amount(bill.month_at_minimum),
        "atMaximum": amount(bill.month_at_maximum),
        "cap": amount(bill.cap),
        "allowedMax": bill.allowed_max,
    }


def _month(bill: MonthBill) -> Json:
    return {
        "month": bill.month,
        "hours": bill.hours,
        "noPeaks": amount(bill.no_peaks),
        "withWindows": amount(bill.with_windows),
        "atMaximum": amount(bill.at_maximum),
        "cap": amount(bill.cap),
        "allowed": bill.allowed,
        "maximum": bill.maximum,
        "windows": list(bill.windows),
        "raisedAt": _time(bill.raised_at),
        "reachedAt": _time(bill.reached_at),
        "givenUp": list(bill.given_up),
        "guard": guard_says(bill),
    }


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
