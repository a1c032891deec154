"""What a simulation found, as a table and as JSON."""

from collections.abc import Iterator
from typing import Any

from search_operator.money.months import moment_of
from search_operator.money.tariff import amount
from search_operator.simulation.run import MonthRow, Result

_HEAD = (
    "month",
    "q/s",
    "encoders",
    "allowed",
    "guard",
    "spent",
    "of cap",
    "lost guard",
    "maximum",
    "start",
    "ms",
)


def table(result: Result) -> str:
    """One line a month, and a sentence; ends with a line feed."""
    rows = [_HEAD, *(_cells(result, row) for row in result.months)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, "", *_summary(result)]) + "\n"


def _cells(result: Result, row: MonthRow) -> tuple[str, ...]:
    tariff = result.scenario.tariff
    money = (amount(row.spent), f"{row.spent * 100 / tariff.cap:.1f}%") if tariff else ("-", "-")
    lost = (f"{row.lost[cause]}m" for cause in ("guard", "maximum", "start"))
    encoders, ms = f"{row.fewest} to {row.most}", f"{row.latency_ms:.0f}"
    return (
        row.month,
        f"{row.highest_load:.0f}",
        encoders,
        f"{row.lowest_allowed}",
        f"{row.guard_changes}",
        *money,
        *lost,
        ms,
    )


def _summary(result: Result) -> Iterator[str]:
    total = {
        cause: sum(row.lost[cause] for row in result.months) / 60 for cause in ("guard", "maximum", "start")
    }
    yield (
        f"hours with more queries than ready encoders carry: {sum(total.values()):.2f} "
        f"({total['guard']:.2f} for the guard, {total['maximum']:.2f} for maxReplicas, "
        f"{total['start']:.2f} while encoders started)"
    )
    if tariff := result.scenario.tariff:
        over = [row.month for row in result.months if row.spent > tariff.cap]
        spent = sum(row.spent for row in result.months)
        kept = f"above the cap in {', '.join(over)}" if over else "no month above the cap"
        yield f"spent {amount(spent)} {tariff.currency}; {kept} of {amount(tariff.cap)}"
    yield "q/s, ms: the month's highest; allowed: the guard's lowest word; guard: how often it changed; lost: minutes"


def as_json(result: Result) -> dict[str, Any]:
    """Months and hours; amounts as decimal text, times in RFC 3339, lost time in minutes."""
    tariff = result.scenario.tariff
    return {
        "currency": tariff.currency if tariff else None,
        "cap": amount(tariff.cap) if tariff else None,
        "months": [
            {
                "month": row.month,
                "spent": amount(row.spent) if tariff else None,
                "highestLoad": round(row.highest_load, 1),
                "encoders": [row.fewest, row.most],
                "lowestAllowed": row.lowest_allowed,
                "guardChanges": row.guard_changes,
                "lostMinutes": row.lost,
                "latencyMs": round(row.latency_ms, 1),
            }
            for row in result.months
        ],
        "hours": [
            {
                "time": moment_of(hour.at).isoformat().replace("+00:00", "Z"),
                "load": round(hour.load, 1),
                "encoders": hour.encoders,
                "allowed": hour.allowed,
                "spent": amount(hour.spent) if tariff else None,
                "latencyMs": round(hour.latency_ms, 1),
                "lostMinutes": dict(hour.lost),
            }
            for hour in result.hours
        ],
    }
