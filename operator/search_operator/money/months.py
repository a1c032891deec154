"""Billing months in their own time zone. Moments are integer milliseconds since 1970 in UTC."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR = 3_600_000


def milliseconds(moment: datetime) -> int:
    """A moment with a time zone as milliseconds since 1970."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def moment_of(at: int) -> datetime:
    """Milliseconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC)


def month_at(at: int, zone: ZoneInfo) -> str:
    """The billing month of a moment, `2026-11`: the one whose bounds it lies in, whatever clocks show."""
    local = moment_of(at).astimezone(zone)
    name = f"{local:%Y-%m}"
    start, end = bounds(name, zone)
    if start <= at < end:
        return name
    # Clocks that go back just after a month has begun show the last one again.
    return _month(local.year, local.month + (1 if at >= end else -1))


@lru_cache(maxsize=256)
def bounds(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """When a month begins, and when the next one does. A month with a change of clocks is an hour shorter or longer."""
    year, number = (int(part) for part in month.split("-"))
    following = (year + 1, 1) if number == 12 else (year, number + 1)
    first = datetime(year, number, 1, tzinfo=zone)
    return milliseconds(first), milliseconds(datetime(*following, 1, tzinfo=zone))


def _month(year: int, number: int) -> str:
    years, month = divmod(number - 1, 12)
    return f"{year + years:04}-{month + 1:02}"


def hours_in(month: str, zone: ZoneInfo) -> int:
    """Whole hours of a month, to be shown: 670 to 746. Money goes by `bounds`: some clocks change by half an hour."""
    start, end = bounds(month, zone)
    return (end - start) // HOUR


def split(start: int, end: int, zone: ZoneInfo) -> Iterator[tuple[str, int, int]]:
    """The span's parts by month, in order; none for an empty span."""
    while start < end:
        month = month_at(start, zone)
        cut = min(end, bounds(month, zone)[1])
        yield month, start, cut
        start = cut
