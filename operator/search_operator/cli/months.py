"""What each of the next months comes to, with and without peaks, and what the guard would do about it. Pure.

The guard's own functions are asked, as of each month's first moment with nothing spent.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from search_operator.api.spec import Spec
from search_operator.decide.cost import rerankers, tariff_of
from search_operator.decide.prewarm import early, leads_of, windows_of
from search_operator.money.budget import Fleet, Rest, affordable, deferred, outlook, rest_of_month
from search_operator.money.ledger import opened
from search_operator.money.months import HOUR, bounds, hours_in, milliseconds, moment_of, month_at
from search_operator.money.tariff import Tariff
from search_operator.money.windows import openings

_MONTHS = 12


@dataclass(frozen=True)
class MonthBill:
    """One whole month; money in micro-units.

    `no_peaks`: the fewest encoders all the time; `with_windows`: and all that the pre-warm windows ask for;
    `at_maximum`: maxReplicas all the time, which is what the month could cost without a guard. `allowed` encoders may
    run from its first moment, and maxReplicas from `raised_at` on if the fewest have run until then (None: never, or at
    once). `reached_at`: when the cap is reached at maxReplicas. `given_up` goes first when the load asks for maxReplicas.
    """

    month: str
    hours: int
    no_peaks: int
    with_windows: int
    at_maximum: int
    cap: int
    allowed: int
    maximum: int
    windows: tuple[str, ...] = ()
    raised_at: datetime | None = None
    reached_at: datetime | None = None
    given_up: tuple[str, ...] = ()
    clamps: bool = True


def months(spec: Spec, now: datetime, start_seconds: int | None = None) -> tuple[MonthBill, ...]:
    """This month and the eleven after it; none where nobody counts."""
    tariff = tariff_of(spec, spec.cost.prices if spec.cost else None)
    if tariff is None:
        return ()
    found, month = [], month_at(milliseconds(now), tariff.zone)
    for _ in range(_MONTHS):
        found.append(_month(spec, tariff, month, start_seconds))
        month = month_at(bounds(month, tariff.zone)[1], tariff.zone)
    return tuple(found)


def telling(found: Sequence[MonthBill]) -> tuple[MonthBill, ...]:
    """Those that are worth a line: this month, the next one, those with windows, and the dearest."""
    dearest = max(found, key=lambda each: each.with_windows, default=None)
    return tuple(each for number, each in enumerate(found) if number < 2 or each.windows or each is dearest)


def _month(spec: Spec, tariff: Tariff, month: str, start_seconds: int | None) -> MonthBill:
    scaling = spec.encoder.autoscaling
    start, end = bounds(month, tariff.zone)
    # What opens on the day after a month begins to warm, and to cost, within it.
    span = moment_of(start), moment_of(end) + timedelta(days=1)
    warmed = early(openings(windows_of(spec), *span), leads_of(spec, start_seconds))
    peaks = tuple(o for o in warmed if milliseconds(o.start) < end)
    rest = rest_of_month(opened(tariff.currency, start), tariff, start, peaks, rerankers=rerankers(spec))
    fleet = Fleet(scaling.min_replicas, scaling.min_replicas, scaling.max_replicas)
    full = replace(fleet, running=scaling.max_replicas)
    plain = replace(rest, openings=())
    clamps = spec.cost is not None and spec.cost.action == "Clamp"
    allowed = affordable(rest, fleet) if clamps else fleet.maximum
    given_up = deferred(
        opened(tariff.currency, start), rest, fleet, fleet.maximum, rebuilds=spec.refresh.mode == "Full"
    ).deferred
    reached = outlook(plain, full).reached
    return MonthBill(
        month=month,
        hours=hours_in(month, tariff.zone),
        no_peaks=outlook(plain, fleet).projected,
        with_windows=outlook(rest, fleet).projected,
        at_maximum=outlook(plain, full).projected,
        cap=tariff.cap,
        allowed=allowed,
        maximum=fleet.maximum,
        windows=tuple(sorted({o.name for o in peaks})),
        raised_at=_raised(rest, fleet) if allowed < fleet.maximum else None,
        reached_at=moment_of(reached) if reached is not None else None,
        given_up=given_up if clamps else (),
        clamps=clamps,
    )


def _raised(rest: Rest, fleet: Fleet) -> datetime | None:
    """From when on the maximum is allowed, where the fewest run until then: with the guard's slack, to the hour."""
    slack = rest.tariff.encoders_hour(fleet.maximum)
    hour = rest.steady_hour + rest.tariff.encoders_hour(fleet.minimum)

    def enough(hours: int) -> bool:
        later = replace(rest, now=rest.now + hours * HOUR, spent=rest.spent + hours * hour)
        return affordable(later, fleet, slack) >= fleet.maximum

    hours = range((rest.end - rest.now) // HOUR)
    found = bisect.bisect_left(hours, True, key=enough)
    return moment_of(rest.now + found * HOUR) if found < len(hours) else None
