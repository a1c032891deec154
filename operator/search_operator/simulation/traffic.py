"""Traffic by the hour: a CSV, or the built-in year of a Chinese shop."""

import csv
import io
import itertools
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from search_operator.money.months import HOUR, bounds, milliseconds, moment_of

HEADER = ("time", "queries_per_second")
# By the hour in Shanghai: asleep at 4, a first peak at noon, the highest at 21.
_DAY = (.30, .20, .14, .11, .10, .12, .18, .28, .42, .55, .64, .70,
        .76, .72, .68, .68, .70, .74, .80, .88, .96, 1.0, .84, .54)  # fmt: skip
_WEEKEND = 1.12
# First and last moment as (month, day, hour), and how many times the usual traffic; the greatest counts.
_CAMPAIGNS = (
    ((1, 8, 0), (2, 2, 24), 1.25),  # the shopping festival before New Year
    ((3, 5, 0), (3, 8, 24), 1.4),
    ((6, 1, 0), (6, 20, 24), 1.5),
    ((6, 17, 20), (6, 18, 24), 2.4),  # 618
    ((9, 28, 0), (10, 7, 24), 1.2),
    ((10, 20, 20), (11, 11, 24), 1.6),
    ((10, 31, 20), (11, 1, 24), 2.2),  # the first payments
    ((11, 10, 20), (11, 11, 24), 2.6),  # Double 11
    ((12, 10, 20), (12, 12, 24), 1.8),
)
# At 20:00 everybody comes at once, within minutes.
_OPENING_RUSH = 1.15
_CHANGES_WITHIN = 5 * 60_000
_HIGHEST = max(times for *_, times in _CAMPAIGNS) * _OPENING_RUSH


class BadTrace(ValueError):
    """A trace that can't be read, with its line and what to write instead."""


@dataclass(frozen=True)
class Trace:
    """Queries per second in each hour from `start` (milliseconds) on; they change within its first five minutes."""

    start: int
    rates: tuple[float, ...]

    @property
    def end(self) -> int:
        """When its last hour ends, in milliseconds."""
        return self.start + len(self.rates) * HOUR

    def at(self, moment: int) -> float:
        """Queries per second at a moment within the trace."""
        hour, into = divmod(moment - self.start, HOUR)
        here, before = self.rates[hour], self.rates[max(0, hour - 1)]
        return here if into >= _CHANGES_WITHIN else before + (here - before) * into / _CHANGES_WITHIN


def built_in(year: int, peak: float, zone: ZoneInfo) -> Trace:
    """A year, whose busiest hour (Double 11, 21:00) has `peak` queries per second."""
    start = bounds(f"{year}-01", zone)[0]
    end = bounds(f"{year}-12", zone)[1]
    hours = (end - start) // HOUR
    moments = (moment_of(start + hour * HOUR).astimezone(zone) for hour in range(hours))
    return Trace(start, tuple(peak / _HIGHEST * _shape(moment) for moment in moments))


def _shape(moment: datetime) -> float:
    """Times the evening's traffic of a usual day."""
    times = 1.0
    for first, last, factor in _CAMPAIGNS:
        if _of_year(moment, first) <= moment < _of_year(moment, last):
            rush = _OPENING_RUSH if factor > 2 and moment.hour in (20, 21) else 1.0
            times = max(times, factor * rush)
    weekend = _WEEKEND if times == 1.0 and moment.weekday() >= 5 else 1.0
    # Shops grow: a tenth over the year, centred on its middle.
    growth = 1 + 0.1 * (moment.timetuple().tm_yday / 365 - 0.5) if times == 1.0 else 1.0
    return _DAY[moment.hour] * times * weekend * growth


def _of_year(moment: datetime, at: tuple[int, int, int]) -> datetime:
    month, day, hour = at
    return datetime(moment.year, month, day, tzinfo=moment.tzinfo) + timedelta(hours=hour)


def read_trace(text: str) -> Trace:
    """A CSV with the columns time (RFC 3339) and queries_per_second, one line an hour. Raises BadTrace."""
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    if tuple(rows.fieldnames or ()) != HEADER:
        raise BadTrace(f"line 1 is {','.join(rows.fieldnames or ())!r}; write {','.join(HEADER)}")
    found = [_row(number, row) for number, row in enumerate(rows, start=2)]
    if not found:
        raise BadTrace("the trace has no hour")
    for (number, (before, _)), (after, _) in zip(enumerate(found, start=3), found[1:], strict=False):
        if after - before != HOUR:
            raise BadTrace(
                f"line {number}: {_text(after)} does not follow {_text(before)} by an hour; write one line an hour"
            )
    return Trace(found[0][0], tuple(rate for _, rate in found))


def _row(number: int, row: dict[str, str]) -> tuple[int, float]:
    try:
        moment, rate = datetime.fromisoformat(row["time"]), float(row["queries_per_second"])
    except (TypeError, ValueError) as error:
        raise BadTrace(f"line {number}: {error}; write e.g. 2026-11-11T00:00:00+08:00,9000") from error
    if moment.tzinfo is None:
        raise BadTrace(f"line {number}: {row['time']} has no zone; write e.g. 2026-11-11T00:00:00+08:00")
    if not (math.isfinite(rate) and rate >= 0):
        raise BadTrace(f"line {number}: queries_per_second is {rate}; it must be 0 or more")
    return milliseconds(moment), rate


def _text(moment: int) -> str:
    return moment_of(moment).isoformat().replace("+00:00", "Z")


def as_csv(trace: Trace) -> str:
    """The trace as `read_trace` reads it."""
    lines = (f"{_text(trace.start + hour * HOUR)},{rate:.1f}" for hour, rate in enumerate(trace.rates))
    return "\n".join(itertools.chain([",".join(HEADER)], lines)) + "\n"
